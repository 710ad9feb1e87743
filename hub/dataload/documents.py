"""From a line of a data file to a BSON document, or to the reason why it can't be one. Pure: no file, no database.

The limits are MongoDB's: https://www.mongodb.com/docs/manual/reference/limits/#bson-documents
"""

import json
from collections.abc import Callable
from typing import Any

import bson
import orjson
from bson.errors import BSONError

MAX_BSON_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
# Levels by which the stamp may deepen a document.
_STAMP_DEPTH = 2
# Of its bytes in BSON, a line of JSON can need six times as many (\u0041 for A); a longer one can't be a document.
MAX_LINE_BYTES = 6 * MAX_BSON_BYTES
# Digits of an integer that may be beyond 64 bits, which orjson would turn into a float without a word.
_LONG_NUMBER = b"0" * 19
# Every digit becomes a zero, so that a plain search finds runs of them: twenty times as fast as a regular expression.
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)

Transform = Callable[[dict[str, Any]], dict[str, Any]]
# Given the number of the line, the ``_id`` of its record and the document made of it, notes in the document where it comes from.
Stamp = Callable[[int, Any, dict[str, Any]], None]


class RejectedLine(Exception):
    """The line is no document; the text is the reason, in words."""


def encode_line(line: bytes, transform: Transform | None = None, stamp: Stamp | None = None, number: int = 0) -> bytes:
    """The BSON document that ``line``, which has the number ``number``, is, after ``transform`` and ``stamp``.

    :raises RejectedLine: it is none.
    """
    document = _parse(line)
    identifier = document.get("_id")
    if transform:
        try:
            document = transform(document)
        except Exception as error:
            raise RejectedLine(f"the hub's code of the source failed: {type(error).__name__}: {error}") from error
    _check_id(document)
    if stamp:
        stamp(number, identifier, document)
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH - _STAMP_DEPTH and _depth(document) > MAX_DEPTH:
        raise RejectedLine(f"nested deeper than {MAX_DEPTH} levels")
    try:
        encoded = bson.encode(document)
    except OverflowError as error:
        raise RejectedLine("an integer is beyond 64 bits, which MongoDB can't store") from error
    except (BSONError, ValueError, TypeError, RecursionError) as error:
        raise RejectedLine(f"can't be stored in MongoDB: {error}") from error
    if len(encoded) > MAX_BSON_BYTES:
        raise RejectedLine(f"over 16 MB as a document: {len(encoded)} bytes, at most {MAX_BSON_BYTES} are stored")
    return encoded


def _parse(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise RejectedLine("an empty line: one JSON object is expected")
    try:
        document = orjson.loads(line)
        if has_long_number(line):
            json.loads(line, parse_int=_parse_integer)
    except (orjson.JSONDecodeError, RecursionError) as error:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise RejectedLine(f"not UTF-8: {fault.reason} at byte {fault.start + 1} of the line") from error
        raise RejectedLine(f"malformed JSON: {error}") from error
    if not isinstance(document, dict):
        raise RejectedLine(f"not a JSON object but {_json_type(document)}")
    return document


def has_long_number(line: bytes) -> bool:
    """Whether there may be an integer beyond 64 bits in ``line``."""
    return _LONG_NUMBER in line.translate(_DIGITS_TO_ZERO)


def _check_id(document: dict[str, Any]) -> None:
    if "_id" not in document:
        raise RejectedLine("no _id: a non-empty string is expected")
    identifier = document["_id"]
    if not isinstance(identifier, str):
        raise RejectedLine(f"_id is {_json_type(identifier)}: a non-empty string is expected")
    if not identifier:
        raise RejectedLine("_id is empty: a non-empty string is expected")


def _parse_integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise RejectedLine("an integer is beyond 64 bits, which MongoDB can't store")
    return int(digits)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
    return deepest


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")
