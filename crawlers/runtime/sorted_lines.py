"""Lines in the order of their keys, however many there are, in flat memory: an external merge sort."""

import heapq
import os
import struct
import tempfile
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

# A run is sorted in memory: this many bytes of lines, or this many lines if they are short.
_RUN_BYTES = 32 << 20
_RUN_LINES = 100_000
# While runs are merged, each is read in blocks: all blocks together take about this much.
_MERGE_BYTES = 32 << 20
_BLOCK_BYTES = 256 << 10
_HEADER = struct.Struct("=III")
_WRITE_BYTES = 1 << 20

Line = tuple[str, bytes, str]


class SortedLines:
    """Takes lines in any order and gives them in the order of their keys; those of one key in the order they came.

    A line is ``(key, content, note)``. Strings in the order of their code points are in that of their UTF-8 bytes, too. What
    doesn't fit into memory waits in a file without a name in ``folder``, which ends with the process, however that ends.

    :raises OSError: from each method, when the disk fails.
    """

    def __init__(self, folder: Path, run_bytes: int = _RUN_BYTES) -> None:
        self._folder = folder
        self._run_bytes = run_bytes
        self._run: list[Line] = []
        self._size = 0
        self._file: int | None = None
        self._runs: list[tuple[int, int]] = []

    def add(self, key: str, content: bytes, note: str = "") -> None:
        """Take a line."""
        # A copy: what orjson gives (3.13) takes up to eight times the memory of its length.
        self._run.append((key, bytes(memoryview(content)), note))
        self._size += len(key) + len(content) + len(note)
        if self._size >= self._run_bytes or len(self._run) >= _RUN_LINES:
            self._spill()

    def __iter__(self) -> Iterator[Line]:
        """All lines taken, in order."""
        self._run.sort(key=itemgetter(0))
        if not self._runs:
            yield from self._run
            return
        block = max(16 << 10, min(_BLOCK_BYTES, _MERGE_BYTES // len(self._runs)))
        runs = [self._read(start, end, block) for start, end in self._runs]
        yield from heapq.merge(*runs, self._run, key=itemgetter(0))

    def close(self) -> None:
        """Forget all of it."""
        self._run = []
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _spill(self) -> None:
        if self._file is None:
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                self._file = os.dup(file.fileno())
        self._run.sort(key=itemgetter(0))
        start = os.lseek(self._file, 0, os.SEEK_CUR)
        parts: list[bytes] = []
        size = 0
        for key, content, note in self._run:
            name, told = key.encode(), note.encode("utf-8", "surrogatepass")
            parts += (_HEADER.pack(len(name), len(content), len(told)), name, content, told)
            size += len(content)
            if size >= _WRITE_BYTES:
                self._write(parts)
                parts, size = [], 0
        self._write(parts)
        self._runs.append((start, os.lseek(self._file, 0, os.SEEK_CUR)))
        self._run, self._size = [], 0

    def _write(self, parts: list[bytes]) -> None:
        assert self._file is not None
        view = memoryview(b"".join(parts))
        while view:
            view = view[os.write(self._file, view) :]

    def _read(self, start: int, end: int, block: int) -> Iterator[Line]:
        assert self._file is not None
        buffer, at = b"", 0
        while True:
            needed = _HEADER.size
            if len(buffer) - at >= needed:
                sizes = _HEADER.unpack_from(buffer, at)
                needed += sum(sizes)
                if len(buffer) - at >= needed:
                    at += _HEADER.size
                    key, content, note = (buffer[at : (at := at + size)] for size in sizes)
                    yield key.decode(), content, note.decode("utf-8", "surrogatepass")
                    continue
            if start >= end:
                return
            more = os.pread(self._file, min(max(block, needed), end - start), start)
            if not more:
                raise OSError(f"what was sorted on disk in {self._folder} can't be read back")
            start += len(more)
            buffer, at = buffer[at:] + more, 0
