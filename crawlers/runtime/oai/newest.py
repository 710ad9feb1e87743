"""Which version of each record counts, in flat memory: windows may hold a record any number of times.

The versions are sorted on disk, as short lines, and not held in a dictionary: ten million records take some ten megabytes.
"""

from itertools import groupby
from pathlib import Path

from crawlers.runtime.sorted_lines import SortedLines

_ESCAPED = str.maketrans({"\t": "%09", "\n": "%0A", "\r": "%0D"})


class Newest:
    """Takes all versions of all records, oldest window first, and tells which are the newest.

    Newest is what has the latest datestamp; of two that have the same one, what came later. The same versions in the same order always
    give the same. ``versions``: how many there are; once it was chosen, ``deleted``: how many identifiers are gone by their newest
    version, and ``kept``: how many are left.

    :param scratch: a folder for temporary files of some 100 bytes a version. They have no name, and end with the process.
    """

    def __init__(self, scratch: Path) -> None:
        self._lines = SortedLines(scratch)
        self._keep = bytearray()  # one bit a version
        self.versions = self.deleted = self.kept = 0

    def add(self, identifier: str, datestamp: str, deleted: bool) -> None:
        """Take the next version."""
        # Sorts by identifier, then datestamp, then place. A day comes before its seconds: it says less.
        if not (identifier.isprintable() and datestamp.isprintable()):
            identifier, datestamp = identifier.translate(_ESCAPED), datestamp.translate(_ESCAPED)
        self._lines.add(f"{identifier}\t{datestamp}\t{self.versions:012d}\t{'-' if deleted else '+'}", b"")
        self.versions += 1

    def choose(self) -> None:
        """Find the newest versions; all were taken."""
        self._keep = bytearray(self.versions // 8 + 1)
        for _, versions in groupby((key for key, _, _ in self._lines), key=_identifier):
            *_, newest = versions  # sorted: the last one
            number, state = newest.rsplit("\t", 2)[1:]
            if state == "-":
                self.deleted += 1
            else:
                self.kept += 1
                self._keep[int(number) >> 3] |= 1 << (int(number) & 7)
        self.close()

    def is_kept(self, number: int) -> bool:
        """Whether the version that came as this number, from 0, is the newest of its record, and no deletion."""
        return bool(self._keep[number >> 3] >> (number & 7) & 1)

    def is_any_kept(self, first: int, end: int) -> bool:
        """Whether one of the versions from number ``first`` on, before ``end``, may be kept; sure where the answer is no."""
        return any(self._keep[first >> 3 : (end + 7) >> 3])

    def close(self) -> None:
        """Forget what is on disk."""
        self._lines.close()


def _identifier(line: str) -> str:
    return line.partition("\t")[0]
