"""What a source's crawls left and nobody needs any more: old logs, rejects and held releases, temporary files, and stores that the
manifest no longer asks for.

Only who holds the source's lock removes anything, so that nothing goes which a crawl uses. What is published never does.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock
import msgspec

from crawlers.runtime.approval import drop_held
from crawlers.runtime.disk_use import size_of
from crawlers.runtime.errors import LockedError, ReleaseError
from crawlers.runtime.held import find_held
from crawlers.runtime.lock import source_lock
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.reject_files import UNPUBLISHED
from crawlers.runtime.release import DATA, HELD, parse_release, release_folder, state_folder
from crawlers.runtime.run_logging import find_old_logs
from crawlers.runtime.temporary import REPLAY_FOLDER, find_abandoned, is_temporary

logger = logging.getLogger(__name__)

_FILES = "files"
# As the pipelines of Scrapy name what they store.
_STORED = re.compile(rb'"(?:full|files|thumbs/[^"/\\]+)/[0-9a-f]{40}')


class Removable(msgspec.Struct, frozen=True, kw_only=True):
    """What may go. ``what``: ``log``, ``rejects``, ``held``, ``temporary``, ``pages``, ``windows``, ``pictures``, ``files``; with the hub also
    ``release`` and ``hub log``. ``bytes``: what that frees."""

    what: str
    path: Path
    bytes: int


def find_removable(manifest: Manifest, shared_dir: Path, now: datetime, *, thorough: bool = True) -> list[Removable]:
    """What of a source may go, as its manifest says; ``thorough``: also what takes a while to find."""
    folder, state = release_folder(shared_dir, manifest.name), state_folder(shared_dir, manifest.name)
    keeping = manifest.housekeeping
    found: list[tuple[str, Path]] = [("log", file.path) for file in find_old_logs(state, keeping.logs)]
    found += [("rejects", path) for path in _old_rejects(folder, keeping.rejects_days, now)]
    if _is_held_too_long(folder, keeping.held_days, now):
        found.append(("held", folder / HELD))
    found += [("temporary", path) for path in _temporary(folder, state, thorough=thorough)]
    found += _unasked(manifest, folder, state)
    return [Removable(what=what, path=path, bytes=size_of(path)) for what, path in found]


def tidy(manifest: Manifest, shared_dir: Path, *, dry_run: bool = False) -> list[Removable]:
    """Remove what may go, or only list it.

    :raises LockedError: a crawl of the source is under way.
    """
    folder = release_folder(shared_dir, manifest.name)
    if not folder.is_dir():
        return []
    try:
        with source_lock(folder):
            found = find_removable(manifest, shared_dir, datetime.now(UTC))
            return found if dry_run else _remove_all(found, manifest.name, folder)
    except filelock.Timeout as error:
        raise LockedError(
            f"{manifest.name}: a crawl of this source is under way: what it left stays for now"
        ) from error


def tidy_after_crawl(manifest: Manifest, shared_dir: Path) -> None:
    """Remove what may go, by who holds the source's lock. That is never a reason for a crawl to fail."""
    try:
        found = find_removable(manifest, shared_dir, datetime.now(UTC), thorough=False)
        removed = _remove_all(found, manifest.name, release_folder(shared_dir, manifest.name))
        if removed:
            freed = sum(it.bytes for it in removed)
            logger.info("%s: %d files that nobody needs were removed, %d bytes", manifest.name, len(removed), freed)
    except (OSError, ReleaseError) as error:
        logger.warning("%s: what nobody needs could not be removed: %s", manifest.name, error)


def _remove_all(found: list[Removable], name: str, folder: Path) -> list[Removable]:
    removed = []
    for it in found:
        try:
            if it.what == "held":
                drop_held(folder, f"nobody approved or discarded it for longer than housekeeping.held_days of {name}")
            elif it.path.is_dir() and not it.path.is_symlink():
                shutil.rmtree(it.path)
            else:
                it.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s: %s can't be removed: %s", name, it.path, error)
            continue
        removed.append(it)
    return removed


def _old_rejects(folder: Path, days: float, now: datetime) -> Iterator[Path]:
    for path in (folder / UNPUBLISHED).glob("*.ndjson"):
        with suppress(ReleaseError):  # whatever that is, no run of ours left it
            if days and parse_release(path.stem, path).at < now - timedelta(days=days):
                yield path


def _is_held_too_long(folder: Path, days: float, now: datetime) -> bool:
    try:
        held = find_held(folder)
        return bool(held and days) and parse_release(held.release, folder).at < now - timedelta(days=days)  # type: ignore[union-attr]
    except ReleaseError:
        return False


def _temporary(folder: Path, state: Path, *, thorough: bool) -> Iterator[Path]:
    """What killed processes left: each of ours keeps a lock on its files while it lives."""
    for place in (folder, state, *state.glob("*/")):
        yield from find_abandoned(place)
    yield from state.glob(f"{REPLAY_FOLDER}*/")
    if thorough:
        stored = (state / _FILES).rglob(".*")
        yield from (path for path in stored if path.parent != state / _FILES and is_temporary(path.name))


def _unasked(manifest: Manifest, folder: Path, state: Path) -> Iterator[tuple[str, Path]]:
    """Stores of a kind of crawl that the source no longer is."""
    kept = {
        "pages": manifest.keeps_pages,
        "windows": manifest.kind == "oai-pmh",
        "pictures": manifest.kind == "browser",
        "files": bool(manifest.files and not manifest.files.store) or _refers_to_files(folder),
    }
    for what, name in (("pages", "pages"), ("windows", "oai"), ("pictures", "browser-failures"), ("files", _FILES)):
        if not kept[what] and (state / name).is_dir():
            yield what, state / name


def _refers_to_files(folder: Path) -> bool:
    """Whether a record that is published or held says that a file of it is stored."""
    for path in (folder / DATA, folder / HELD / DATA):
        with suppress(OSError), path.open("rb") as lines:
            if any(map(_STORED.search, lines)):
                return True
    return False
