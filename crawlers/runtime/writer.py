"""The release writer: the one place that publishes on the shared volume."""

import hashlib
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import filelock
import msgspec

from crawlers.runtime import release as protocol
from crawlers.runtime.errors import FleetError, LockedError, ReleaseError
from crawlers.runtime.identifiers import IdentifierIndex
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.ndjson import UnwritableError, encode, encode_reject
from crawlers.runtime.release import Counts, Description, ErrorCount
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path

logger = logging.getLogger(__name__)

LOCK = ".lock"
# Not at once: the hub looks at the lock now and then, for a moment.
_LOCK_SECONDS = 1.0
_BATCH_BYTES = 1 << 20
_BATCH_RECORDS = 2000
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


class ReleaseWriter:
    """Writes one release of a source, record by record, and publishes it whole or not at all.

    As a context manager it holds the source's lock. Leaving the block without ``publish`` leaves nothing behind: no
    temporary file, and the release published before is untouched. Memory stays flat whatever the number of records.

    ::

        with ReleaseWriter(shared_dir, manifest) as writer:
            for record in records:
                writer.write(record)
            writer.publish(errors)

    :param started: when the crawl started (aware); its UTC second becomes the release string. Default: now.
    :raises LockedError: on entering, when another crawl of the source is under way.
    :raises FleetError: on entering, when the published release is not older than this one, or the folder can't be written.
        Later, when the disk fails: records are lost then, so whatever is called after it raises the same, ``publish`` too.
    """

    def __init__(
        self, shared_dir: Path, manifest: Manifest, started: datetime | None = None, code_version: str = ""
    ) -> None:
        self.manifest = manifest
        self.folder = protocol.release_folder(shared_dir, manifest.name)
        self.started = started or datetime.now(UTC)
        self.release = ""
        self.counts = Counts()
        self._code_version = code_version
        self._lock = filelock.FileLock(self.folder / LOCK, timeout=_LOCK_SECONDS, mode=0o660, fallback_to_soft=False)
        self._files: dict[str, IO[bytes]] = {}
        self._identifiers: IdentifierIndex | None = None
        self._batch: dict[str, tuple[bytes, str]] = {}
        self._batch_bytes = 0
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._failure: FleetError | None = None

    def __enter__(self) -> "ReleaseWriter":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout as error:
            raise LockedError(
                f"{self.manifest.name}: another crawl of this source is under way (it holds {self.folder / LOCK}). "
                "Wait for it to end, or stop it."
            ) from error
        except OSError as error:
            raise FleetError(
                f"{self.manifest.name}: {self.folder} can't be written: {error}. Make FLEET_SHARED_DIR a folder that uid "
                f"{os.geteuid()} may write to."
            ) from error
        try:
            for path in remove_abandoned(self.folder):
                logger.warning("%s: removed %s, left behind by a crawl that was killed", self.manifest.name, path.name)
            self.release = self._next_release()
            with self._disk():
                self._identifiers = IdentifierIndex(self.folder)
                for name in (protocol.DATA, protocol.REJECTS):
                    self._files[name] = create_temporary(self.folder, name)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def write(self, record: Any, url: str = "") -> None:
        """Add a record. One that can't be in a release goes to the rejects with the reason; either way it is counted.

        :param url: the page that the record came from, for the rejects.
        """
        self.counts.items += 1
        try:
            line = encode(record)
        except UnwritableError as error:
            self._reject_item(str(error), error.field, url, record)
            return
        identifier = record["_id"]
        if identifier in self._batch:
            self._reject_item(f"_id {identifier!r} is in this release already", "_id", url, record)
            return
        self._batch[identifier] = (line, url)
        self._batch_bytes += len(line)
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_RECORDS:
            with self._disk():
                self._write_batch()

    def reject(self, reason: str, *, field: str = "", url: str = "", record: Any = None) -> None:
        """Keep what did not make it into the release: a page that gave no record (``record`` None), or a record, whole."""
        if record is not None:
            self.counts.items += 1
            self._reject_item(reason, field, url, record)
        else:
            self._write_reject({"reason": reason, "field": field, "url": url, "record": None})

    def withdraw(self, record: dict[str, Any], reason: str, url: str = "") -> None:
        """Keep a record out of the release because its site withdrew it. That is no fault, and counts against no budget."""
        self.counts.items += 1
        self.counts.withdrawn += 1
        self._write_reject({"reason": f"withdrawn: {reason}", "field": "", "url": url, "record": record})

    def settle(self) -> Counts:
        """Write out what is buffered; the counts are final then. ``items`` = ``records`` + ``rejected_items`` + ``withdrawn``."""
        with self._disk():
            self._write_batch()
        return self.counts

    def publish(self, errors: dict[str, ErrorCount] | None = None) -> Description:
        """Make what was written the source's release, in the protocol's order: data first, ``release.txt`` last.

        :raises FleetError: the disk failed. What was published before is whole until the first rename; if the failure comes
            after it, the pair doesn't fit together, which readers see by ``release.json``, and the next crawl mends it.
        """
        self.settle()
        with self._disk():
            return self._publish(errors or {})

    def _publish(self, errors: dict[str, ErrorCount]) -> Description:
        description = Description(
            source=self.manifest.name,
            release=self.release,
            records=self.counts.records,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            rejects=self.counts.rejects,
            started=protocol.format_release(self.started),
            finished=protocol.format_release(datetime.now(UTC)),
            kind=self.manifest.kind,
            code_version=self._code_version,
            counts=self.counts,
            errors=errors,
        )
        for name, content in (
            (protocol.DESCRIPTION, msgspec.json.format(msgspec.json.encode(description), indent=2) + b"\n"),
            (protocol.RELEASE, self.release.encode()),  # and nothing else: readers that strip no newline exist
        ):
            self._files[name] = create_temporary(self.folder, name)
            _write_all(self._files[name], content)
        for file in self._files.values():
            # The hub's archive shares the inodes: from here on nobody writes to them.
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        for name in protocol.PUBLISH_ORDER:
            if name == protocol.RELEASE:
                # After a power cut, a new release.txt must not stand beside old data.
                _sync_folder(self.folder)
            temporary_path(self.folder, name).replace(self.folder / name)
        _sync_folder(self.folder)
        return description

    def _next_release(self) -> str:
        try:
            published = protocol.read_release(self.folder)
        except ReleaseError as error:
            if isinstance(error.__cause__, OSError):
                raise
            # No reader takes it, so nothing is lost, and without this no later crawl would mend it.
            logger.warning("%s: %s It is replaced when this crawl publishes.", self.manifest.name, error)
            published = None
        if published is None:
            return protocol.format_release(self.started)
        # Releases are named by the second. A crawl that starts in the same second as the last one waits for the next.
        earliest = min(published.at, _LATEST).replace(microsecond=0) + timedelta(seconds=1)
        if self.started < earliest <= self.started + timedelta(seconds=2):
            time.sleep(max(0.0, (earliest - datetime.now(UTC)).total_seconds()))
            self.started = earliest
        if self.started < earliest:
            raise FleetError(
                f"{self.manifest.name}: the published release is {published}, but it is {protocol.format_release(self.started)} "
                f"by the clock of {socket.gethostname()}. Set the clock right; if the published one is wrong, remove "
                f"{self.folder / protocol.RELEASE}."
            )
        return protocol.format_release(self.started)

    def _write_batch(self) -> None:
        if not self._batch:
            return
        assert self._identifiers is not None, "write() works inside the with block only"
        batch, self._batch, self._batch_bytes = self._batch, {}, 0
        lines = []
        for (identifier, (line, url)), new in zip(batch.items(), self._identifiers.add(list(batch)), strict=True):
            if new:
                lines.append(line)
            else:
                record = msgspec.json.decode(line)
                self._reject_item(f"_id {identifier!r} is in this release already", "_id", url, record)
        content = b"".join(lines)
        _write_all(self._files[protocol.DATA], content)
        self._digest.update(content)
        self._bytes += len(content)
        self.counts.records += len(lines)

    def _reject_item(self, reason: str, field: str, url: str, record: Any) -> None:
        self.counts.rejected_items += 1
        self._write_reject({"reason": reason, "field": field, "url": url, "record": record})

    def _write_reject(self, reject: dict[str, Any]) -> None:
        with self._disk():
            _write_all(self._files[protocol.REJECTS], encode_reject(reject))
        self.counts.rejects += 1

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Around all that needs the disk: once it failed, records are lost, so nothing more is written and nothing published."""
        if self._failure:
            raise self._failure
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self._failure = FleetError(
                f"{self.manifest.name}: writing release {self.release} to {self.folder} failed: {error}. It was not published. "
                "See that the disk has room and works, and crawl again."
            )
            raise self._failure from error

    def _leave(self) -> None:
        with ExitStack() as stack:  # each is done, whatever becomes of the others
            stack.callback(self._lock.release)
            if self._identifiers is not None:
                stack.callback(self._identifiers.close)
            for name, file in self._files.items():
                stack.callback(file.close)
                stack.callback(temporary_path(self.folder, name).unlink, missing_ok=True)
            self._files, self._identifiers = {}, None


def _write_all(file: IO[bytes], content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
