"""The intake: sees to it that what is published gets archived, and what is archived goes live, or what is pinned.

It compares what is there (files on the shared volume, folders in the archive, the live collection) and starts what is missing.
So it needs no queue that a crash could lose: an upload that was cut off is simply still missing.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo.errors import PyMongoError
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from crawlers.runtime.errors import FleetError, ReleaseError
from crawlers.runtime.release import RELEASE, release_folder
from hub.books import Books
from hub.dataload.archive import Archived, find_archived
from hub.dataload.changes import has_all_changes
from hub.dataload.live import LiveRelease
from hub.dataload.pin import find_wanted
from hub.dataload.upload import DatabaseError
from hub.settings import HubSettings
from hub.signatures import Signature, sign_all
from hub.worklist import THE_HUB, Job, Worklist

logger = logging.getLogger(__name__)
# After a failure that may pass: at first soon, then more and more seldom.
_FIRST_RETRY_SECONDS = 10.0
_RETRY_SECONDS = 3600.0
# Also a source whose files have not changed is looked at so often: no signature covers all that people do to files.
_LOOK_SECONDS = 60.0
# Not every write: crawlers write all the time.
_EVENTS: list[type[FileSystemEvent]] = [FileMovedEvent, FileCreatedEvent, FileClosedEvent]

Action = Callable[..., Coroutine[Any, Any, Any]]


@dataclass
class _Known:
    """What the intake knows of a source. ``seen``: the release file that the last dump dealt with.

    ``wanted``: the release that is to be live; None also where the pin can't be used, which the status tells.
    ``tried_release``: what the last upload set out to load; a later one may have been archived since.
    ``compared_release``: the latest archived when releases were last compared outside of an upload.
    ``looked``: the signature of its files before the last look, and when that was.
    ``whole``: whether the live collection holds what was loaded. ``checked``: whether that and ``live`` are known.
    ``collections``: held by what changes the source's collections, or looks at them: what is half changed would look broken.
    """

    seen: tuple[int, ...] | None = None
    archived: Archived | None = None
    wanted: Archived | None = None
    live: LiveRelease | None = None
    whole: bool = True
    tried_release: str = ""
    failed_release: str = ""
    compared_release: str = ""
    looked: tuple[Signature, float] = ((), 0.0)
    retry_at: float = 0.0
    failures: int = 0
    checked: bool = False
    cleaned: bool = False
    collections: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: dict[str, asyncio.Task[Any]] = field(default_factory=dict)


class Intake:
    """``find_sources`` gives the names of the sources, asked for at each round; ``actions``: ``dump``, ``compare`` and
    ``upload``, each a coroutine function of a source's name; ``worklist``: is told of each.
    """

    def __init__(
        self,
        settings: HubSettings,
        find_sources: Callable[[], list[str]],
        books: Books,
        actions: dict[str, Action],
        worklist: Worklist,
    ) -> None:
        self._settings = settings
        self._worklist = worklist
        self._books = books
        self._actions = actions
        self._find_sources = find_sources
        self._known: defaultdict[str, _Known] = defaultdict(_Known)
        self._wake = asyncio.Event()
        self._observer: Any = None
        # When all sources were last looked at, in Unix time; 0 before the first time.
        self.last_round = 0.0

    async def run(self) -> None:
        """Look now, whenever the file system tells of a release, and every ``poll_seconds``; until cancelled."""
        await asyncio.to_thread(self._watch, asyncio.get_running_loop())
        try:
            while True:
                self._wake.clear()
                names = self._find_sources()
                signatures = await asyncio.to_thread(sign_all, self._settings, names)
                for name in names:
                    if not self._is_quiet(self._known[name], signatures[name]):
                        await self._look(name)
                        self._known[name].looked = (signatures[name], time.monotonic())
                self.last_round = time.time()
                try:
                    await asyncio.wait_for(self._wake.wait(), self._settings.poll_seconds)
                except TimeoutError:
                    continue
        finally:
            if self._observer:
                self._observer.stop()

    def start(self, action: str, name: str, by: str = THE_HUB, **options: Any) -> "asyncio.Task[Any]":
        """The task that does ``action`` for the source ``name``: the one under way, or a new one, which ``by`` asks for."""
        tasks = self._known[name].tasks
        if action not in tasks:
            tasks[action] = asyncio.create_task(self._act(action, name, by, options))
            tasks[action].add_done_callback(lambda task: self._done(action, name, task))
        return tasks[action]

    async def _act(self, action: str, name: str, by: str, options: dict[str, Any]) -> Any:
        job = None
        try:
            with self._worklist.job(action, name, by) as job:
                found = await self._act_told(job, options)
                self._worklist.settle(job, found)
                return found
        finally:
            if job:
                await asyncio.to_thread(self._worklist.keep, job)

    async def _act_told(self, job: Job, options: dict[str, Any]) -> Any:
        try:
            return await self._act_once(job, options)
        except PyMongoError as error:
            logger.error("%s: %s failed: %s", job.source, job.action, error)
            raise DatabaseError(
                f"{job.source}: the {job.action} failed, as the database can't be used: {type(error).__name__}: {str(error)[:500]}. "
                "The live collection stays as it was; it will be tried again once the database is back."
            ) from error

    async def _act_once(self, job: Job, options: dict[str, Any]) -> Any:
        action, name = job.action, job.source
        if action == "dump":
            self._worklist.begin(job, in_worker=False)
            return await self._actions[action](name, **options)
        known = self._known[name]
        async with known.collections:
            if action == "upload":
                known.tried_release = ""
                wanted = await asyncio.to_thread(find_wanted, self._settings.archive_dir / name)
                known.tried_release = job.release = wanted.release.text if wanted else ""
            self._worklist.begin(job, in_worker=True)
            return await self._actions[action](name, **options)

    def hold(self, name: str) -> asyncio.Lock:
        """To be held by what changes the archive or the collections of the source ``name``: no upload is under way then."""
        return self._known[name].collections

    async def bring_about(self, name: str, by: str = THE_HUB) -> Any:
        """Make live what is wanted now, and wait for it: after another release was pinned, or none.

        :raises FleetError: it failed.
        """
        known = self._known[name]
        known.failed_release = ""  # a person wants it: what failed is tried again
        if under_way := known.tasks.get("upload"):
            await asyncio.wait([under_way])  # of what was wanted before, perhaps; it is told elsewhere how it ended
        return await asyncio.shield(self.start("upload", name, by))

    def under_way(self, name: str) -> list[str]:
        """The actions under way for the source ``name``."""
        return sorted(self._known[name].tasks)

    def _done(self, action: str, name: str, task: "asyncio.Task[Any]") -> None:
        known = self._known[name]
        del known.tasks[action]
        known.checked = False
        if not task.cancelled() and (error := task.exception()):
            if not isinstance(error, FleetError):
                logger.error("%s: %s failed: %r", name, action, error)
            if action == "upload":
                known.cleaned = False
                known.failed_release = known.tried_release
                # What is wrong with the release stays wrong; what was wrong with the database may pass.
                passing = isinstance(error, DatabaseError) or not isinstance(error, FleetError)
                wait = min(_FIRST_RETRY_SECONDS * 4 ** min(known.failures, 10), _RETRY_SECONDS)
                known.retry_at = time.monotonic() + wait if passing else float("inf")
                known.failures += 1
        elif action == "upload":
            known.failures = 0
        self._wake.set()

    async def _look(self, name: str) -> None:
        known = self._known[name]
        try:
            seen, archived, wanted = await asyncio.to_thread(self._read, name)
            if not known.checked and not known.collections.locked():
                async with known.collections:
                    await asyncio.to_thread(self._read_live, name, known)
        except Exception as error:  # whatever it is, the other sources are looked at, and this one again
            logger.warning("%s: can't be looked at, will be tried again: %s: %s", name, type(error).__name__, error)
            return
        known.archived, known.wanted = archived, wanted
        if seen != known.seen and "dump" not in known.tasks:
            known.seen = seen
            if seen:
                self.start("dump", name)
        if "upload" in known.tasks:
            return
        if wanted and not self._is_settled(known, wanted.release.text):
            self.start("upload", name, force=not known.whole)
        elif archived and archived.release.text != known.compared_release and "compare" not in known.tasks:
            known.compared_release = archived.release.text
            if not await asyncio.to_thread(has_all_changes, self._settings.archive_dir / name):
                self.start("compare", name)

    def _is_quiet(self, known: _Known, signature: Signature) -> bool:
        """Whether a look would find nothing to do: nothing is under way, what is wanted is live, and no file changed since the last."""
        looked, at = known.looked
        if signature != looked or time.monotonic() - at > _LOOK_SECONDS or not known.checked or known.tasks:
            return False
        return known.wanted is None or self._is_live(known, known.wanted.release.text)

    def _is_live(self, known: _Known, release: str) -> bool:
        return bool(known.live and known.live.release == release and known.whole)

    def _is_settled(self, known: _Known, release: str) -> bool:
        if self._is_live(known, release):
            return True
        return known.failed_release == release and time.monotonic() < known.retry_at

    def _read(self, name: str) -> tuple[tuple[int, ...] | None, Archived | None, Archived | None]:
        path = release_folder(self._settings.runtime.shared_dir, name) / RELEASE
        try:
            status = path.lstat()
            seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError:
            seen = None
        archive = self._settings.archive_dir / name
        try:
            wanted = find_wanted(archive)
        except ReleaseError:
            wanted = None
        return seen, find_archived(archive), wanted

    def _read_live(self, name: str, known: _Known) -> None:
        if not known.cleaned:  # until none is listed any more: a drop may come too early for the database
            known.cleaned = not self._books.live.drop_temporary(name)
        known.live = self._books.live.find(name)
        known.whole = known.live is None or self._books.is_whole(name, known.live.documents)
        known.checked = known.cleaned
        if known.live and not known.whole:
            release = known.live.release
            logger.warning("%s: the live collection is not what was loaded as %s: it is loaded again", name, release)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the file system tell of releases. Where it can't (NFS, SMB, too many watches) there is still the poll."""
        shared_dir: Path = self._settings.runtime.shared_dir
        try:
            shared_dir.mkdir(parents=True, exist_ok=True)
            observer = Observer()
            handler = _ReleaseHandler(loop, self._wake)
            observer.schedule(handler, str(shared_dir), recursive=True, event_filter=_EVENTS)
            observer.daemon = True
            observer.start()
            self._observer = observer
        except OSError as error:
            logger.warning(
                "%s: no notifications, only looked at every %s s: %s", shared_dir, self._settings.poll_seconds, error
            )


class _ReleaseHandler(FileSystemEventHandler):
    """Wakes the intake when a ``release.txt`` appears."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: asyncio.Event) -> None:
        self._loop = loop
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if RELEASE in (Path(str(event.dest_path)).name, Path(str(event.src_path)).name):
            self._loop.call_soon_threadsafe(self._wake.set)
