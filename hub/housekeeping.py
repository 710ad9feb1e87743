"""The hub's own leftovers: the log files of its SDK, which are never removed by it."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crawlers.runtime.disk_use import size_of
from crawlers.runtime.housekeeping import Removable
from hub.settings import HubSettings

logger = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0


def tidy_logs(settings: HubSettings, now: datetime, *, dry_run: bool = False) -> list[Removable]:
    """Remove, or list, the SDK's log files that nobody has written to for ``log_days``, and that no process holds open."""
    if not settings.log_days:
        return []
    oldest = (now - timedelta(days=settings.log_days)).timestamp()
    in_use = _open_files()
    found = []
    for path in sorted((settings.log_dir / "hub").rglob("*")):
        with suppress(OSError):  # gone meanwhile
            status = path.lstat()
            is_old = path.is_file() and not path.is_symlink() and status.st_mtime < oldest
            if is_old and (status.st_dev, status.st_ino) not in in_use:
                found.append(Removable(what="hub log", path=path, bytes=size_of(path)))
                if not dry_run:
                    path.unlink(missing_ok=True)
    return found


async def tidy_logs_daily(settings: HubSettings) -> None:
    """Remove old logs now, and each day; until cancelled."""
    while True:
        try:
            removed = await asyncio.to_thread(tidy_logs, settings, datetime.now(UTC))
            if removed:
                logger.info("%d old log files of the hub were removed", len(removed))
        except OSError as error:
            logger.warning("old log files of the hub could not be removed: %s", error)
        await asyncio.sleep(_DAY_SECONDS)


def _open_files() -> set[tuple[int, int]]:
    """The files that processes of this machine, or container, hold open, as far as we may see them."""
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            status = descriptor.stat()
            found.add((status.st_dev, status.st_ino))
    return found
