"""Which version of each record counts, in flat memory: windows may hold a record any number of times.

The versions are sorted on disk, as short lines, and not held in a dictionary: ten million records take some ten megabytes.
"""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO

# About 32 MB of memory while they are sorted.
_SORTED_AT_ONCE = 200_000
# More files than this are never open at once.
_MERGED_AT_ONCE = 64
_ESCAPED = str.maketrans({"\t": "%09", "\n": "%0A", "\r": "%0D"})


class Newest:
    """Takes all versions of all records, oldest window first, and tells which are the newest.

    Newest is what has the latest datestamp; of two that have the same one, what came later. The same versions in the same order always
    give the same. ``versions``: how many there are; once it was chosen, ``deleted``: how many identifiers are gone by their newest
    version, and ``kept``: how many are left.

    :param scratch: a folder for temporary files of some 100 bytes a version. They have no name, and end with the process.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._batch: list[str] = []
        self._files: list[IO[str]] = []
        self._keep = bytearray()  # one bit a version
        self.versions = self.deleted = self.kept = 0

    def add(self, identifier: str, datestamp: str, deleted: bool) -> None:
        """Take the next version."""
        # Sorts by identifier, then datestamp, then place. A day comes before its seconds: it says less.
        key = f"{identifier.translate(_ESCAPED)}\t{datestamp.translate(_ESCAPED)}\t{self.versions:012d}\t{'-' if deleted else '+'}\n"
        self._batch.append(key)
        self.versions += 1
        if len(self._batch) >= _SORTED_AT_ONCE:
            self._spill()

    def choose(self) -> None:
        """Find the newest versions; all were taken."""
        self._keep = bytearray(self.versions // 8 + 1)
        self._batch.sort()
        for _, versions in groupby(heapq.merge(*map(_rewound, self._files), self._batch), key=_identifier):
            *_, newest = versions  # sorted: the last one
            number, state = newest[:-1].rsplit("\t", 2)[1:]
            if state == "-":
                self.deleted += 1
            else:
                self.kept += 1
                self._keep[int(number) >> 3] |= 1 << (int(number) & 7)
        self.close()

    def is_kept(self, number: int) -> bool:
        """Whether the version that came as this number, from 0, is the newest of its record, and no deletion."""
        return bool(self._keep[number >> 3] >> (number & 7) & 1)

    def close(self) -> None:
        """Forget what is on disk."""
        for file in self._files:
            file.close()
        self._files, self._batch = [], []

    def _spill(self) -> None:
        self._batch.sort()
        self._files.append(self._write(self._batch))
        self._batch = []
        if len(self._files) == _MERGED_AT_ONCE:
            merged = self._write(heapq.merge(*map(_rewound, self._files)))
            self.close()
            self._files = [merged]

    def _write(self, lines: Iterable[str]) -> IO[str]:
        file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=self._scratch)  # noqa: SIM115 - closed by close()
        file.writelines(lines)
        return file


def _rewound(file: IO[str]) -> Iterator[str]:
    file.seek(0)
    return iter(file)


def _identifier(line: str) -> str:
    return line.partition("\t")[0]
