"""Looking at the live documents of a source: by ``_id``, by a simple query, at random. Bounded in number and time.

What a person types is never MongoDB's language: a field's name may not begin with ``$``, and a value is only ever compared.
"""

import re
from typing import Any, Literal

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout

from crawlers.runtime.errors import FleetError, UsageError

TIME_LIMIT_SECONDS = 5.0
MAX_DOCUMENTS = 100
_MAX_FIELD = 300
_MAX_VALUE = 2_000
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?", re.ASCII)

Operator = Literal["equals", "prefix", "exists", "missing"]
Documents = Collection[dict[str, Any]]


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
) -> list[dict[str, Any]]:
    """Up to ``limit`` documents in the order of their ``_id``, those ``after`` one; with a ``field``, those that it holds for.

    ``equals``: it is ``value``, as text, or as the number, true, false or null that ``value`` reads as; in a list, one of its
    members is. ``prefix``: it begins with ``value``, as text. ``exists``, ``missing``: whether it is there.

    :raises UsageError: there can be no such field.
    :raises SlowQueryError: it took too long.
    """
    query = make_query(field, operator, value) if field else {}
    if after:
        query = {"$and": [{"_id": {"$gt": after}}, query]} if query else {"_id": {"$gt": after}}
    try:
        cursor = documents.find(query).sort("_id", ASCENDING).limit(min(limit, MAX_DOCUMENTS))
        return list(cursor.max_time_ms(_milliseconds()))
    except ExecutionTimeout as error:
        raise SlowQueryError(
            f"{documents.name}: the query took longer than {TIME_LIMIT_SECONDS:.0f} seconds and was ended. Ask for a value that "
            "more documents have, or look at a random sample"
        ) from error


def sample_documents(documents: Documents, size: int = 10) -> list[dict[str, Any]]:
    """Some documents, at random, each at most once."""
    try:
        found = documents.aggregate([{"$sample": {"size": min(size, MAX_DOCUMENTS)}}], maxTimeMS=_milliseconds())
        return list({document["_id"]: document for document in found}.values())
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
