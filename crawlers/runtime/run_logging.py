"""Writes the log of a run, beside what goes to the container's log: each line at once, so that one that is killed loses none.

Nothing is written before the run has the source's lock: until then its lines wait.
"""

import logging
import os
from pathlib import Path
from types import TracebackType

from crawlers.runtime.errors import FleetError, Interrupted, StuckError
from crawlers.runtime.housekeeping_table import Housekeeping
from crawlers.runtime.logs import as_json, context, describe
from crawlers.runtime.run_log import LOGS, SUFFIX, LogFile, find_log_files

logger = logging.getLogger(__name__)

_WAITING_MAX = 1000


class RunLogHandler(logging.Handler):
    """As a context manager, it takes what the process logs, and writes it from ``begin`` on. Where the disk fails, it falls silent."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[logging.LogRecord] = []
        self._file: _Parts | None = None
        self._failed = False

    def __enter__(self) -> "RunLogHandler":
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        if error is not None and kind is not None and not issubclass(kind, StuckError):  # the watchdog wrote that
            known = issubclass(kind, FleetError | Interrupted)  # a person can act on it: the text says all
            level, info = logging.ERROR, None if known else (kind, error, traceback)
            text = str(error) or kind.__name__
            self.handle(logging.LogRecord(__name__, level, __file__, 0, "%s", (text,), info))
        if self._file:
            self._file.close()
        self.close()

    def begin(self, state_dir: Path, source: str, run: str, keeping: Housekeeping) -> None:
        """The run has begun, and holds the source's lock: keep its log, and remove the oldest of those before it."""
        context.source, context.run = source, run
        try:
            self._file = _Parts(state_dir, run, int(keeping.log_mb * (1 << 20)))
            remove_old_logs(state_dir, keeping.logs)
        except OSError as error:
            self._fail(error)
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            self.handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        if self._file is None:
            if not self._failed and len(self._waiting) < _WAITING_MAX:
                self._waiting.append(record)
            return
        try:
            self._file.write(as_json(describe(record)).encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._file, self._failed = None, True
        logger.warning("%s: the log of this run can't be kept: %s", context.source, error)


def remove_old_logs(state_dir: Path, keep: int) -> list[Path]:
    """Remove all logs but those of the newest ``keep`` runs; returns the files."""
    removed = [file.path for file in find_old_logs(state_dir, keep)]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def find_old_logs(state_dir: Path, keep: int) -> list[LogFile]:
    """The files of all logs but those of the newest ``keep`` runs."""
    files = find_log_files(state_dir)
    newest = set(sorted({file.run for file in files})[-max(keep, 1) :])
    return [file for file in files if file.run not in newest]


class _Parts:
    """The files of a log: half of what it may take is its head, the other half two parts of the tail, of which the older goes."""

    def __init__(self, state_dir: Path, run: str, max_bytes: int) -> None:
        self._state_dir = state_dir
        self._run = run
        self._start = 0
        self._part_bytes = max_bytes // 2
        self._tail_bytes = max_bytes // 4
        (state_dir / LOGS).mkdir(parents=True, exist_ok=True)
        self._descriptor = _open(state_dir / LOGS / f"{run}{SUFFIX}")

    def write(self, line: bytes) -> None:
        size = os.fstat(self._descriptor).st_size  # not only we write to it: the watchdog has its say, too
        if size and size + len(line) > self._part_bytes:
            self._begin_part(self._start + size)
        view = memoryview(line)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        os.close(self._descriptor)

    def _begin_part(self, start: int) -> None:
        os.close(self._descriptor)
        self._descriptor = _open(self._state_dir / LOGS / f"{self._run}+{start}{SUFFIX}")
        self._start, self._part_bytes = start, self._tail_bytes
        tail = [file for file in find_log_files(self._state_dir) if file.run == self._run and file.start]
        for file in tail[:-2]:
            file.path.unlink(missing_ok=True)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
