"""Dublin Core, simple and qualified: ``oai_dc`` and what is built on it (https://www.dublincore.org/specifications/dublin-core/dcmi-terms/).

Simple Dublin Core says neither what a date is the date of, nor how another work is related. The earliest date is taken for that of
publication, as repositories give the dates of their own doings besides; the others are kept as they were given.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from crawlers.runtime.oai.convert.dates import iso_date, iso_period
from crawlers.runtime.oai.convert.elements import LOCAL, language_of, plain
from crawlers.runtime.oai.convert.identifiers import identify, is_url, landing_page, work
from crawlers.runtime.oai.convert.people import agent, organisation
from crawlers.runtime.oai.convert.record_fields import Fields, add, describe, note, put, title
from crawlers.runtime.oai.convert.vocabulary import grant, language, rights, set_type

_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+", re.IGNORECASE)
_EXTENT = re.compile(r"\d")
_YEARS = re.compile(r"(\d{4})\s*-\s*(\d{4})")
_URL_INSIDE = re.compile(r"https?://[^\s<>\"]+")
_NONE = frozenset({"none", "null", "n/a", "unknown", "no description provided."})


def convert(element: Any) -> Fields:
    """The fields of a record whose metadata is a ``dc`` element, or another that holds elements of Dublin Core."""
    fields: Fields = {}
    types: list[str] = []
    dates: list[str] = []
    urls: list[str] = []
    for child in element:
        name = LOCAL[child.tag]
        text = plain(child)
        if not name or not text or (len(text) < 30 and text.lower() in _NONE):
            continue
        if name == "type":
            types.append(text)
        elif name == "date":
            dates.append(text)
        elif name == "identifier":
            urls.extend([text] if is_url(text) else [])
            identify(fields, text)
        elif read := _READERS.get(name):
            read(fields, text)
        else:
            note(fields, name, text)
    set_type(fields, *types)
    _set_dates(fields, dates)
    if "inLanguage" not in fields and (spoken := language_of(element)):
        add(fields, "inLanguage", language(spoken))
    if url := landing_page(urls, fields.get("doi", "")):
        fields["url"] = url
    return fields


def _set_dates(fields: Fields, dates: list[str]) -> None:
    known: dict[str, str] = {}
    for text in dates:
        if date := iso_date(text):
            known.setdefault(date, text)
        elif (found := _YEARS.fullmatch(text)) or iso_period(text):
            add(fields, "temporalCoverage", f"{found[1]}/{found[2]}" if found else iso_period(text))
        else:
            note(fields, "date", text)
    given = fields.get("datePublished")
    if not given and known:
        fields["datePublished"] = given = _earliest(known)
    for date in known:
        if date != given:
            note(fields, "date", date)


def _earliest(dates: Iterable[str]) -> str:
    first = min(dates)
    # 2014-12 comes before 2014-12-05, which says more.
    return min((date for date in dates if date.startswith(first) and date != first), default=first)


def _set_date(name: str) -> Callable[[Fields, str], None]:
    return lambda fields, text: put(fields, name, iso_date(text) or text)


def _relate(name: str) -> Callable[[Fields, str], None]:
    def relate(fields: Fields, text: str) -> None:
        if funded := grant(text):
            add(fields, "funding", funded)
            return
        related = work(text)
        if "url" not in related and (inside := _URL_INSIDE.search(text)):
            related["url"] = inside[0]
        add(fields, name, related)

    return relate


def _agent(name: str) -> Callable[[Fields, str], None]:
    def read(fields: Fields, text: str) -> None:
        if funded := grant(text):  # some write the grant as a contributor
            add(fields, "funding", funded)
        else:
            add(fields, name, agent(text))

    return read


def _cover(fields: Fields, text: str) -> None:
    if iso_period(text) or _YEARS.fullmatch(text):
        add(fields, "temporalCoverage", iso_period(text) or "/".join(_YEARS.fullmatch(text).groups()))  # type: ignore[union-attr]
    else:
        add(fields, "spatialCoverage", {"@type": "Place", "name": text})


def _format(fields: Fields, text: str) -> None:
    is_size = not _MEDIA_TYPE.fullmatch(text) and _EXTENT.search(text)
    add(fields, "size" if is_size else "encodingFormat", text)


_related, _source = _relate("isRelatedTo"), _relate("isBasedOn")
_READERS: dict[str, Callable[[Fields, str], None]] = {
    "title": title,
    "alternative": title,
    "description": describe,
    "abstract": describe,
    "tableOfContents": describe,
    "creator": _agent("author"),
    "contributor": _agent("contributor"),
    "publisher": lambda fields, text: add(fields, "publisher", organisation(text)),
    "rightsHolder": _agent("copyrightHolder"),
    "subject": lambda fields, text: add(fields, "keywords", text),
    "language": lambda fields, text: add(fields, "inLanguage", language(text)),
    "rights": rights,
    "license": rights,
    "accessRights": rights,
    "coverage": _cover,
    "spatial": lambda fields, text: add(fields, "spatialCoverage", {"@type": "Place", "name": text}),
    "temporal": lambda fields, text: add(fields, "temporalCoverage", iso_period(text) or text),
    "format": _format,
    "medium": lambda fields, text: add(fields, "material", text),
    "extent": lambda fields, text: add(fields, "size", text),
    "created": _set_date("dateCreated"),
    "issued": _set_date("datePublished"),
    "modified": _set_date("dateModified"),
    "relation": _related,
    "source": _source,
    "isPartOf": _relate("isPartOf"),
    "hasPart": _relate("hasPart"),
    "isVersionOf": _relate("exampleOfWork"),
    "hasVersion": _relate("workExample"),
    "references": _relate("citation"),
    "isReferencedBy": _relate("citedBy"),
    "bibliographicCitation": lambda fields, text: add(fields, "creditText", text),
    "audience": lambda fields, text: add(fields, "audience", {"@type": "Audience", "audienceType": text}),
    "provenance": lambda fields, text: note(fields, "provenance", text),
}
