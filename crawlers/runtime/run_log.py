"""The logs of a source's last runs: ``<source>_state/logs/<run>.ndjson``, one JSON object a line.

Of a run that says more than is kept, the head and the tail are: after the head, each part of the log is a file of its own,
``<run>+<byte>.ndjson``, which begins at that byte of the whole log, and of these only the last ones stay. So a place in a log is a
number that stays the same, whatever is dropped.
"""

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from crawlers.runtime.errors import UsageError
from crawlers.runtime.json_files import decode
from crawlers.runtime.logs import format_moment

LOGS = "logs"
SUFFIX = ".ndjson"
_NAME = re.compile(r"(?P<run>\d{8}T\d{6}\.\d{6}-\d{1,10})(?:\+(?P<start>\d{1,15}))?\.ndjson", re.ASCII)
_LEAST_BYTES = 256 << 10  # more than any line has


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
    """A part of a log. ``next_byte``: where the next one begins; ``more``: whether there is more now; ``left_out``: how many bytes
    that are no longer kept would have been in it."""

    lines: list[LogLine]
    next_byte: int
    more: bool = False
    left_out: int = 0


class LogFile(NamedTuple):
    """A file of the log of ``run``, which begins at the byte ``start`` of it."""

    run: str
    start: int
    path: Path


def list_run_logs(state_dir: Path) -> list[RunLog]:
    """The runs of the source whose state folder is ``state_dir`` that have a log, the newest first."""
    found: dict[str, RunLog] = {}
    for file in find_log_files(state_dir):
        try:
            status = file.path.lstat()
        except OSError:  # dropped just now
            continue
        log = found.setdefault(file.run, RunLog(run=file.run, bytes=0, at=""))
        log.bytes += status.st_size
        log.at = max(log.at, format_moment(status.st_mtime))
    return list(found.values())[::-1]


def find_log_files(state_dir: Path) -> list[LogFile]:
    """The files of all logs, by run, the oldest first, and within a run from its head to its tail."""
    names = _NAME.fullmatch
    paths = ((path, names(path.name)) for path in (state_dir / LOGS).glob(f"*{SUFFIX}"))
    return sorted(LogFile(found["run"], int(found["start"] or 0), path) for path, found in paths if found)


def read_run_log(
    state_dir: Path, run: str, after_byte: int = 0, max_bytes: int = 1 << 20, level: str = "DEBUG"
) -> LogPart:
    """Lines of the log of ``run`` from ``after_byte`` on, about ``max_bytes`` of it, those of ``level`` and above.

    To follow a log, ask again with the part's ``next_byte``. A line that is just being written is not in it yet.

    :raises UsageError: there is no log of such a run, or no such level.
    """
    least = _number_of(level)
    files = [file for file in find_log_files(state_dir) if file.run == run]
    if not files:
        known = ", ".join(log.run for log in list_run_logs(state_dir)[:3]) or "none"
        raise UsageError(f"there is no log of a run {run[:60]!r}; the latest are: {known}")
    part = LogPart(lines=[], next_byte=max(after_byte, 0))
    for number, file in enumerate(files):
        content, size = _read(file.path, part.next_byte - file.start, max(max_bytes, _LEAST_BYTES))
        if part.next_byte >= file.start + size:
            continue
        if part.next_byte < file.start:
            part.left_out += file.start - part.next_byte
            part.next_byte = file.start
        whole = content[: content.rfind(b"\n") + 1]
        part.next_byte += len(whole)
        part.lines += (line for line in map(_decode, whole.splitlines()) if line and _number_of(line.level) >= least)
        part.more = part.next_byte < file.start + size and len(whole) > 0
        part.more = part.more or (number + 1 < len(files) and len(whole) == len(content))
        break
    return part


def _read(path: Path, start: int, max_bytes: int) -> tuple[bytes, int]:
    """At most ``max_bytes`` of the file from ``start`` on, and its size; nothing of one that was dropped just now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b"", 0
    try:
        return os.pread(descriptor, max_bytes, max(start, 0)), os.fstat(descriptor).st_size
    except OSError:  # a pipe, or a folder
        return b"", 0
    finally:
        os.close(descriptor)


def _decode(line: bytes) -> LogLine | None:
    try:
        return decode(line, LogLine)
    except ValueError:  # torn by a power cut
        return None


def _number_of(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise UsageError(f"{level[:20]!r} is no level; known are DEBUG, INFO, WARNING, ERROR, CRITICAL")
    return number
