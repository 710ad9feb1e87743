"""The dumper: takes up what a crawler published on the shared volume, after the release protocol."""

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from biothings.hub.dataload.dumper import BaseDumper

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import release_folder
from hub.books import announce, open_books
from hub.dataload.archive import Archived, find_archived, take_up
from hub.settings import HubSettings

logger = logging.getLogger(__name__)


class FileSystemDumper(BaseDumper):
    """Dumps the releases of the source ``SRC_NAME``; a subclass needs to set nothing else.

    What the SDK's dumper does after a failure, forcing the next dump even to an older release, this one doesn't: it overrides
    ``dump`` as a whole. What is archived is read from the archive; ``src_dump`` only tells of it.
    """

    SRC_NAME: str | None = None
    SCHEDULE = "0 * * * *"
    _locks: ClassVar[defaultdict[str, asyncio.Lock]] = defaultdict(asyncio.Lock)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = HubSettings.from_environment()
        kwargs.setdefault("src_root_folder", str(settings.archive_dir / str(self.SRC_NAME)))
        super().__init__(*args, **kwargs)
        self.published = release_folder(settings.runtime.shared_dir, self.src_name)

    async def dump(self, *args: Any, check_only: bool = False, **kwargs: Any) -> Archived | None:
        """Take up the published release; None where there is nothing new. The SDK's other arguments change nothing.

        :raises ReleaseError: it was refused, or could not be taken up; registered with the reason.
        """
        async with self._locks[self.src_name]:
            archive = Path(self.src_root_folder)
            try:
                archived = await asyncio.to_thread(take_up, self.published, archive)
            except ReleaseError as error:
                logger.error("%s: nothing was taken up: %s", self.src_name, error)
                await self._register(find_archived(archive), "failed", str(error))
                raise
            if archived:
                logger.info("%s: release %s is archived in %s", self.src_name, archived.release, archived.folder)
            await self._register(archived or find_archived(archive), "success")
            return archived

    async def _register(self, archived: Archived | None, status: str, reason: str | None = None) -> None:
        """Note how the dump ended; nothing is written where that is known already."""
        books = open_books()
        known = (await asyncio.to_thread(books.find, self.src_name)).get("download") or {}
        release = archived.release.text if archived else None
        if (release, status, reason) == (known.get("release"), known.get("status"), known.get("err")):
            return
        if archived is None and not known and status == "success":
            return  # not crawled yet
        now = datetime.now(UTC)
        entry = {
            "release": release,
            "data_folder": str(archived.folder) if archived else None,
            "started_at": now,
            "status": status,
            "err": reason,
            "last_success": now if status == "success" else known.get("last_success"),
        }
        await asyncio.to_thread(books.note_dump, self.src_name, entry)
        announce(self.src_name)
