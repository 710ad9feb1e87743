"""Dublin Core, simple and qualified: ``oai_dc`` and what is built on it (https://www.dublincore.org/specifications/dublin-core/dcmi-terms/).

Simple Dublin Core says neither what a date is the date of, nor how another work is related. The earliest date is taken for that of
publication, as repositories give the dates of their own doings besides; the others are kept as they were given.
"""

import re
from collections.abc import Callable, Iterable, Sequence
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
_NONE_LENGTH = max(map(len, _NONE))


def convert(element: Any) -> Fields:
    """The fields of a record whose metadata is a ``dc`` element, or another that holds elements of Dublin Core."""
    fields: Fields = {}
    for child in element:
        text = child.text
        # Nine in ten texts are in order; of the others plain() takes care.
        if (
            not text
            or "\n" in text
            or "&" in text
            or "<" in text
            or "  " in text
            or "\t" in text
            or "\xa0" in text
            or len(child)
        ):
            text = plain(child)
        else:
            text = text.strip()
        if text and (len(text) > _NONE_LENGTH or text.lower() not in _NONE):
            read = _BY_TAG[child.tag]
            if read is not None:
                read(fields, text)
            elif name := LOCAL[child.tag]:  # comments have none
                note(fields, name, text)
    set_type(fields, *fields.pop("_types", ()))
    _set_dates(fields, fields.pop("_dates", ()))
    if "inLanguage" not in fields and (spoken := language_of(element)):
        add(fields, "inLanguage", language(spoken))
    if url := landing_page(fields.pop("_urls", ()), fields.get("doi", "")):
        fields["url"] = url
    return fields


def _identify(fields: Fields, text: str) -> None:
    if is_url(text):
        fields.setdefault("_urls", []).append(text)
    identify(fields, text)


def _keep(name: str) -> Callable[[Fields, str], None]:
    """For those that are looked at when all are there."""
    return lambda fields, text: fields.setdefault(name, []).append(text)


def _set_dates(fields: Fields, dates: Sequence[str]) -> None:
    if len(dates) == 1 and "datePublished" not in fields and (only := iso_date(dates[0])):
        fields["datePublished"] = only
        return
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
        if text.startswith("info:") and (funded := grant(text)):
            add(fields, "funding", funded)
            return
        related = work(text)
        if "url" not in related and (inside := _URL_INSIDE.search(text)):
            related["url"] = inside[0]
        add(fields, name, related)

    return relate


def _agent(name: str) -> Callable[[Fields, str], None]:
    def read(fields: Fields, text: str) -> None:
        if text.startswith("info:") and (funded := grant(text)):  # some write the grant as a contributor
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
    "type": _keep("_types"),
    "date": _keep("_dates"),
    "identifier": _identify,
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


class _ByTag(dict[Any, Callable[[Fields, str], None] | None]):
    """The reader by tag, whatever its namespace; None where there is none."""

    def __missing__(self, tag: Any) -> Callable[[Fields, str], None] | None:
        read = _READERS.get(LOCAL[tag])
        if len(self) < 10_000:  # hostile documents could name any number
            self[tag] = read
        return read


_BY_TAG = _ByTag()
