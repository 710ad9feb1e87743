"""Looking at the live documents of a source: by ``_id``, by a simple query, at random. Bounded in number and time.

What a person types is never MongoDB's language: a field's name may not begin with ``$``, and a value is only ever compared.
"""

import re
from collections.abc import Iterable
from typing import Any, Literal

import bson
import msgspec
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout

from crawlers.runtime.errors import FleetError, UsageError

TIME_LIMIT_SECONDS = 5.0
MAX_DOCUMENTS = 100
_MAX_BYTES = 8 << 20
_MAX_FIELD = 300
_MAX_VALUE = 2_000
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?", re.ASCII)

Operator = Literal["equals", "prefix", "exists", "missing"]
Documents = Collection[dict[str, Any]]


class Page(msgspec.Struct):
    """``more``: whether there may be others after the last of ``documents``."""

    documents: list[dict[str, Any]]
    more: bool = False


class SlowQueryError(FleetError):
    """The database needed longer than we let it."""


def find_document(documents: Documents, identifier: str) -> dict[str, Any]:
    """The live document with that ``_id``.

    :raises UsageError: there is none.
    """
    found = documents.find_one({"_id": {"$eq": identifier}}, max_time_ms=_milliseconds())
    if found is None:
        raise UsageError(f"{documents.name}: no live document has the _id {identifier[:200]!r}")
    return found


def find_documents(
    documents: Documents,
    field: str = "",
    operator: Operator = "equals",
    value: str = "",
    after: str = "",
    limit: int = 10,
) -> Page:
    """Up to ``limit`` documents, and some megabytes, in the order of their ``_id``, those ``after`` one; with a ``field``, those that it holds for.

    ``equals``: it is ``value``, as text, or as the number, true, false or null that ``value`` reads as; in a list, one of its
    members is. ``prefix``: it begins with ``value``, as text. ``exists``, ``missing``: whether it is there.

    :raises UsageError: there can be no such field.
    :raises SlowQueryError: it took too long.
    """
    query = make_query(field, operator, value) if field else {}
    if after:
        query = {"$and": [{"_id": {"$gt": after}}, query]} if query else {"_id": {"$gt": after}}
    limit = min(limit, MAX_DOCUMENTS)
    try:
        with _raw(documents).find(query).sort("_id", ASCENDING).limit(limit).max_time_ms(_milliseconds()) as cursor:
            found = _take(cursor)
        return Page(found.documents, found.more or len(found.documents) == limit)
    except ExecutionTimeout as error:
        raise SlowQueryError(
            f"{documents.name}: the query took longer than {TIME_LIMIT_SECONDS:.0f} seconds and was ended. Ask for a value that "
            "more documents have, or look at a random sample"
        ) from error


def sample_documents(documents: Documents, size: int = 10) -> list[dict[str, Any]]:
    """Some documents, at random, each at most once."""
    try:
        stages = [{"$sample": {"size": min(size, MAX_DOCUMENTS)}}]
        with _raw(documents).aggregate(stages, maxTimeMS=_milliseconds()) as cursor:
            return list({document["_id"]: document for document in _take(cursor).documents}.values())
    except ExecutionTimeout as error:
        raise SlowQueryError(
            f"{documents.name}: drawing a sample took longer than {TIME_LIMIT_SECONDS:.0f} s"
        ) from error


def make_query(field: str, operator: Operator, value: str) -> dict[str, Any]:
    """The query in MongoDB's language.

    :raises UsageError: there can be no such field, or the value is too long.
    """
    check_field(field)
    if len(value) > _MAX_VALUE:
        raise UsageError(
            f"the value has {len(value)} characters, up to {_MAX_VALUE} are taken: ask for its beginning (prefix)"
        )
    match operator:
        case "exists":
            return {field: {"$exists": True}}
        case "missing":
            return {field: {"$exists": False}}
        case "prefix":
            if "\0" in value:
                raise UsageError("a prefix can't hold a NUL character")
            return {field: {"$regex": f"^{re.escape(value)}"}}
    return {field: {"$in": _readings(value)}}


def check_field(field: str) -> str:
    """The field, if there can be one of that name, or path such as ``author.name``.

    :raises UsageError: there can't.
    """
    if not field or len(field) > _MAX_FIELD or "\0" in field or any(part[:1] in ("", "$") for part in field.split(".")):
        raise UsageError(
            f"the field is {field[:80]!r}: expected is a name, or names with dots between them as in author.name, none of which "
            f"begins with $, up to {_MAX_FIELD} characters"
        )
    return field


def _raw(documents: Documents) -> Collection[RawBSONDocument]:
    """The same collection, with documents as they come: how large one is can be seen before it is unpacked."""
    return documents.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))


def _take(cursor: Iterable[RawBSONDocument]) -> Page:
    """The documents, as long as they are not too many megabytes."""
    page = Page([])
    size_bytes = 0
    for document in cursor:
        size_bytes += len(document.raw)
        if page.documents and size_bytes > _MAX_BYTES:
            page.more = True
            break
        page.documents.append(bson.decode(document.raw))
    return page


def _readings(value: str) -> list[Any]:
    """What ``value`` may stand for: itself, and a number, true, false or null."""
    readings: list[Any] = [value]
    if value in _LITERALS:
        readings.append(_LITERALS[value])
    elif _INTEGER.fullmatch(value):
        readings.append(int(value))
    elif _DECIMAL.fullmatch(value):
        readings.append(float(value))
    return readings


def _milliseconds() -> int:
    return int(TIME_LIMIT_SECONDS * 1000)
