"""The types that fields of records have: what may stand in a record, and the parser that makes it so.

A model declares its fields by them, ``name: Text``; a source may declare fields of its own in the same way.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec

from crawlers.runtime.schema.agents import ORGANISATION, PERSON, agents
from crawlers.runtime.schema.dates import ISO_DATE, parse_date
from crawlers.runtime.schema.identifiers import parse_doi, parse_pmid
from crawlers.runtime.schema.objects import (
    objects,
    parse_identifiers,
    parse_keywords,
    parse_licenses,
    parse_loose,
    parse_paragraphs,
)
from crawlers.runtime.schema.texts import parse_boolean, parse_language, parse_line, parse_number, parse_url
from crawlers.runtime.schema.unparsable import FieldParser, many, one


@dataclass(frozen=True)
class FieldType:
    """``parse``: makes the field's value of what a site gives; ``expected``: what may stand in a record, in words.

    ``pattern``: what each text in the field looks like; None: any. It is not msgspec's: with patterns in unions msgspec can crash
    when the program ends (https://github.com/msgspec/msgspec/issues/717, seen with 0.22.0).
    """

    parse: FieldParser
    expected: str
    pattern: re.Pattern[str] | None = None


class _Named(msgspec.Struct):
    name: str | list[str] | None = None


_DATE = re.compile(ISO_DATE, re.ASCII)
_URL = re.compile(r"(?:https?|ftp)://[^\s/]", re.IGNORECASE)
_Objects = _Named | list[_Named | str] | str | None


def _date(day_first: bool | None = None) -> FieldType:
    return FieldType(one(partial(parse_date, day_first=day_first)), "an ISO 8601 date", _DATE)


Text: TypeAlias = Annotated[str | None, FieldType(one(parse_line), "one text")]
LongText: TypeAlias = Annotated[str | list[str] | None, FieldType(parse_paragraphs, "text")]
Texts: TypeAlias = Annotated[str | list[str] | None, FieldType(many(parse_line), "text, or a list of texts")]
Keywords: TypeAlias = Annotated[_Objects, FieldType(parse_keywords, "text, or a list of words")]
Languages: TypeAlias = Annotated[_Objects, FieldType(many(parse_language), "languages, e.g. en")]
Url: TypeAlias = Annotated[str | None, FieldType(one(parse_url), "one URL", _URL)]
Urls: TypeAlias = Annotated[str | list[str] | None, FieldType(many(parse_url), "a URL, or a list of URLs", _URL)]
Date: TypeAlias = Annotated[str | None, _date()]
DayFirstDate: TypeAlias = Annotated[str | None, _date(day_first=True)]
MonthFirstDate: TypeAlias = Annotated[str | None, _date(day_first=False)]
Number: TypeAlias = Annotated[int | float | None, FieldType(one(parse_number), "a number")]
Boolean: TypeAlias = Annotated[bool | None, FieldType(one(parse_boolean), "true or false")]
Version: TypeAlias = Annotated[str | int | float | None, FieldType(one(parse_line), "text or a number")]
Doi: TypeAlias = Annotated[str | list[str] | None, FieldType(one(parse_doi), "a DOI")]
Pmid: TypeAlias = Annotated[str | int | None, FieldType(one(parse_pmid), "a PubMed number")]
Identifiers: TypeAlias = Annotated[
    str | int | dict | list[str | int | dict] | None, FieldType(parse_identifiers, "an identifier, or a list of them")
]
License: TypeAlias = Annotated[_Objects, FieldType(parse_licenses, "a licence's URL or name")]
Loose: TypeAlias = Annotated[_Objects, FieldType(parse_loose, "text, an object, or a list of them")]
Anything: TypeAlias = Annotated[Any, FieldType(lambda value, report: value, "anything")]

People: TypeAlias = Annotated[_Objects, FieldType(agents(PERSON), "people or organisations")]
Organisations: TypeAlias = Annotated[_Objects, FieldType(agents(ORGANISATION), "organisations or people")]
Terms: TypeAlias = Annotated[_Objects, FieldType(objects("DefinedTerm"), "terms, each an object with a name")]
Works: TypeAlias = Annotated[_Objects, FieldType(objects("CreativeWork"), "works, each an object")]
Grants: TypeAlias = Annotated[_Objects, FieldType(objects("MonetaryGrant"), "grants, each an object")]
Places: TypeAlias = Annotated[_Objects, FieldType(objects("Place"), "places, each an object")]
Downloads: TypeAlias = Annotated[
    _Objects, FieldType(objects("DataDownload", url="contentUrl"), "downloads, each an object")
]
Catalogs: TypeAlias = Annotated[_Objects, FieldType(objects("DataCatalog"), "catalogues, each an object")]
