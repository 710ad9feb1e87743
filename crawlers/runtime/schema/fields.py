"""The types that fields of records have: what may stand in a record, and the parser that makes it so.

A model declares its fields by them, ``name: Text``; a source may declare fields of its own in the same way.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec

from crawlers.runtime.schema.agents import ORGANISATION, PERSON, agents
from crawlers.runtime.schema.dates import ISO_DATE, parse_date
from crawlers.runtime.schema.identifiers import parse_doi, parse_pmid
from crawlers.runtime.schema.objects import objects, parse_identifiers, parse_keywords, parse_license, parse_loose
from crawlers.runtime.schema.texts import parse_boolean, parse_language, parse_line, parse_number, parse_text, parse_url
from crawlers.runtime.schema.unparsable import FieldParser, many, one


@dataclass(frozen=True)
class FieldType:
    """``parse``: makes the field's value of what a site gives; ``expected``: what may stand in a record, in words."""

    parse: FieldParser
    expected: str


class _Named(msgspec.Struct):
    name: str | list[str] | None = None


_Date = Annotated[str, msgspec.Meta(pattern=ISO_DATE)]
_Url = Annotated[str, msgspec.Meta(pattern=r"^(https?|ftp)://[^\s/]")]
_Objects = _Named | list[_Named | str] | str | None

Text: TypeAlias = Annotated[str | None, FieldType(one(parse_line), "one text")]
LongText: TypeAlias = Annotated[
    str | list[str] | None, FieldType(lambda value, report: one(parse_text)([value], report), "text")
]
Texts: TypeAlias = Annotated[str | list[str] | None, FieldType(many(parse_line), "text, or a list of texts")]
Keywords: TypeAlias = Annotated[_Objects, FieldType(parse_keywords, "text, or a list of words")]
Languages: TypeAlias = Annotated[_Objects, FieldType(many(parse_language), "languages, e.g. en")]
Url: TypeAlias = Annotated[_Url | None, FieldType(one(parse_url), "one URL")]
Urls: TypeAlias = Annotated[_Url | list[_Url] | None, FieldType(many(parse_url), "a URL, or a list of URLs")]
Date: TypeAlias = Annotated[_Date | None, FieldType(one(parse_date), "an ISO 8601 date")]
DayFirstDate: TypeAlias = Annotated[
    _Date | None, FieldType(one(partial(parse_date, day_first=True)), "an ISO 8601 date")
]
MonthFirstDate: TypeAlias = Annotated[
    _Date | None, FieldType(one(partial(parse_date, day_first=False)), "an ISO 8601 date")
]
Number: TypeAlias = Annotated[int | float | None, FieldType(one(parse_number), "a number")]
Boolean: TypeAlias = Annotated[bool | None, FieldType(one(parse_boolean), "true or false")]
Version: TypeAlias = Annotated[str | int | float | None, FieldType(one(parse_line), "text or a number")]
Doi: TypeAlias = Annotated[str | list[str] | None, FieldType(one(parse_doi), "a DOI")]
Pmid: TypeAlias = Annotated[str | int | None, FieldType(one(parse_pmid), "a PubMed number")]
Identifiers: TypeAlias = Annotated[
    str | int | dict | list[str | int | dict] | None, FieldType(parse_identifiers, "an identifier, or a list of them")
]
License: TypeAlias = Annotated[_Objects, FieldType(one(parse_license), "a licence's URL or name")]
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
