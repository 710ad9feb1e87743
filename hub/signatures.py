"""By what one knows that something of a source changed on the shared volume or in the archive, without reading any of it.

The file system's own notifications don't come over NFS, and come for every line that a crawler writes.
"""

import functools
import os
import time
from collections.abc import Iterable

from crawlers.runtime.orders import ORDERS
from crawlers.runtime.release import HELD, RELEASE, release_folder, state_folder
from hub.dataload.archive import books_of
from hub.settings import HubSettings

Signature = tuple[int, ...]
# No file system that a shared volume may lie on tells times in longer steps.
_STEP_NS = 2_000_000_000


def sign_all(settings: HubSettings, names: Iterable[str]) -> dict[str, Signature]:
    """What tells, for each source, whether anything on the shared volume or in the archive changed."""
    return {name: sign(settings, name) for name in names}


def sign(settings: HubSettings, name: str) -> Signature:
    """The same for one source: numbers that differ once one of its files was replaced, appeared or went.

    File systems tell times in steps: what changes twice within one looks the same after the second time. So the last number says whether
    anything changed a moment ago, and differs once that is past: then it is read again, and nothing can have been missed.
    """
    found = [_status(path) for path in _watched(settings, name)]
    newest_ns = max(changed_ns for changed_ns, _ in found)
    return (*(number for status in found for number in status), int(time.time_ns() - newest_ns < _STEP_NS))


@functools.lru_cache(maxsize=10_000)
def _watched(settings: HubSettings, name: str) -> tuple[str, ...]:
    shared = settings.runtime.shared_dir
    crawled = release_folder(shared, name)
    archive = settings.archive_dir / name
    books = books_of(archive)
    watched = (
        crawled,  # whatever is renamed into it: releases, last-run.json, heartbeat.json
        crawled / RELEASE,  # a foreign crawler may write into it
        crawled / HELD / RELEASE,
        state_folder(shared, name) / ORDERS,
        archive,
        books,
        books / "changes",
    )
    return tuple(str(path) for path in watched)


def _status(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - there are thousands, every other second
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)
