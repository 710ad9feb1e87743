"""The hub's log in a file, for people who look at it in a browser: ``<logs>/hub.ndjson``, a JSON object a line.

What the hub and its workers log goes there beside the terminal, secrets masked, each event as one line in one write, so that processes don't mix.
Only the hub itself starts a new file when one is full; the one before is kept as ``hub.ndjson.1``. Workers notice.
"""

import logging
import os
import traceback
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crawlers.runtime.masking import mask
from hub.progress import current_job
from hub.settings import HubSettings

_MAX_BYTES = 8 << 20
_MESSAGE_CHARACTERS = 20_000
_TRACE_CHARACTERS = 40_000
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class HubLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event. ``at``: ISO 8601 in UTC; ``job``: the job that it is of, if any; ``trace``: of an error, with its stack."""

    at: str
    level: str
    logger: str
    message: str
    job: str = ""
    trace: str = ""


class HubLogPart(msgspec.Struct, kw_only=True):
    """Lines of the log, the earliest first. ``cursor``: from where to ask for what comes after them."""

    lines: list[HubLine]
    cursor: str


class HubLogHandler(logging.Handler):
    """Writes to ``path``, which it makes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._owner = os.getpid()
        self._descriptor = -1
        path.parent.mkdir(parents=True, exist_ok=True)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._open(), msgspec.json.encode(_line(record)) + b"\n")
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        super().close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        if self._descriptor >= 0:
            ours = os.fstat(self._descriptor)
            if ours.st_size >= _MAX_BYTES and os.getpid() == self._owner:
                self._path.replace(_previous(self._path))
            try:
                if self._path.stat().st_ino == ours.st_ino:
                    return self._descriptor
            except FileNotFoundError:
                pass
            os.close(self._descriptor)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        return self._descriptor


def log_path(settings: HubSettings) -> Path:
    return settings.log_dir / "hub.ndjson"


def keep_log(settings: HubSettings) -> None:
    """From now on, what this process and those that it forks log is also in the file."""
    handler = HubLogHandler(log_path(settings))
    handler.setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)


def read_log(
    path: Path, *, cursor: str = "", level: str = "INFO", text: str = "", job: str = "", last: int = 500
) -> HubLogPart:
    """The last lines of the log, or those after ``cursor``: of ``level`` and above, with ``text`` in them, of the job ``job``."""
    inode, _, offset = cursor.partition("-")
    lines: deque[HubLine] = deque(maxlen=last)
    for file in (_previous(path), path):
        try:
            with file.open("rb") as opened:
                found = os.fstat(opened.fileno())
                if inode and str(found.st_ino) == inode and offset.isdecimal():
                    opened.seek(min(int(offset), found.st_size))
                elif inode and file != path:
                    continue  # the cursor is in the newer file, or in none any more
                lines.extend(_select(opened, level, text, job))
                here = f"{found.st_ino}-{opened.tell()}"
        except FileNotFoundError:
            continue
        cursor = here
    return HubLogPart(lines=list(lines), cursor=cursor)


def _select(file: Iterator[bytes], level: str, text: str, job: str) -> Iterator[HubLine]:
    least, wanted, of_job = _LEVELS.get(level, 0), text.lower(), job.encode()
    for raw in file:
        if of_job not in raw:
            continue
        try:
            line = msgspec.json.decode(raw, type=HubLine)
        except (msgspec.DecodeError, UnicodeDecodeError):  # torn by a full disk
            continue
        if _LEVELS.get(line.level, 50) < least or (job and line.job != job):
            continue
        if not wanted or wanted in f"{line.logger} {line.message} {line.trace}".lower():
            yield line


def _line(record: logging.LogRecord) -> HubLine:
    trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
    message, _, rest = record.getMessage().partition("\nTraceback (most recent call last)")
    if rest:  # some log the stack as a part of what they say
        trace = trace or f"Traceback (most recent call last){rest}"
    return HubLine(
        at=datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        level=record.levelname,
        logger=record.name,
        message=mask(message[:_MESSAGE_CHARACTERS]),
        job=current_job.get(),
        trace=mask(trace[-_TRACE_CHARACTERS:]),
    )


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
