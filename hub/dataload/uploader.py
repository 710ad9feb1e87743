"""The uploader: loads the archived release of a source into MongoDB and makes it the live collection."""

import asyncio
import logging
import os
import time
from collections import defaultdict
from concurrent.futures import BrokenExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from biothings.hub import config
from biothings.hub.dataload.uploader import BaseSourceUploader

from crawlers.runtime.errors import FleetError
from hub.books import announce, open_books
from hub.dataload.archive import Archived
from hub.dataload.live import LiveRelease
from hub.dataload.pin import find_wanted
from hub.dataload.upload import DatabaseError, UploadOrder, upload
from hub.progress import as_job, progress_folder
from hub.settings import HubSettings

logger = logging.getLogger(__name__)


class SourceUploader(BaseSourceUploader):
    """Uploads the releases of the source ``name``; a subclass needs to set nothing else.

    ``reject_budget``, ``allow_empty``: the manifest's. A subclass may override ``transform``.
    """

    name: str | None = None
    reject_budget = 0.05
    allow_empty = False
    _locks: ClassVar[defaultdict[str, asyncio.Lock]] = defaultdict(asyncio.Lock)

    def transform(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document to store for that of the release; runs in a worker process. An error rejects the document."""
        return document

    def get_predicates(self) -> list:
        """None: the SDK's hold up the jobs of every source while one waits. The lock of the source does what is needed."""
        return []

    async def load(self, *args: Any, force: bool = False, job_manager: Any = None, **kwargs: Any) -> LiveRelease | None:
        """Upload the latest archived release, or the pinned one; None where it is live already. ``force``: even then.

        :raises FleetError: it was refused, or the upload failed; registered with the reason.
        """
        async with self._locks[str(self.name)]:
            archived = find_wanted(HubSettings.from_environment().archive_dir / self.main_source)
            if archived is None:
                raise FleetError(f"{self.name}: nothing is archived yet: crawl it with `fleet crawl {self.name}`")
            live = await asyncio.to_thread(open_books().live.find, str(self.name))
            if live and live.release == archived.release.text and not force:
                return None
            return await self._load(archived, job_manager)

    async def _load(self, archived: Archived, job_manager: Any) -> LiveRelease:
        started = time.monotonic()
        await self._register(archived, "uploading", pid=os.getpid(), started_at=datetime.now(UTC))
        try:
            order = as_job(partial(upload, self._order(archived)), progress_folder(HubSettings.from_environment()))
            job = await job_manager.defer_to_process(self.get_pinfo(), order)
            live = await job
            if isinstance(live, FleetError):
                raise live
        except Exception as error:
            reason = str(error) or repr(error)
            if isinstance(error, BrokenExecutor):
                reason = (
                    "the worker process was killed, perhaps for want of memory. The live collection stays as it was; "
                    "it will be tried again within the hour, and by `fleet upload`."
                )
            logger.error("%s: release %s did not go live: %s", self.name, archived.release, reason)
            await self._register(archived, "failed", err=reason, seconds=time.monotonic() - started)
            raise error if isinstance(error, FleetError) else DatabaseError(f"{self.name}: {reason}") from error
        seconds = time.monotonic() - started
        told = {"count": live.documents, "rejects": live.rejects, "err": None, "last_success": datetime.now(UTC)}
        await self._register(archived, "success", seconds=seconds, **told)
        await asyncio.to_thread(open_books().note_master, str(self.name), self.generate_doc_src_master())
        logger.info(
            "%s: release %s is live: %d documents, %d rejects, %.1f seconds",
            self.name,
            archived.release,
            live.documents,
            live.rejects,
            seconds,
        )
        return live

    def generate_doc_src_master(self) -> dict[str, Any]:
        """What the SDK keeps of a source: its name, its mapping if it has one, its licence. Unlike the SDK's, runs no git."""
        mapping = self.get_mapping()
        metadata = getattr(self, "__metadata__", {})
        now = datetime.now(UTC)
        return {
            "_id": self.name,
            "name": self.name,
            "timestamp": now,
            **({"mapping": mapping} if mapping else {}),
            **metadata,
        }

    def _order(self, archived: Archived) -> UploadOrder:
        own_transform = type(self).transform is not SourceUploader.transform
        return UploadOrder(
            uri=config.HUB_DB_BACKEND["uri"],
            database=self.__database__,
            books=config.DATA_HUB_DB_DATABASE,
            source=str(self.name),
            archived=archived,
            reject_budget=self.reject_budget,
            allow_empty=self.allow_empty,
            transform=self.transform if own_transform else None,
        )

    async def _register(self, archived: Archived, status: str, seconds: float | None = None, **extra: Any) -> None:
        """Note how the upload goes, in the SDK's form; what is not named stays as it was."""
        told = {
            "status": status,
            "step": self.name,
            "release": archived.release.text,
            "data_folder": str(archived.folder),
            **extra,
        }
        if seconds is not None:
            told |= {"time": f"{seconds:.1f}s", "time_in_s": round(seconds)}
        await asyncio.to_thread(open_books().note_upload, str(self.name), told)
        announce(str(self.name))
