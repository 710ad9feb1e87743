"""How far a job in a worker process is, and how it is told to stop: by small files, as a worker shares nothing else with the hub.

``<data>/hub/progress/<job>.json`` is there while a worker is at the job; ``<job>.cancel`` asks it to stop, and holds who did. Both
end with the job; what a killed hub left is removed when it starts.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.errors import ReleaseError
from hub.settings import HubSettings

_EVERY_SECONDS = 0.5

# The job that this process, thread or task is at: log lines carry it.
current_job: ContextVar[str] = ContextVar("current_job", default="")
_telling: ContextVar["_Telling | None"] = ContextVar("telling", default=None)


class StoppedError(ReleaseError):
    """A person had the job stopped; what is live stayed as it was."""


class Progress(msgspec.Struct, kw_only=True):
    """``pid``: the worker's; ``started``, ``at``: ISO 8601 in UTC. ``done`` of ``total`` bytes were read; both 0 where that is not told.
    ``documents``, ``rejects``: so far.
    """

    pid: int
    started: str
    at: str
    done: int = 0
    total: int = 0
    documents: int = 0
    rejects: int = 0


def as_job(call: Callable[[], Any], folder: Path) -> Callable[[], Any]:
    """``call``, for a worker process, as the job that is under way here, to be followed in ``folder``."""
    job = current_job.get()
    return partial(_work, job, folder, call) if job else call


def progress_folder(settings: HubSettings) -> Path:
    return settings.runtime.data_dir / "hub" / "progress"


def clear_progress(folder: Path) -> None:
    """Start with none: no worker of an earlier hub is left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def read_progress(folder: Path, job: str) -> Progress | None:
    """How far the job is; None where no worker is at it."""
    try:
        return msgspec.json.decode((folder / f"{job}.json").read_bytes(), type=Progress)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def ask_to_stop(folder: Path, job: str, by: str) -> None:
    """Have the job end with ``StoppedError`` as soon as it comes to a point where nothing is lost by that."""
    (folder / f"{job}.cancel").write_text(by, encoding="utf-8")


def forget_progress(folder: Path, job: str) -> None:
    """The job has ended."""
    for suffix in (".json", ".cancel"):
        (folder / f"{job}{suffix}").unlink(missing_ok=True)


def tell(done: int, total: int, documents: int, rejects: int) -> None:
    """Note how far this process is with its job; nothing, where it has none.

    :raises StoppedError: it shall stop.
    """
    telling = _telling.get()
    if telling:
        telling.tell(done, total, documents, rejects)


def stop_if_asked() -> None:
    """:raises StoppedError: the job shall stop."""
    telling = _telling.get()
    if telling:
        telling.stop_if_asked()


class _Telling:
    def __init__(self, folder: Path, job: str) -> None:
        self._path = folder / f"{job}.json"
        self._cancel = folder / f"{job}.cancel"
        self._progress = Progress(pid=os.getpid(), started=_now(), at=_now())
        self._told = 0.0

    def tell(self, done: int, total: int, documents: int, rejects: int) -> None:
        now = time.monotonic()
        if now - self._told < _EVERY_SECONDS:
            return
        self._told = now
        self.stop_if_asked()
        progress = self._progress
        progress.done, progress.total, progress.documents, progress.rejects = done, total, documents, rejects
        self.write()

    def stop_if_asked(self) -> None:
        try:
            by = self._cancel.read_text(encoding="utf-8")
        except OSError:
            return
        raise StoppedError(
            f"stopped by {by}. The live collection stays as it was; `fleet upload` loads the release again."
        )

    def write(self) -> None:
        self._progress.at = _now()
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_bytes(msgspec.json.encode(self._progress))
            temporary.replace(self._path)
        except OSError:  # a full disk is told elsewhere: the job itself matters more
            temporary.unlink(missing_ok=True)


def _work(job: str, folder: Path, call: Callable[[], Any]) -> Any:
    telling = _Telling(folder, job)
    telling.write()  # the hub removes it once it knows how the job ended
    tokens = current_job.set(job), _telling.set(telling)
    try:
        return call()
    finally:
        current_job.reset(tokens[0])
        _telling.reset(tokens[1])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
