"""Where images and files of records are stored: a folder, or a bucket of S3; and how those that no record refers to are removed."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from scrapy.pipelines.files import FilesPipeline, FSFilesStore, S3FilesStore

from crawlers.runtime.identifiers import IdentifierIndex
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import DATA, state_folder

logger = logging.getLogger(__name__)

FOLDER = "files"
_PATHS = re.compile(rb'"((?:full|files|thumbs/[^"/\\]+)/[0-9a-f]{40}[^"/\\]*)"')
_BATCH = 1000


class FolderStore(FSFilesStore):
    """A folder. A file is there whole, or not at all, whenever the crawl is killed."""

    def persist_file(self, path: Any, buf: Any, info: Any, meta: Any = None, headers: Any = None) -> None:
        target = self._get_filesystem_path(path)
        self._mkdir(target.parent, info)
        temporary = target.with_name(f".{target.name}.tmp")
        with temporary.open("wb") as file:
            file.write(buf.getvalue())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)

    def names(self) -> Iterator[str]:
        """The names of all that is stored."""
        root = Path(self.basedir)
        for folder, _, names in os.walk(root):
            for name in names:
                yield str((Path(folder) / name).relative_to(root))

    def remove(self, names: list[str]) -> None:
        for name in names:
            (Path(self.basedir) / name).unlink(missing_ok=True)


class BucketStore(S3FilesStore):
    """A bucket, below a prefix of the source's own. Where it is and who we are says the environment: AWS_ENDPOINT_URL and so on."""

    HEADERS: ClassVar[dict[str, str]] = {}

    def names(self) -> Iterator[str]:
        """The names of all that is stored."""
        pages = self.s3_client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        for page in pages:
            for entry in page.get("Contents", ()):
                yield entry["Key"].removeprefix(self.prefix)

    def remove(self, names: list[str]) -> None:
        objects = [{"Key": f"{self.prefix}{name}"} for name in names]
        done = self.s3_client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
        if failed := done.get("Errors"):
            raise OSError(f"{len(failed)} objects could not be removed, e.g. {failed[0]}")


STORES = {**FilesPipeline.STORE_SCHEMES, "": FolderStore, "file": FolderStore, "s3": BucketStore}


def files_folder(shared_dir: Path, source: str) -> Path:
    """Where files of ``source`` lie that no bucket holds."""
    return state_folder(shared_dir, source) / FOLDER


def remove_unreferenced(manifest: Manifest, release_dir: Path) -> int:
    """Remove the stored files that no record of the published release refers to; returns how many.

    Called when a release was published, while the source's lock is held: the records that referred to them are gone then. What
    can't be removed now is removed after the next release.
    """
    if manifest.files is None:
        return 0
    removed = 0
    try:
        store = _store(manifest, release_dir.parent)
        index = IdentifierIndex(release_dir)
        try:
            for batch in _batches(_referenced(release_dir / DATA)):
                index.add(batch)
            for batch in _batches(store.names()):
                # What was new to the index is referred to by no record.
                orphans = [name for name, new in zip(batch, index.add(batch), strict=True) if new]
                if orphans:
                    store.remove(orphans)
                removed += len(orphans)
        finally:
            index.close()
    except Exception as error:  # the release stands, whatever becomes of old files
        logger.warning("%s: files without a record could not be removed: %s", manifest.name, error)
    return removed


def _store(manifest: Manifest, shared_dir: Path) -> FolderStore | BucketStore:
    assert manifest.files is not None
    if manifest.files.store:
        return BucketStore(f"{manifest.files.store.rstrip('/')}/{manifest.name}/")
    return FolderStore(files_folder(shared_dir, manifest.name))


def _referenced(data: Path) -> Iterator[str]:
    with data.open("rb") as lines:
        for line in lines:
            for found in _PATHS.findall(line):
                yield found.decode()


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    batch: dict[str, None] = {}
    for name in names:
        batch[name] = None
        if len(batch) == _BATCH:
            yield list(batch)
            batch = {}
    if batch:
        yield list(batch)
