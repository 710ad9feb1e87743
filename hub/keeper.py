"""What the running hub does with archived releases: rolls back, pins, clears away, and compares them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from crawlers.runtime.errors import FleetError, ReleaseError
from crawlers.runtime.manifest import Retention
from crawlers.runtime.release import format_release
from hub.books import Books, announce
from hub.dataload.archive import list_archived
from hub.dataload.changes import note_changes
from hub.dataload.intake import Intake
from hub.dataload.pin import Pin, read_pin, remove_pin, write_pin
from hub.dataload.retention import find_removable, remove, remove_leftovers
from hub.progress import as_job, progress_folder
from hub.releases import compare, find_compared, find_release, list_releases, scratch_of
from hub.settings import HubSettings
from hub.worklist import THE_HUB, Worklist

logger = logging.getLogger(__name__)
_WORDS = 500
_MOST_DIFFS = 20


class Keeper:
    """``jobs``: the SDK's job manager; ``find_retention`` gives that of a source's manifest."""

    def __init__(
        self,
        settings: HubSettings,
        books: Books,
        intake: Intake,
        jobs: Any,
        find_retention: Callable[[str], Retention],
        worklist: Worklist,
    ) -> None:
        self._settings = settings
        self._books = books
        self._intake = intake
        self._jobs = jobs
        self._find_retention = find_retention
        self._worklist = worklist
        # Held for moments, by what sets a pin and by what removes releases: never one that is just being pinned.
        self._pins: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._comparing = asyncio.Lock()

    async def rollback(self, name: str, release: str, by: str, reason: str) -> dict[str, Any]:
        """Pin the archived ``release``, make it live, and wait for that. Once pinned, a crash only delays it.

        :raises FleetError: it isn't archived, or could not be loaded; then it stays pinned.
        """
        archive = self._settings.archive_dir / name
        async with self._pins[name]:
            await asyncio.to_thread(find_release, archive, release)
            await asyncio.to_thread(write_pin, archive, _pin(release, by, reason))
        logger.info("%s: pinned to %s by %s", name, release, by)
        try:
            return {"release": release, **await self._intake.bring_about(name, by), "outcome": "done"}
        except FleetError as error:
            raise FleetError(f"{error} The pin stays: `fleet unpin {name}` takes it back.") from error

    async def pin(self, name: str, by: str, reason: str) -> dict[str, Any]:
        """Pin what is live.

        :raises FleetError: nothing is live, or it is no longer archived.
        """
        async with self._pins[name]:
            live = await asyncio.to_thread(self._books.live.find, name)
            if live is None:
                raise FleetError(f"{name}: nothing is live that could be pinned")
            archive = self._settings.archive_dir / name
            await asyncio.to_thread(find_release, archive, live.release)
            await asyncio.to_thread(write_pin, archive, _pin(live.release, by, reason))
        logger.info("%s: pinned to %s by %s", name, live.release, by)
        return {"release": live.release}

    async def unpin(self, name: str) -> dict[str, Any]:
        """Take the pin back, and wait until the newest archived release is live.

        :raises FleetError: that could not be loaded; the pin is taken back all the same.
        """
        async with self._pins[name]:
            if not await asyncio.to_thread(remove_pin, self._settings.archive_dir / name):
                return {"outcome": "nothing to do"}
        logger.info("%s: unpinned", name)
        archived = await asyncio.to_thread(list_archived, self._settings.archive_dir / name)
        if not archived:
            return {}
        try:
            return {"release": archived[-1].release.text, **await self._intake.bring_about(name), "outcome": "done"}
        except FleetError as error:
            raise FleetError(f"{error} The pin is taken back all the same.") from error

    async def mark_success(self, name: str, step: str) -> dict[str, Any]:
        """Have the last failed ``step``, ``dump`` or ``upload``, count as settled; nothing is tried again by that."""
        entry = await asyncio.to_thread(self._books.find, name)
        found = entry.get("download") if step == "dump" else entry.get("upload", {}).get("jobs", {}).get(name)
        if not found or found.get("status") != "failed":
            return {"outcome": "nothing to do"}
        if step == "dump":
            await asyncio.to_thread(self._books.note_dump, name, {**found, "status": "success", "err": None})
        else:
            await asyncio.to_thread(self._books.note_upload, name, {"status": "success", "err": None})
        announce(name)
        return {"release": found.get("release")}

    async def clean(self, name: str, dry_run: bool = False) -> dict[str, Any]:
        """Remove the releases that the manifest lets go; ``removed`` lists them. ``dry_run``: only list them."""
        if dry_run:
            return {"removed": await self.sweep(name, dry_run=True)}
        async with self._intake.hold(name):
            return {"removed": await self.sweep(name)}

    async def sweep(self, name: str, dry_run: bool = False) -> list[str]:
        """The same, by who holds the source's archive: the releases that were removed."""
        async with self._pins[name]:
            live = await asyncio.to_thread(self._books.live.find, name)
            return await asyncio.to_thread(self._sweep, name, live.release if live else "", dry_run)

    async def compare(self, name: str) -> dict[str, Any]:
        """Count what the archived releases changed that go live later, or never; by who holds the source's archive."""
        await self._work(name, partial(_note_changes, self._settings, name))
        await self.sweep(name)
        return {}

    async def diff(self, name: str, words: tuple[str, ...], examples: int, by: str = THE_HUB) -> dict[str, Any]:
        """What changed from one release to another, as ``by`` asks; one comparison at a time.

        :raises FleetError: there is no such release, or too many wait.
        """
        if sum(job.action == "diff" for job in self._worklist.list_open()) >= _MOST_DIFFS:
            raise FleetError(
                f"{_MOST_DIFFS} comparisons wait or are made at this moment: try again when they have ended"
            )
        live = await asyncio.to_thread(self._books.live.find, name) if "live" in words else None
        with self._worklist.job("diff", name, by) as job:
            async with self._comparing:
                self._worklist.begin(job, in_worker=True)
                order = partial(_diff, self._settings, name, words, live.release if live else None, examples)
                return await self._work(name, order)

    async def list_releases(self, name: str) -> list[dict[str, Any]]:
        """The archived releases, the newest first, with which one is live."""
        live = await asyncio.to_thread(self._books.live.find, name)
        found = await asyncio.to_thread(list_releases, self._settings, name)
        return [{**it, "live": live is not None and it["release"] == live.release} for it in found]

    def _sweep(self, name: str, live: str, dry_run: bool) -> list[str]:
        archive = self._settings.archive_dir / name
        pin = read_pin(archive)
        protected = {live, pin.release if pin else ""}
        retention = self._find_retention(name)
        removable = find_removable(list_archived(archive), retention, protected, datetime.now(UTC))
        if not dry_run:
            remove_leftovers(archive)
            for archived in removable:
                remove(archived)
                logger.info("%s: %s was removed from the archive", name, archived.release)
        return [archived.release.text for archived in removable]

    async def _work(self, name: str, order: Callable[[], Any]) -> Any:
        pinfo = {"category": "keeper", "source": name, "step": "compare", "description": ""}
        order = as_job(order, progress_folder(self._settings))
        found = await (await self._jobs.defer_to_process(pinfo, order))
        if isinstance(found, FleetError):
            raise found
        return found


def _pin(release: str, by: str, reason: str) -> Pin:
    since = format_release(datetime.now(UTC))
    return Pin(release=release, since=since, by=_in_a_line(by), reason=_in_a_line(reason))


def _in_a_line(text: str) -> str:
    """Words for a terminal and a page: nothing that moves a cursor, and not a book."""
    return " ".join("".join(it if it.isprintable() else " " for it in text).split())[:_WORDS]


# In a worker process. Errors that a person can act on are returned: the job manager writes a traceback for what is raised.


def _note_changes(settings: HubSettings, name: str) -> FleetError | None:
    try:
        note_changes(settings.archive_dir / name)
    except OSError as error:
        return ReleaseError(f"{name}: its releases can't be compared: {error}")
    except FleetError as error:
        return error
    return None


def _diff(
    settings: HubSettings, name: str, words: tuple[str, ...], live: str | None, examples: int
) -> dict[str, Any] | FleetError:
    try:
        return compare(*find_compared(settings, name, words, live), scratch_of(settings, name), examples)
    except OSError as error:
        return ReleaseError(f"{name}: its releases can't be compared: {error}")
    except FleetError as error:
        return error
