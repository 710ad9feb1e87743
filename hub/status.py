"""How each source stands: what is published, archived and live. The files alone tell the first two, so also without the hub."""

import functools
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.disk_use import find_disk_use
from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.history import read_last_run
from crawlers.runtime.manifest import Manifest, load_sources
from crawlers.runtime.release import DESCRIPTION, HELD, Description, Release, read_description, release_folder
from crawlers.runtime.standing import find_standing
from hub.dataload.archive import Archived, find_archived, read_published
from hub.dataload.changes import read_changes
from hub.dataload.live import LiveRelease
from hub.dataload.pin import Pin, find_wanted, read_pin
from hub.settings import HubSettings

# Comparing releases is no state: it changes nothing that is live.
_DOING = {"dump": "dumping", "upload": "uploading"}


def status_of_files(settings: HubSettings, manifest: Manifest) -> dict[str, Any]:
    """The status of the source of ``manifest`` as far as the files tell: ``live``, ``documents`` and ``state`` are null.

    ``disk``: bytes, by what takes them (see ``crawlers.runtime.disk_use.DiskUse``). ``published``, ``archived``, ``live``: release strings or null. ``held``: null, or the ``release`` that the publish gate holds
    back, its ``records``, and the ``reasons``. ``pinned``: null, or the release that a person pinned, since
    when, by whom and why. ``changes``: of the archived release against the one before (see ``hub.dataload.changes.Changes``);
    null until that is counted. ``rejects``: of the crawl that made the release, until it is
    live; then also those of its upload. ``crawl``: how the last crawl went, published or not; null where there was none, or a
    foreign crawler doesn't tell. ``standing``: how fresh the source is (see ``crawlers.runtime.standing.Standing``).
    """
    name = manifest.name
    folder = release_folder(settings.runtime.shared_dir, name)
    fault = None
    published = None
    try:
        published = read_published(folder)
    except ReleaseError as error:
        fault = str(error)
    archive = settings.archive_dir / name
    archived = find_archived(archive)
    pinned = None
    try:
        pinned = read_pin(archive)
        find_wanted(archive)
    except ReleaseError as error:
        fault = fault or str(error)
    changes = read_changes(archive, archived) if archived else None
    crawled = _describe(archived) if archived else None
    if archived is None or (published and published.text != archived.release.text):
        crawled = read_plain_description(folder)
    return {
        "name": name,
        "standing": msgspec.to_builtins(find_standing(settings.runtime, manifest)),
        "disk": msgspec.to_builtins(find_disk_use(settings.runtime.shared_dir, name, settings.archive_dir)),
        "published": published.text if published else None,
        "archived": archived.release.text if archived else None,
        "live": None,
        "held": _held(folder, published),
        "pinned": msgspec.to_builtins(pinned) if pinned else None,
        "changes": msgspec.to_builtins(changes) if changes else None,
        "documents": None,
        "rejects": crawled.rejects if crawled else None,
        "state": None,
        "fault": fault,
        "crawl": _last_crawl(folder, crawled),
        "dump": None,
        "upload": None,
    }


def status_of_fault(name: str, reason: str) -> dict[str, Any]:
    """The status of a source whose manifest, or code in the hub, can't be used."""
    known = "standing disk published archived live held pinned changes documents rejects crawl dump upload"
    empty = dict.fromkeys(known.split())
    return {"name": name, **empty, "state": "faulty", "fault": reason}


def complete_status(
    settings: HubSettings, status: dict[str, Any], live: LiveRelease | None, entry: dict[str, Any], under_way: list[str]
) -> dict[str, Any]:
    """``status`` with what only the hub knows. ``entry``: the document of the source in ``src_dump``."""
    dump = entry.get("download") or {}
    upload = entry.get("upload", {}).get("jobs", {}).get(status["name"]) or {}
    status["dump"] = _ended(dump, "status", "started_at")
    status["upload"] = _ended(upload, "status", "started_at")
    status["live"] = live.release if live else None
    status["documents"] = live.documents if live else 0
    if live:
        status["rejects"] = live.rejects + _crawl_s_rejects(settings.archive_dir / status["name"] / live.release)
    status["state"] = _state(status, under_way)
    return status


def files_of_all(settings: HubSettings) -> list[dict[str, Any]]:
    """The status of every source, the faulty ones included, as far as the files tell."""
    sources, errors = load_sources(settings.runtime.sources_dir)
    found = [status_of_files(settings, source.manifest) for source in sources]
    faulty = [status_of_fault(error.path.parent.name, str(error)) for error in errors]
    return sorted(found + faulty, key=lambda status: status["name"])


