"""What a crawl keeps of its pages, and what it takes from those of earlier ones."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from crawlers.runtime.errors import FleetError, LockedError, UsageError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.pages import runs
from crawlers.runtime.pages.store import PageStore, StoredPage
from crawlers.runtime.release import state_folder

logger = logging.getLogger(__name__)

Refetch = Literal["none", "stale", "all", "never"]
_DAY_SECONDS = 86_400


@dataclass
class KeptPages:
    """The pages of a run. ``run``: its name.

    ``refetch``: which pages the site is asked for again: ``none`` that are stored; ``stale``, those stored by earlier runs,
    whether they changed; ``all``; ``never``: none at all, also not those that are not stored.
    """

    store: PageStore
    run: str
    refetch: Refetch = "stale"

    def is_current(self, page: StoredPage, refetch_days: float) -> bool:
        """Whether the stored page is taken as it is; ``refetch_days``: for how long one of an earlier run is."""
        if self.refetch in ("none", "never") or page.fetched == self.run:
            return True
        return (
            self.refetch == "stale" and bool(page.fetched) and time.time() - page.seconds < refetch_days * _DAY_SECONDS
        )

    def is_used_anew(self, page: StoredPage) -> bool:
        """Whether it has to be noted that this run uses the page."""
        return page.used != self.run and self.refetch != "never"


def resumed_start(manifest: Manifest, shared_dir: Path, refetch: Refetch) -> datetime | None:
    """When the interrupted run began that a crawl of the source goes on with; None where it starts anew."""
    if not manifest.keeps_pages or refetch in ("all", "never"):
        return None
    return runs.unfinished_start(shared_dir, manifest.name, timedelta(hours=manifest.resume_hours))


@contextmanager
def keeping_pages(
    manifest: Manifest, shared_dir: Path, refetch: Refetch, started: datetime, resumed: datetime | None
) -> Iterator[KeptPages | None]:
    """The pages of a run that ``started`` then, for who holds the source's lock; None where the source keeps none.

    :param resumed: what ``resumed_start`` said before the lock was taken.
    :raises FleetError: the store can't be used.
    """
    if not manifest.keeps_pages:
        if refetch not in ("stale", "all"):
            raise UsageError(
                f"{manifest.name} keeps no pages, so none can be taken from there: set keep_pages = true in its manifest"
            )
        yield None
        return
    if resumed_start(manifest, shared_dir, refetch) != resumed:
        raise LockedError(
            f"{manifest.name}: another crawl of this source ended just now. Start it again, if it is due."
        )
    if resumed is None and refetch != "never":
        runs.begin(shared_dir, manifest.name, started)
    store = PageStore(state_folder(shared_dir, manifest.name))
    try:
        yield KeptPages(store, started.isoformat(), refetch)
    finally:
        store.close()


def finish(pages: KeptPages, manifest: Manifest, shared_dir: Path) -> None:
    """The run's release is published: the run is over, and pages that the site has no more are forgotten."""
    if pages.refetch == "never":
        return
    runs.end(shared_dir, manifest.name)
    try:
        pages.store.remove_unused(pages.run)
    except FleetError as error:  # what is published is published
        logger.warning("%s: %s", manifest.name, error)


def give_up(pages: KeptPages, manifest: Manifest, shared_dir: Path) -> None:
    """The run made a release that can't be published, from pages that came well: the next crawl starts anew."""
    if pages.refetch != "never":
        runs.end(shared_dir, manifest.name)
