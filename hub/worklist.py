"""The hub's worklist: its jobs, which wait, which are being done, and how those of late ended.

A job is a dump, an upload, a comparison of releases that the hub does by itself, or a diff that a person asked for.
"""

import itertools
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError, UsageError
from hub.progress import Progress, StoppedError, ask_to_stop, current_job, forget_progress, read_progress

logger = logging.getLogger(__name__)

THE_HUB = "the hub"
_REMEMBERED = 200
_TIDY_EVERY = 500
_OF_THE_MOMENT = ("progress", "stopping", "unstoppable")
State = Literal["queued", "running", "done", "nothing to do", "failed", "cancelled"]
# Why jobs of each kind can't be stopped; an upload can.
_UNSTOPPABLE = {
    "dump": "a dump links files and takes moments: what was taken up can be left out by rolling back",
    "compare": "it changes nothing that is live, and the hub needs what it counts: it ends by itself",
    "diff": "it changes nothing, and others may wait for the same: it ends by itself",
}


class Job(msgspec.Struct, kw_only=True):
    """``job``: its name. ``action``: dump, upload, compare or diff. ``by``: who asked for it. Times are ISO 8601 in UTC, empty before.

    ``release``, ``documents``, ``rejects``: what came of it; ``reason``: why it failed or was stopped.
    ``stopping``: who asked to stop it. ``unstoppable``: why it can't be stopped; empty where it can.
    ``progress``: how far it is; null where that isn't told.
    """

    job: str
    source: str
    action: str
    by: str
    asked: str
    started: str = ""
    ended: str = ""
    state: State = "queued"
    release: str | None = None
    documents: int | None = None
    rejects: int | None = None
    reason: str = ""
    stopping: str = ""
    unstoppable: str = ""
    progress: Progress | None = None


class JobBook(Protocol):
    """Where jobs are noted: ``hub.books.Books``."""

    def note_job(self, entry: dict[str, Any]) -> None: ...

    def forget_jobs(self) -> None: ...


class Worklist:
    """``folder``: where workers tell how far they are; ``books``: where jobs that ended are noted for good."""

    def __init__(self, folder: Path, books: JobBook) -> None:
        self._folder = folder
        self._books = books
        self._open: dict[str, Job] = {}
        self._ended: deque[Job] = deque(maxlen=_REMEMBERED)
        self._numbers, self._kept = itertools.count(), itertools.count()

    @contextmanager
    def job(self, action: str, source: str, by: str) -> Iterator[Job]:
        """The block is the job, which is queued until ``start``; how it ends, the job does."""
        job = Job(
            job=f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{next(self._numbers)}",
            source=source,
            action=action,
            by=by,
            asked=_now(),
            unstoppable=_UNSTOPPABLE.get(action, ""),
        )
        self._open[job.job] = job
        current_job.set(job.job)
        try:
            yield job
            job.state = job.state if job.state == "nothing to do" else "done"
        except StoppedError as error:
            job.state, job.reason = "cancelled", str(error)
            raise
        except BaseException as error:
            job.state, job.reason = "failed", (str(error) or type(error).__name__)[:2_000]
            raise
        finally:
            current_job.set("")
            del self._open[job.job]
            told = read_progress(self._folder, job.job)
            job.started, job.ended = job.started or (told.started if told else ""), _now()
            self._ended.append(job)
            forget_progress(self._folder, job.job)

    def begin(self, job: Job, *, in_worker: bool) -> None:
        """It waits for no other job of its source any more. ``in_worker``: it is under way once a worker has taken it.

        :raises StoppedError: it was stopped while it waited.
        """
        if job.stopping:
            raise StoppedError(f"{job.source}: stopped by {job.stopping} before it began. Nothing was changed.")
        if not in_worker:
            job.state, job.started = "running", _now()

    def settle(self, job: Job, found: Any) -> None:
        """Note what came of it."""
        if isinstance(found, dict):
            job.release = found.get("release") or job.release
            job.documents, job.rejects = found.get("documents"), found.get("rejects")
            if found.get("outcome") == "nothing to do":
                job.state = "nothing to do"

    def keep(self, job: Job) -> None:
        """Note it in the books, where it did or changed anything."""
        if job.state == "nothing to do" and job.by == THE_HUB:
            return
        try:
            told = msgspec.to_builtins(job)
            self._books.note_job({key: value for key, value in told.items() if key not in _OF_THE_MOMENT})
            if next(self._kept) % _TIDY_EVERY == 0:
                self._books.forget_jobs()
        except PyMongoError as error:
            logger.warning("%s: the job %s is not noted: %s", job.source, job.job, error)

    def stop(self, name: str, by: str) -> Job:
        """Have the job stopped: at once if it waits, else as soon as nothing is lost by it.

        :raises UsageError: there is no such job. :raises FleetError: it can't be stopped; says why.
        """
        job = self._open.get(name)
        if job is None:
            ended = next((it for it in self._ended if it.job == name), None)
            if ended:
                raise FleetError(f"the job {name} has ended: {ended.state}")
            raise UsageError(f"no job is called {name[:80]!r}. `fleet jobs` lists them")
        if job.unstoppable:
            raise FleetError(f"{job.source}: the {job.action} can't be stopped: {job.unstoppable}")
        if not job.stopping:
            job.stopping = by
            ask_to_stop(self._folder, job.job, by)
            logger.info("%s: the %s %s is to be stopped, says %s", job.source, job.action, job.job, by)
        return job

    def list_open(self) -> list[Job]:
        """The jobs that wait or are being done, those under way first, with how far they are. Reads files."""
        found = [
            msgspec.structs.replace(job, progress=read_progress(self._folder, job.job))
            for job in list(self._open.values())
        ]
        for job in found:
            if job.progress and not job.started:
                job.state, job.started = "running", job.progress.started
        return sorted(found, key=lambda job: (job.state == "queued", job.asked, job.job))

    def list_ended(self) -> list[Job]:
        """Those that ended since the hub started, the latest first; the books know more."""
        return list(self._ended)[::-1]

    def signature(self) -> tuple[object, ...]:
        """What differs once a job came, began, came further or ended."""
        try:
            told = self._folder.stat().st_mtime_ns
        except OSError:
            told = 0
        return (told, len(self._open), *(f"{job.job} {job.state} {job.stopping}" for job in list(self._open.values())))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
