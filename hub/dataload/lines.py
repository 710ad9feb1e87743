"""The lines of a data file, however long a hostile one is."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from hub.dataload.documents import MAX_LINE_BYTES

# Of a line that is too long to be held, this much is kept.
_EXCERPT_BYTES = 1_000


def read_lines(file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Number (from 1), content and wholeness of each line; of one that is too long only its beginning, however long it is."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        whole = len(line) <= MAX_LINE_BYTES
        if not whole:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(1 << 20)
            line = line[:_EXCERPT_BYTES]
        yield number, line, whole


def parse_record(line: bytes) -> dict[str, Any] | None:
    """The record that ``line`` is; None where it is no JSON object with a string ``_id`` that is not empty."""
    try:
        record = orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    if isinstance(record, dict) and isinstance(identifier := record.get("_id"), str) and identifier:
        return record
    return None
