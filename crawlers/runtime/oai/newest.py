"""Which version of each record counts, in flat memory: windows may hold a record any number of times.

The versions are sorted on disk, as short lines, and not held in a dictionary: ten million records take some ten megabytes.
"""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO

from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.windows import read_window

# About 32 MB of memory while they are sorted.
_SORTED_AT_ONCE = 200_000
# More files than this are never open at once.
_MERGED_AT_ONCE = 64


class Newest:
    """The newest version of each record in ``windows``, given as paths of their files, oldest first.

    Newest is what has the latest datestamp; of two that have the same one, what stands in the later window, or later in the same.
    Iterating gives those that were not deleted, in the order of the windows. The same windows always give the same.

    ``versions``: how many records the windows hold in all; ``deleted``: how many identifiers are gone by their newest version;
    ``kept``: how many are left.

    :param scratch: a folder for temporary files, of some 100 bytes a version; nothing is left in it.
    :raises WindowFileError: a window's file can't be read.
    """

    def __init__(self, windows: Iterable[Path], scratch: Path) -> None:
        self._windows = list(windows)
        self._kept = bytearray()  # one bit a version
        self.versions = self.deleted = self.kept = 0
        with tempfile.TemporaryDirectory(prefix=".newest-", dir=scratch) as folder:
            self._choose(_sorted_lines(self._lines(), Path(folder)))

    def __iter__(self) -> Iterator[OaiRecord]:
        number = 0
        for window in self._windows:
            for record in read_window(window):
                if self._kept[number >> 3] >> (number & 7) & 1:
                    yield record
                number += 1

    def _lines(self) -> Iterator[str]:
        for window in self._windows:
            for record in read_window(window):
                yield _line(record, self.versions)
                self.versions += 1
        self._kept = bytearray(self.versions // 8 + 1)

    def _choose(self, lines: Iterable[str]) -> None:
        for _, versions in groupby(lines, key=_identifier):
            *_, newest = versions  # sorted: the last one
            state, _, number = newest.rpartition("\t")[2].strip().partition(":")
            if state == "deleted":
                self.deleted += 1
            else:
                self.kept += 1
                self._kept[int(number) >> 3] |= 1 << (int(number) & 7)


def _line(record: OaiRecord, number: int) -> str:
    # Sorts by identifier, then datestamp, then place in the windows. A day comes before its seconds: it says less.
    identifier = record.identifier.translate(_ESCAPED)
    place = f"{number:012d}"
    state = "deleted" if record.deleted else "there"
    return f"{identifier}\t{record.datestamp.translate(_ESCAPED)}\t{place}\t{state}:{number}\n"


_ESCAPED = str.maketrans({"\t": "%09", "\n": "%0A", "\r": "%0D"})


def _identifier(line: str) -> str:
    return line.partition("\t")[0]


def _sorted_lines(lines: Iterator[str], folder: Path) -> Iterator[str]:
    """``lines`` sorted, in the memory that one batch takes."""
    files: list[IO[str]] = []
    while batch := [line for _, line in zip(range(_SORTED_AT_ONCE), lines, strict=False)]:
        batch.sort()
        if len(batch) < _SORTED_AT_ONCE and not files:
            return iter(batch)
        files.append(_write(batch, folder))
        if len(files) == _MERGED_AT_ONCE:
            files = [_write(_merge(files), folder)]
    return _merge(files)


def _write(lines: Iterable[str], folder: Path) -> IO[str]:
    file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=folder)  # noqa: SIM115 - closed by _merge
    file.writelines(lines)
    return file


def _merge(files: list[IO[str]]) -> Iterator[str]:
    for file in files:
        file.seek(0)
    yield from heapq.merge(*files)
    for file in files:
        file.close()
