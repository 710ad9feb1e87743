"""What the fields of a source's live documents hold: which there are and of which types, and how often a field has each value.

Counted in all documents of a small source, else in a random sample, and as far as the time reaches: the answer says which.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from hub.views.documents import Documents, check_field

_COUNTED_WHOLE = 10_000
_SAMPLE = 5_000
_OVERVIEW_SAMPLE = 500
_SECONDS = 4.0
_MAX_DISTINCT = 50_000
_MAX_PATHS = 500
_MAX_DEPTH = 8
_VALUE_CHARACTERS = 200
_NAMES = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "list",
    type(None): "null",
}


class Basis(msgspec.Struct, kw_only=True):
    """What was counted: ``looked_at`` of ``documents``; ``sampled``: drawn at random, else all; ``cut_off``: the time was up."""

    documents: int
    looked_at: int = 0
    sampled: bool = False
    cut_off: bool = False


class ValueCount(msgspec.Struct, kw_only=True):
    """``count`` documents have the ``value``, which is text, shortened where it is long; ``type``: text, integer, object, …"""

    value: str
    type: str
    count: int


class Values(msgspec.Struct, kw_only=True):
    """``values``: the most frequent first; ``distinct``: how many there are; ``missing``: documents without the field."""

    field: str
    basis: Basis
    values: list[ValueCount]
    distinct: int
    missing: int


class FieldLook(msgspec.Struct, kw_only=True):
    """A place in the documents, as ``author[].name``: how many have it, of which types, one value of it."""

    path: str
    documents: int
    types: dict[str, int]
    example: str


class Overview(msgspec.Struct, kw_only=True):
    """``fields`` by path; ``more``: whether there are others, beyond the first 500 or deeper than eight levels."""

    basis: Basis
    fields: list[FieldLook]
    more: bool = False


def count_values(documents: Documents, field: str, top: int = 50) -> Values:
    """How often ``field`` has each value. A document counts once for each of its values; a list's are those of its members.

    :raises UsageError: there can be no such field.
    """
    check_field(field)
    basis = Basis(documents=documents.estimated_document_count())
    counts: Counter[tuple[str, str]] = Counter()
    missing = 0
    for document in _draw(documents, basis, _COUNTED_WHOLE, _SAMPLE, field):
        found = {(kind_of(value), _shown(value)) for value in _members(_at(document, field.split(".")))}
        missing += not found
        if len(counts) < _MAX_DISTINCT:
            counts.update(found)
        else:
            counts.update(found & counts.keys())
    values = [ValueCount(value=value, type=kind, count=count) for (kind, value), count in counts.most_common(top)]
    return Values(field=field, basis=basis, values=values, distinct=len(counts), missing=missing)


def overview(documents: Documents) -> Overview:
    """Which fields the documents have, and of which types."""
    basis = Basis(documents=documents.estimated_document_count())
    seen: Counter[str] = Counter()
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[str, str] = {}
    more = False
    for document in _draw(documents, basis, _OVERVIEW_SAMPLE, _OVERVIEW_SAMPLE):
        paths: set[str] = set()
        for path, value in _walk(document):
            if path not in seen and len(seen) + len(paths - seen.keys()) >= _MAX_PATHS:
                more = True
                continue
            if value is _DEEPER:
                more = True
                continue
            paths.add(path)
            types[path][kind_of(value)] += 1
            if path not in examples and not isinstance(value, dict | list) and value not in (None, ""):
                examples[path] = _shown(value)
        seen.update(paths)
    fields = [
        FieldLook(
            path=path, documents=seen[path], types=dict(types[path].most_common()), example=examples.get(path, "")
        )
        for path in sorted(seen)
    ]
    return Overview(basis=basis, fields=fields, more=more)


def kind_of(value: Any) -> str:
    """The type of a value in a word."""
    return _NAMES.get(type(value), type(value).__name__)


def _draw(documents: Documents, basis: Basis, whole: int, sample: int, field: str = "") -> Iterator[dict[str, Any]]:
    """Documents to count in; notes in ``basis`` which they are."""
    deadline = time.monotonic() + _SECONDS
    basis.sampled = basis.documents > whole
    stages: list[dict[str, Any]] = [{"$sample": {"size": sample}}] if basis.sampled else [{"$limit": whole}]
    if field:
        stages.append({"$project": {field: 1}})
    with documents.aggregate(stages, maxTimeMS=int(_SECONDS * 2000)) as cursor:
        for document in cursor:
            if time.monotonic() > deadline:
                basis.cut_off = True
                return
            basis.looked_at += 1
            yield document
    basis.documents = max(basis.documents, basis.looked_at)


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    """The values at ``path``, through lists as MongoDB goes."""
    if not path:
        yield value
    elif isinstance(value, list):
        for member in value:
            if isinstance(member, dict):
                yield from _at(member, path)
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _members(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _members(iter(value))
        else:
            yield value


_DEEPER = object()


def _walk(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every place in the document, once for each value there."""
    waiting: list[tuple[str, Any, int]] = [(str(key), value, 1) for key, value in document.items()]
    while waiting:
        path, value, depth = waiting.pop()
        yield path, value
        if isinstance(value, dict | list) and value and depth >= _MAX_DEPTH:
            yield path, _DEEPER
        elif isinstance(value, dict):
            waiting.extend((f"{path}.{key}", inner, depth + 1) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((f"{path}[]", inner, depth + 1) for inner in value)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()
    return text if len(text) <= _VALUE_CHARACTERS else text[: _VALUE_CHARACTERS - 1] + "…"
