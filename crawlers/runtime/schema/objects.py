"""Fields whose values are objects of schema.org, and what a bare text in their place stands for.

Keys that are not known stay as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from crawlers.runtime.schema.agents import ORGANISATION, PERSON, agents
from crawlers.runtime.schema.dates import parse_date
from crawlers.runtime.schema.identifiers import parse_doi, parse_identifier, parse_pmid
from crawlers.runtime.schema.texts import parse_line, parse_text, parse_url
from crawlers.runtime.schema.unparsable import (
    FieldParser,
    Report,
    Unparsable,
    each,
    few,
    kind_of,
    many,
    members,
    one,
    within,
)

# What is parsed inside an object, whatever its type.
_PARTS: dict[str, FieldParser] = {
    "name": one(parse_line),
    "description": lambda value, report: parse_paragraphs(value, report),
    "contentUrl": one(parse_url),
    "doi": one(parse_doi),
    "pmid": one(parse_pmid),
    "datePublished": one(parse_date),
    "dateModified": one(parse_date),
    "dateCreated": one(parse_date),
    "author": agents(PERSON),
    "funder": few(agents(ORGANISATION)),
}


def objects(
    object_type: str = "", *, url: str = "url", parts: Mapping[str, FieldParser] = _PARTS, text: str = "name"
) -> FieldParser:
    """A list of objects of ``object_type``. A bare URL becomes the object's ``url``, a DOI its ``doi``, other text its ``text``."""

    def parse_object(value: Any, report: Report) -> dict[str, Any] | None:
        try:
            made = _parsed(value, parts, report) if isinstance(value, dict) else _from_text(value, url, text)
        except Unparsable as error:
            report("", value, error.reason)
            return None
        if not made.keys() - {"@type"}:
            return None
        return {"@type": object_type, **made} if object_type and "@type" not in made else made

    return each(parse_object)


def parse_identifiers(value: Any, report: Report) -> Any:
    """A list of identifiers: texts, and schema.org's PropertyValue objects as they are."""
    return _IDENTIFIERS(value, report)


def parse_licenses(value: Any, report: Report) -> Any:
    """A licence by its URL or its name; several are a list."""
    return _LICENSES(value, report)


def parse_paragraphs(value: Any, report: Report) -> Any:
    """One text, a paragraph a line, of however many."""
    try:
        return parse_text(members(value)) or None
    except Unparsable as error:
        report("", value, error.reason)
        return None


def parse_keywords(value: Any, report: Report) -> Any:
    """A list of words; one text separates them by commas, or by semicolons (https://schema.org/keywords)."""
    if isinstance(value, str):
        value = value.split(";" if ";" in value and "&" not in value else ",")
    return _KEYWORDS(value, report)


def parse_loose(value: Any, report: Report) -> Any:
    """A list of texts and objects, whichever the site gives."""
    return _LOOSE(value, report)


def _parsed(value: dict[str, Any], parts: Mapping[str, FieldParser], report: Report) -> dict[str, Any]:
    made = {}
    for key, part in value.items():
        parse = parts.get(key) if isinstance(key, str) else None
        parsed = parse(part, within(report, key)) if parse else part
        if parsed not in (None, "", [], {}):
            made[key] = parsed
    return made


def _from_text(value: Any, url: str, text: str) -> dict[str, Any]:
    if not isinstance(value, str):
        raise Unparsable(f"is {kind_of(value)}, expected is an object or text")
    for key, parse in (("doi", parse_doi), (url, parse_url)):
        try:
            return {key: parse(value)}
        except Unparsable:
            continue
    line = parse_line(value)
    return {text: line} if line else {}


def _either(parse: Any, value: Any, report: Report) -> Any:
    if isinstance(value, dict):
        return value
    try:
        return parse(value) or None
    except Unparsable as error:
        report("", value, error.reason)
        return None


def _identifier(value: Any, report: Report) -> Any:
    try:
        text = parse_identifier(value)
    except Unparsable as error:
        report("", value, error.reason)
        return None
    return value if isinstance(value, dict) else text


def _license(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("url") or value.get("@id") or value.get("name")
    return parse_line(value)


def _keyword(value: Any, report: Report) -> Any:
    named = value.get("name") if isinstance(value, dict) else value
    try:
        word = parse_line(named)
    except Unparsable as error:
        report("", value, error.reason)
        return None
    return (value if isinstance(value, dict) else word) if word else None


_LICENSES = few(many(_license))
_IDENTIFIERS = each(_identifier)
_KEYWORDS = each(_keyword)
_LOOSE = each(partial(_either, parse_line))
