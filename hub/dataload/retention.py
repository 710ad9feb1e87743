"""Which archived releases may go, and how one goes: renamed to a name that no reader takes for a release, then deleted."""

import shutil
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from crawlers.runtime.manifest import Retention
from hub.dataload.archive import Archived
from hub.dataload.changes import forget_changes
from hub.dataload.plain_files import fsync

_REMOVED = ".removed-"


def find_removable(
    archived: list[Archived], retention: Retention, protected: Collection[str], now: datetime
) -> list[Archived]:
    """Those of ``archived``, given the earliest first, that are neither among the newest ``keep`` nor younger than ``keep_days``.

    :param protected: release strings of what is live or pinned, which stays, as the newest does.
    """
    old = archived[: len(archived) - max(retention.keep, 1)]
    youngest = now - timedelta(days=retention.keep_days)
    return [it for it in old if it.release.at < youngest and it.release.text not in protected]


def remove(archived: Archived) -> None:
    """Remove a release from the archive. Killed in between, it is gone for every reader; ``remove_leftovers`` does the rest."""
    archive = archived.folder.parent
    remove_leftovers(archive)  # a person may have put back one that was removed and could not be deleted
    archived.folder.rename(archive / f"{_REMOVED}{archived.folder.name}")
    fsync(archive)
    remove_leftovers(archive)


def remove_leftovers(archive: Path) -> None:
    """Delete what a killed ``remove`` left of releases in ``archive``."""
    for path in archive.glob(f"{_REMOVED}*"):
        forget_changes(archive, path.name.removeprefix(_REMOVED))
        shutil.rmtree(path)
