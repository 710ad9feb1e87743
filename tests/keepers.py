"""What the crash tests of the archive run: the hub's bookkeeping on releases, as functions that take and return what JSON can carry."""

from datetime import UTC, datetime
from pathlib import Path

import hub.dataload.upload  # noqa: F401 - imported here, so that runs don't import it under fault injection
from crawlers.runtime.manifest import Retention
from hub.dataload.archive import list_archived
from hub.dataload.changes import note_changes
from hub.dataload.pin import Pin, read_pin, remove_pin, write_pin
from hub.dataload.retention import find_removable, remove, remove_leftovers


def note(archive: str) -> None:
    """Compare what is archived, and note when records were seen."""
    note_changes(Path(archive))


def pin(archive: str, release: str) -> None:
    write_pin(Path(archive), Pin(release=release, since="2026-11-22T01:02:03Z", by="a test"))


def unpin(archive: str) -> None:
    remove_pin(Path(archive))


def pinned(archive: str) -> str | None:
    found = read_pin(Path(archive))
    return found.release if found else None


def sweep(archive: str) -> None:
    """Keep the newest two."""
    folder = Path(archive)
    remove_leftovers(folder)
    retention = Retention(keep=2, keep_days=0)
    for archived in find_removable(list_archived(folder), retention, (), datetime.now(UTC)):
        remove(archived)
