"""How every source stands, for the page of the fleet: crawler and hub in one, kept until one of its files changes.

A fleet of hundreds is read for each page that is opened, by each who watches: so what the files of a source say is read anew only
if their signature differs, and how it stands in time once that may have changed by itself.
"""

import asyncio
import logging
import threading
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError
from crawlers.runtime.history import read_history
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import DATA, release_folder
from crawlers.runtime.standing import Standing, find_standing
from hub.books import open_books
from hub.dataload.changes import read_all_changes
from hub.settings import HubSettings
from hub.signatures import Signature, sign
from hub.status import complete_status, reasons, status_of_fault, status_of_files
from hub.web.formats import parse_moment
from hub.web.states import CALLING, FAILED_IN_HUB, tone_of

if TYPE_CHECKING:
    from hub.server import FleetHubServer

logger = logging.getLogger(__name__)

_MADE = ("published", "approved")
_RUNS = 200
_TREND = 30
# However long nothing happens, what is said of ages is not older than that; of a crawl that runs, nor than the second.
_LONGEST = timedelta(minutes=10)
_RUNNING = timedelta(seconds=4)
# Those who watch ask all at once, when they are told of a change.
_SHARED_SECONDS = 0.5
_KEEP_SECONDS = 30.0


@dataclass(frozen=True)
class SourceView:
    """A source as the fleet's page shows it.

    ``state``: one of ``states.ORDER``; ``since``: since when, ISO 8601 or empty; ``reason``: in a sentence; ``standing``: None where the manifest is at fault.
    ``status``: see ``hub.status``; ``records``: of its releases, the earliest first; ``size_bytes``: of the data of the newest.
    """

    name: str
    state: str
    since: str
    reason: str
    status: dict[str, Any]
    manifest: Manifest | None = None
    standing: Standing | None = None
    records: tuple[int, ...] = ()
    size_bytes: int | None = None

    @property
    def tone(self) -> str:
        return tone_of(self.state)

    @property
    def title(self) -> str:
        return self.manifest.title if self.manifest else ""

    @property
    def is_calling(self) -> bool:
        """Whether a person should look at it."""
        return self.state in CALLING


@dataclass
class Overview:
    """All sources at one moment. ``database``: why what is live is not known; empty where it is."""

    sources: list[SourceView] = field(default_factory=list)
    database: str = ""


@dataclass
class _Files:
    """What was read of a source's files when their signature was that."""

    signature: Signature
    manifest: Manifest
    status: dict[str, Any]
    records: tuple[int, ...]
    size_bytes: int | None
    standing: Standing
    expires: datetime


