"""The runs of a source's crawler as Prometheus wants them: counted since the hub started, and the last one that ended.

Of a history, which may have years of runs, no more is read than its end, and only when it has grown.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.history import HISTORY, RunEntry, read_last_run
from crawlers.runtime.json_files import decode

# Some dozens of runs: more than can end between two looks.
_TAIL_BYTES = 256 << 10
# What became of a run; anything else counts as `other`, so that what somebody wrote into a file makes no new series.
OUTCOMES = (
    "published",
    "unchanged",
    "held",
    "approved",
    "discarded",
    "empty",
    "partial",
    "failed",
    "stuck",
    "interrupted",
    "killed",
    "other",
)
_BY_A_PERSON = frozenset({"approved", "discarded"})


@dataclass
class Runs:
    """Of one source. ``outcomes``: runs by what became of them, since this hub first looked; ``requests``: theirs.

    ``last``: the last run that ended; None where none is known. What a person did with a held release counts as an outcome.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    last: RunEntry | None = None
    _last_line: bytes | None = None
    _state: tuple[int, int, int] | None = None

    def look(self, folder: Path) -> None:
        """Take up what ended in the release folder ``folder`` since the last look.

        :raises ReleaseError: what lies there can't be read.
        """
        try:
            self._read_history(folder / HISTORY)
        except OSError as error:
            raise ReleaseError(f"{folder / HISTORY} can't be read: {error}") from error
        run = read_last_run(folder)
        if run and run.outcome != "running":  # it may have been killed, or approved: its line doesn't tell that
            self.last = run

    def _read_history(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self._last_line = self._last_line or b""
            return
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            if state == self._state:
                return
            file.seek(max(0, status.st_size - _TAIL_BYTES))
            lines = [line for line in file.read(_TAIL_BYTES).split(b"\n") if line]
        self._state = state
        new = self._find_new(lines)
        for line in lines if self.last is None else new:
            if (run := _decode(line)) and run.outcome not in _BY_A_PERSON:
                self.last = run
        for run in filter(None, map(_decode, new)):
            self.outcomes[run.outcome if run.outcome in OUTCOMES else "other"] += 1
            self.requests += 0 if run.outcome in _BY_A_PERSON else run.counts.requests

    def _find_new(self, lines: list[bytes]) -> list[bytes]:
        """Those after the last one that is known; at the first look, none."""
        first_look, last = self._last_line is None, self._last_line
        self._last_line = lines[-1] if lines else b""
        if first_look:
            return []
        return lines[lines.index(last) + 1 :] if last in lines else lines


def _decode(line: bytes) -> RunEntry | None:
    try:
        return decode(line, RunEntry)
    except ValueError:  # torn, or cut by where the tail begins
        return None
