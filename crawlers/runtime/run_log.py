"""The logs of a source's last runs: ``<source>_state/logs/<run>.ndjson``, one JSON object a line.

Of a run that says more than is kept, the head and the tail are: the rest of the file's bytes is then in ``<run>+<byte>.ndjson``,
which begins with that byte of the whole log. So a place in a log is a number that stays, whatever is dropped.
"""

from pathlib import Path

import msgspec

LOGS = "logs"


class LogLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event. ``at``: ISO 8601 in UTC, to the millisecond; ``level``: ``INFO`` and the like; ``trace``: of an error, with its stack."""

    at: str
    level: str
    logger: str
    source: str = ""
    run: str = ""
    message: str = ""
    trace: str = ""


class RunLog(msgspec.Struct, kw_only=True):
    """A run whose log is kept. ``bytes``: what it takes; ``at``: when it was written to last, ISO 8601 in UTC."""

    run: str
    bytes: int
    at: str


class LogPart(msgspec.Struct, kw_only=True):
    """A part of a log. ``next_byte``: where the next one begins; ``more``: whether there is more now; ``left_out``: bytes that
    are no longer kept and would have been in it."""

    lines: list[LogLine]
    next_byte: int
    more: bool = False
    left_out: int = 0


def list_run_logs(state_dir: Path) -> list[RunLog]:
    """The runs of the source whose state folder is ``state_dir`` that have a log, the newest first."""
    raise NotImplementedError


def read_run_log(
    state_dir: Path, run: str, after_byte: int = 0, max_bytes: int = 1 << 20, level: str = "DEBUG"
) -> LogPart:
    """Lines of the log of ``run`` from ``after_byte`` on, about ``max_bytes`` of it, those of ``level`` and above.

    To follow a log, ask again with the part's ``next_byte``. A line that is just being written is not in it yet.

    :raises UsageError: there is no log of such a run.
    """
    raise NotImplementedError