class Overviews:
    """``read`` gives the overview now; in any thread."""

    def __init__(self, server: "FleetHubServer") -> None:
        self._server = server
        self._known: dict[str, _Files] = {}
        self._reading = threading.Lock()
        # When it was read, and how often it had been forgotten before.
        self._last: tuple[float, int, Overview] = (float("-inf"), 0, Overview())
        self._forgotten = 0

    def read(self) -> Overview:
        """The overview, not older than half a second, nor than what was last said to be changed."""
        with self._reading:
            at, forgotten, overview = self._last
            if forgotten != self._forgotten or time.monotonic() - at > _SHARED_SECONDS:
                forgotten = self._forgotten  # before it is read: what is forgotten meanwhile is read again
                overview = self._read()
                self._last = (time.monotonic(), forgotten, overview)
            return overview

    async def keep(self) -> None:
        """Read it now and then, so that whoever opens a page first needn't wait until hundreds of sources were read."""
        while True:
            try:
                await asyncio.to_thread(self.read)
            except Exception as error:  # whatever it is, it is tried again, and the page that is opened tells it
                logger.warning("the sources can't be looked at: %s: %s", type(error).__name__, error)
            await asyncio.sleep(_KEEP_SECONDS)

    def forget(self) -> None:
        """Have the next overview be a new one: something changed just now."""
        self._forgotten += 1

    def _read(self) -> Overview:
        server = self._server
        found, faults = list(server.sources), list(server.faults)
        overview = Overview()
        live: dict[str, Any] = {}
        entries: dict[str, Any] = {}
        try:
            books = open_books()
            entries, live = books.find_all(), books.live.find_all()
        except PyMongoError as error:
            overview.database = f"{type(error).__name__}: {str(error)[:300]}"
        now = datetime.now(UTC)
        for classes in found:
            name = classes.source.name
            files = self._files_of(name, classes.source.manifest, now)
            under_way = server.intake.under_way(name)
            status = complete_status(
                server.settings, dict(files.status), live.get(name), entries.get(name, {}), under_way
            )
            overview.sources.append(_view(files, status))
        overview.sources += [_faulty(fault.name, fault.reason) for fault in faults]
        served = {it.name for it in overview.sources}
        self._known = {name: files for name, files in self._known.items() if name in served}
        return overview

    def _files_of(self, name: str, manifest: Manifest, now: datetime) -> _Files:
        settings = self._server.settings
        known = self._known.get(name)
        signature = sign(settings, name)
        if known and known.signature == signature and known.manifest == manifest:
            if now >= known.expires:
                known.standing = find_standing(settings.runtime, manifest, now)
                known.expires = _expiry(known.standing, now)
            return known
        status = status_of_files(settings, manifest)
        standing = msgspec.convert(status["standing"], Standing)
        self._known[name] = _Files(
            signature,
            manifest,
            status,
            _trend(settings, name),
            _size(settings, name, status),
            standing,
            _expiry(standing, now),
        )
        return self._known[name]


def _view(files: _Files, status: dict[str, Any]) -> SourceView:
    standing = files.standing
    state, since, reason = standing.state, standing.since, standing.reason
    if status["state"] in FAILED_IN_HUB and state not in ("failing", "running"):
        state = status["state"]
        step = status["upload" if state == "upload failed" else "dump"] or {}
        since, reason = step.get("at") or "", next(iter(reasons(status)), reason)
    return SourceView(
        name=standing.name,
        state=state,
        since=since,
        reason=reason,
        status=status,
        manifest=files.manifest,
        standing=standing,
        records=files.records,
        size_bytes=files.size_bytes,
    )


def _faulty(name: str, reason: str) -> SourceView:
    return SourceView(name=name, state="faulty", since="", reason=reason, status=status_of_fault(name, reason))


def _expiry(standing: Standing, now: datetime) -> datetime:
    """Until when ``standing`` stays true, if no file changes."""
    if standing.state == "running":  # its process may be killed, which changes no file
        return now + _RUNNING
    collected = parse_moment(standing.collected)
    stale = collected + timedelta(seconds=standing.expected_seconds or 0) if collected else None
    until = parse_moment(standing.paused.until) if standing.paused else None
    ahead = [it for it in (parse_moment(standing.next_run), stale, until) if it and it > now]
    # Not all at once: one page would have to read them all.
    longest = _LONGEST * (0.5 + zlib.crc32(standing.name.encode()) % 100 / 200)
    return min([now + longest, *ahead])


def _trend(settings: HubSettings, name: str) -> tuple[int, ...]:
    """Records of the releases, the earliest first: of those that our crawlers made, or, of a foreign one, of the archived ones."""
    try:
        runs = read_history(release_folder(settings.runtime.shared_dir, name), last=_RUNS)
    except FleetError:
        runs = []
    made = [run.counts.records for run in runs if run.outcome in _MADE]
    if not made:
        made = [changes.records for changes in read_all_changes(settings.archive_dir / name)]
    return tuple(made[-_TREND:])


def _size(settings: HubSettings, name: str, status: dict[str, Any]) -> int | None:
    folders = [release_folder(settings.runtime.shared_dir, name)]
    if status["archived"]:
        folders.insert(0, settings.archive_dir / name / status["archived"])
    for folder in folders:
        try:
            return Path(folder / DATA).stat().st_size
        except OSError:
            continue
    return None
