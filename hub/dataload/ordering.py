"""The records of a data file in the order of their ``_id``, in flat memory.

Releases of this project's runtime are written in that order. Whether one is, is seen while it is read, never believed: the first
record out of order raises ``OutOfOrder``, and the file is read again by way of a sort on disk. What is sorted is not the lines
but where they lie, so that a hostile line, however long, is held once at most.
"""

import hashlib
import heapq
import marshal
import os
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from hub.dataload.lines import parse_record, read_lines

_CHUNK_BYTES = 32 * 1024 * 1024
# A tuple of a few numbers and an empty string in memory, roughly.
_TUPLE_BYTES = 200
# Tuples that are written and read at once, and how the size of such a block is written.
_BLOCK = 500
_SIZE_BYTES = 8
_KEY_CHARACTERS = 1_000
_DIGEST_BYTES = 16


class OutOfOrder(Exception):
    """A record has an ``_id`` that is less than the one before."""


def key_of(identifier: str) -> str:
    """What records are ordered and found by: the ``_id``; of a very long one its beginning and a digest.

    Python compares strings by code point, which is the order of their UTF-8 bytes.
    """
    if len(identifier) <= _KEY_CHARACTERS:
        return identifier
    digest = hashlib.blake2b(identifier.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{identifier[:_KEY_CHARACTERS]}…{digest}"


class Records:
    """Walks through the records of a file by ``key``, which is None before the first ``advance`` and once there are no more.
    This class has none; those below read a file.

    ``records``: how many it has given; ``malformed``: lines that are no records; ``duplicates``: lines whose ``_id`` an earlier
    line has. As in an upload, the earlier counts.
    """

    key: str | None = None

    def __init__(self) -> None:
        self.records = self.malformed = self.duplicates = 0

    def advance(self, twin: "Records | None" = None) -> None:
        """Go to the next record. ``twin``: a walk through another file that may be at the same line: it is parsed once then.

        :raises OutOfOrder: the file is not in order.
        """

    def has_line_of(self, other: Any) -> bool:
        """Whether both are at lines of the same bytes."""
        return False

    def line(self) -> bytes:
        """The line of the record."""
        return b""

    def close(self) -> None:
        """Close the file."""


class OrderedRecords(Records):
    """Of a file that is in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=1 << 20)
        self._lines = read_lines(self._file)
        self._line = b""
        self._last = ""

    def advance(self, twin: Records | None = None) -> None:
        for _, line, whole in self._lines:
            if isinstance(twin, OrderedRecords) and twin.key is not None and line == twin._line:
                key = twin.key
            elif whole and (record := parse_record(line)) is not None:
                key = key_of(record["_id"])
            else:
                self.malformed += 1
                continue
            if key < self._last:
                raise OutOfOrder
            if key == self._last:
                self.duplicates += 1
                continue
            self.key = self._last = key
            self._line = line
            self.records += 1
            return
        self.key = None

    def has_line_of(self, other: Any) -> bool:
        return self._line == other._line

    def line(self) -> bytes:
        return self._line

    def close(self) -> None:
        self._file.close()


class SortedRecords(Records):
    """Of a file in any order; takes room in ``scratch``, a folder, until it is closed: some 100 bytes a record."""

    def __init__(self, path: Path, scratch: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._places = sort_on_disk(self._read_places(path), scratch)
        self._offset = self._bytes = 0
        self._digest = b""

    def advance(self, twin: Records | None = None) -> None:
        for key, _, offset, size, digest in self._places:
            if key == self.key:
                self.duplicates += 1
                continue
            self.key, self._offset, self._bytes, self._digest = key, offset, size, digest
            self.records += 1
            return
        self.key = None

    def has_line_of(self, other: Any) -> bool:
        return self._digest == other._digest

    def line(self) -> bytes:
        return os.pread(self._file.fileno(), self._bytes, self._offset)

    def close(self) -> None:
        self._places.close()
        self._file.close()

    def _read_places(self, path: Path) -> Iterator[tuple[str, int, int, int, bytes]]:
        """Of each record: key, line number, where it begins, how long it is, a digest of it."""
        with path.open("rb", buffering=1 << 20) as file:
            end = 0
            for number, line, whole in read_lines(file):
                start, end = end, file.tell()
                if whole and (record := parse_record(line)) is not None:
                    digest = hashlib.blake2b(line, digest_size=_DIGEST_BYTES).digest()
                    yield key_of(record["_id"]), number, start, len(line), digest
                else:
                    self.malformed += 1


def keys_by_line(path: Path) -> Iterator[tuple[str, int]]:
    """Key and line number of each record of the file, in the order of the lines."""
    with path.open("rb", buffering=1 << 20) as file:
        for number, line, whole in read_lines(file):
            if whole and (record := parse_record(line)) is not None:
                yield key_of(record["_id"]), number


def sort_on_disk(items: Iterable[tuple], scratch: Path) -> Generator[tuple, None, None]:
    """``items`` in their order. They hold numbers, strings and bytes, and in the first of them something to be compared by.

    The files have no name: what a killed process leaves of them the kernel frees.
    """
    with ExitStack() as stack:
        chunks: list[BinaryIO] = []
        waiting: list[tuple] = []
        size = 0
        for item in items:
            waiting.append(item)
            size += _TUPLE_BYTES + (len(item[0]) if isinstance(item[0], str) else 0)
            if size >= _CHUNK_BYTES:
                chunks.append(stack.enter_context(_write_chunk(sorted(waiting), scratch)))
                waiting, size = [], 0
        yield from heapq.merge(*(_read_chunk(chunk) for chunk in chunks), sorted(waiting))


def _write_chunk(items: list[tuple], scratch: Path) -> Any:
    file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115
    for start in range(0, len(items), _BLOCK):
        block = marshal.dumps(items[start : start + _BLOCK])
        file.write(len(block).to_bytes(_SIZE_BYTES) + block)
    file.seek(0)
    return file


def _read_chunk(file: BinaryIO) -> Iterator[tuple]:
    while size := file.read(_SIZE_BYTES):
        yield from marshal.loads(file.read(int.from_bytes(size)))  # noqa: S302 - written by ourselves, and nameless