def reasons(status: dict[str, Any]) -> list[str]:
    """What a person should know of a source: why a step failed, or what is wrong with it; empty where all is well."""
    crawl = status["crawl"] or {}
    found = [status["fault"], crawl.get("reason"), _held_in_words(status), _pin_in_words(status)]
    found += [step["reason"] for step in (status["dump"], status["upload"]) if step and step["status"] == "failed"]
    return list(dict.fromkeys(filter(None, found)))


def changes_in_short(status: dict[str, Any]) -> str | None:
    """Records that the archived release added, removed and changed, e.g. ``+12 -0 ~3``; None until they are counted."""
    changes = status["changes"]
    return changes and f"+{changes['added']} -{changes['removed']} ~{changes['changed']}"


def _held(folder: Path, published: Release | None) -> dict[str, Any] | None:
    try:
        held = read_published(folder / HELD)
    except ReleaseError:
        return None
    if held is None or (published is not None and held.at <= published.at):
        return None
    described = read_plain_description(folder / HELD)
    return {
        "release": held.text,
        "records": described.records if described else None,
        "reasons": described.reasons if described else [],
    }


def _held_in_words(status: dict[str, Any]) -> str | None:
    held = status["held"]
    if not held or (status["crawl"] or {}).get("outcome") == "held":  # its own reason says so
        return None
    name, reasons = status["name"], "; ".join(held["reasons"])
    return f"release {held['release']} is held: {reasons}. `fleet approve {name}` publishes it, `fleet discard {name}` removes it."


def _last_crawl(folder: Path, crawled: Description | None) -> dict[str, Any] | None:
    try:
        run = read_last_run(folder)
    except ReleaseError as error:
        return {"outcome": "unknown", "reason": str(error)}
    if run is not None:
        return _crawl(run.outcome, run.started, run.ended, run.counts.records, run.counts.rejects, run.message)
    if crawled is not None:
        return _crawl(crawled.outcome, crawled.started, crawled.finished, crawled.records, crawled.rejects)
    return None


def _crawl(outcome: str, started: str, finished: str, records: int, rejects: int, reason: str = "") -> dict[str, Any]:
    return {
        "outcome": outcome,
        "started": started or None,
        "finished": finished or None,
        "records": records,
        "rejects": rejects,
        "reason": reason or None,
    }


@functools.lru_cache(maxsize=10_000)
def _crawl_s_rejects(archived: Path) -> int:
    """Rejects of the crawl that made the release in the folder ``archived``, whose files never change."""
    described = read_plain_description(archived)
    return described.rejects if described else 0


def _state(status: dict[str, Any], under_way: list[str]) -> str:
    """In a word or two what a person wants to know first."""
    if doing := [_DOING[action] for action in under_way if action in _DOING]:
        return doing[-1]
    if status["dump"] and status["dump"]["status"] == "failed":
        return "dump failed"
    if status["fault"]:
        return "faulty"
    wanted = status["pinned"]["release"] if status["pinned"] else status["archived"]
    if wanted and wanted != status["live"]:
        failed = status["upload"] and status["upload"]["status"] == "failed"
        return "upload failed" if failed else "archived"
    if status["published"] and status["published"] != status["archived"]:
        return "published"
    if status["held"]:
        return "held"
    if status["pinned"]:
        return "pinned"
    return "live" if status["live"] else "not crawled"


def _pin_in_words(status: dict[str, Any]) -> str | None:
    if not status["pinned"]:
        return None
    newer = f" {status['archived']} waits." if status["archived"] != status["pinned"]["release"] else ""
    return f"{msgspec.convert(status['pinned'], Pin)}.{newer} `fleet unpin {status['name']}` lets the newest go live."


def _ended(entry: dict[str, Any], status: str, at: str) -> dict[str, Any] | None:
    if not entry:
        return None
    moment = entry.get(at)
    return {
        "status": entry.get(status),
        "release": entry.get("release"),
        "at": moment.isoformat() if isinstance(moment, datetime) else None,
        "reason": entry.get("err"),
        "seconds": entry.get("time_in_s"),
    }


def _describe(archived: Archived) -> Description | None:
    return read_plain_description(archived.folder)


def read_plain_description(folder: Path) -> Description | None:
    """The ``release.json`` in ``folder``; None where there is none that is a plain file of the expected form."""
    path = folder / DESCRIPTION
    try:
        return read_description(folder) if path.is_file() and not path.is_symlink() else None
    except (ReleaseError, OSError):
        return None
