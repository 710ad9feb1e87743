"""The release writer: the one place that publishes on the shared volume."""

import hashlib
import logging
import os
import socket
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
from crawlers.runtime.coverage import Coverage, Shape, shape_of
from crawlers.runtime.errors import FleetError, LockedError, ReleaseError
from crawlers.runtime.lock import LOCK, source_lock
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.ndjson import UnwritableError, encode
from crawlers.runtime.publishing import place, remove_held
from crawlers.runtime.reject_files import keep_unpublished, remove_unpublished
from crawlers.runtime.rejects import Answer, RejectLines
from crawlers.runtime.release import Counts, Description, ErrorCount
from crawlers.runtime.sorted_lines import SortedLines
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path, write_all

logger = logging.getLogger(__name__)

_WRITE_BYTES = 1 << 20
# In place of the page that a record came from.
_REPLAYED = "\0replayed"
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


class ReleaseWriter:
    """Writes one release of a source, record by record, and publishes it whole or not at all.

    As a context manager it holds the source's lock. Leaving the block without ``publish`` or ``hold`` leaves nothing behind but
    the rejects (see ``rejects``): no temporary file, and the release published before is untouched. Memory stays flat whatever the number of records; they are
    published in the order of their ``_id``, so that the same records give the same bytes, whatever the order they came in.

    ::

        with ReleaseWriter(shared_dir, manifest) as writer:
            for record in records:
                writer.write(record)
            writer.publish(writer.describe(errors))

    :param folder: where to publish instead of in the source's release folder.
    :param started: when the crawl started (aware); its UTC second becomes the release string. Default: now.
    :raises LockedError: on entering, when another crawl of the source is under way.
    :raises FleetError: on entering, when the published release is not older than this one, or the folder can't be written.
        Later, when the disk fails: records are lost then, so whatever is called after it raises the same, ``publish`` too.
    """

    def __init__(
        self,
        shared_dir: Path,
        manifest: Manifest,
        started: datetime | None = None,
        code_version: str = "",
        folder: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self.folder = folder or protocol.release_folder(shared_dir, manifest.name)
        self.started = started or datetime.now(UTC)
        self.release = ""
        self.counts = Counts()
        self._code_version = code_version
        self._lock = source_lock(self.folder)
        self._files: dict[str, IO[bytes]] = {}
        self._rejects = RejectLines(self._write_reject)
        self._lines: SortedLines | None = None
        self._coverage = Coverage()
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
                self._lines = SortedLines(self.folder)
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

    def write(self, record: Any, url: str = "", response: Answer | None = None) -> None:
        """Add a record. One that can't be in a release goes to the rejects with the reason; either way it is counted.

        :param url: the page that the record came from, for the rejects; ``response``: the answer, which has a URL of its own.
        """
        try:
            line = encode(record)
        except UnwritableError as error:
            self.counts.items += 1
            self._reject_item(str(error), "schema", field=error.field, url=url, record=record, response=response)
            return
        self.write_line(record["_id"], line, shape_of(record), response.note if response else url)

    def write_line(self, identifier: str, line: bytes, shape: Shape, note: str = "") -> None:
        """Add a record that ``ndjson.encode`` made a line of. ``shape``: as ``coverage.shape_of`` gives it."""
        self.counts.items += 1
        self._add(identifier, line, shape, note)

    def write_replayed(self, record: dict[str, Any]) -> None:
        """Add a record of an earlier run's rejects that passed when it was replayed. It gives way to one of this run's own.

        :raises UnwritableError: it can't be in a release.
        """
        line = encode(record)
        self._add(record["_id"], line, shape_of(record), _REPLAYED)

    def reject(
        self,
        reason: str,
        *,
        kind: str = "",
        field: str = "",
        url: str = "",
        record: Any = None,
        response: Answer | None = None,
    ) -> None:
        """Keep what did not make it into the release: a page that gave no record (``record`` None), or a record, whole.

        :param kind: the error class, a key of ``tally.ADVICE``. Default: the first word of the reason, if that is one.
        :param response: the answer that it came from.
        """
        if record is not None:
            self.counts.items += 1
            self._reject_item(reason, kind, field=field, url=url, record=record, response=response)
        else:
            self._rejects.add(reason, kind=kind, field=field, url=url, response=response)

    def check(self) -> None:
        """:raises FleetError: the disk failed."""
        with self._disk():
            pass

    def withdraw(self, record: dict[str, Any], reason: str, url: str = "", response: Answer | None = None) -> None:
        """Keep a record out of the release because its site withdrew it. That is no fault, and counts against no budget."""
        self.counts.items += 1
        self.counts.withdrawn += 1
        with self._disk():
            self._rejects.add(f"withdrawn: {reason}", kind="withdrawn", url=url, record=record, response=response)

    def settle(self) -> Counts:
        """Write the data file. No record can be added after it, and the counts are final: ``items`` = ``records`` +
        ``rejected_items`` + ``withdrawn``.

        The data file holds ``records`` + ``replayed`` lines.
        """
        with self._disk():
            if self._lines is not None:
                self._write_lines(self._lines)
                self._lines.close()
                self._lines = None
        return self.counts

    def describe(self, errors: dict[str, ErrorCount] | None = None) -> Description:
        """The ``release.json`` of what was written. It settles what isn't yet."""
        self.settle()
        return Description(
            source=self.manifest.name,
            release=self.release,
            records=self.counts.records + self.counts.replayed,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            sorted=True,
            rejects=self.counts.rejects,
            started=protocol.format_release(self.started),
            finished=protocol.format_release(datetime.now(UTC)),
            kind=self.manifest.kind,
            code_version=self._code_version,
            counts=self.counts,
            errors=errors or {},
            coverage=self._coverage.shares(),
        )

    def publish(self, description: Description | None = None) -> Description:
        """Make what was written the source's release, in the protocol's order: data first, ``release.txt`` last.

        A release that was held is superseded by it, and removed.

        :raises FleetError: the disk failed. What was published before is whole until the first rename; if the failure comes
            after it, the pair doesn't fit together, which readers see by ``release.json``, and the next crawl mends it.
        """
        description = description or self.describe()
        with self._disk():
            self._place(description, self.folder)
            remove_held(self.folder)
            remove_unpublished(self.folder)
        return description

    def hold(self, description: Description) -> None:
        """Keep what was written beside the published release, whole, for a person to approve or discard.

        It takes the place of one that was held before.
        """
        held = self.folder / protocol.HELD
        with self._disk():
            remove_held(self.folder)
            held.mkdir(exist_ok=True)
            self._place(description, held)

    def drop_held(self) -> None:
        """Remove a release that is held: a good crawl superseded it."""
        with self._disk():
            remove_held(self.folder)

    def _place(self, description: Description, folder: Path) -> None:
        for name, content in (
            (protocol.DESCRIPTION, msgspec.json.format(msgspec.json.encode(description), indent=2) + b"\n"),
            (protocol.RELEASE, self.release.encode()),  # and nothing else: readers that strip no newline exist
        ):
            self._files[name] = create_temporary(self.folder, name)
            write_all(self._files[name], content)
        for file in self._files.values():
            # The hub's archive shares the inodes: from here on nobody writes to them.
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        place({name: temporary_path(self.folder, name) for name in protocol.PUBLISH_ORDER}, folder)

    def _add(self, identifier: str, line: bytes, shape: Shape, note: str) -> None:
        assert self._lines is not None, "records are written inside the with block, before settle()"
        if self._failure:
            raise self._failure
        self._coverage.add(shape)
        try:
            self._lines.add(identifier, line, note)
        except OSError as error:
            raise self._fail(error) from error

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

    def _write_lines(self, lines: SortedLines) -> None:
        last: str | None = None
        parts: list[bytes] = []
        size = 0
        for identifier, line, note in lines:
            if identifier == last:
                record = msgspec.json.decode(line)
                self._coverage.take_back(record)
                if note != _REPLAYED:
                    self.counts.duplicates += 1
                    self._reject_duplicate(record, note)
                continue
            last = identifier
            if note == _REPLAYED:
                self.counts.replayed += 1
            else:
                self.counts.records += 1
            parts.append(line)
            size += len(line)
            if size >= _WRITE_BYTES:
                self._write_data(parts)
                parts, size = [], 0
        self._write_data(parts)

    def _write_data(self, parts: list[bytes]) -> None:
        content = b"".join(parts)
        write_all(self._files[protocol.DATA], content)
        self._digest.update(content)
        self._bytes += len(content)

    def _reject_duplicate(self, record: dict[str, Any], note: str) -> None:
        response = msgspec.json.decode(note) if note.startswith("{") else None
        url = response["url"] if response else note
        reason = f"_id {record['_id']!r} is in this release already"
        self._reject_item(reason, "duplicate", field="_id", url=url, record=record, response=response)

    def _reject_item(
        self, reason: str, kind: str, *, field: str, url: str, record: Any, response: Answer | dict[str, Any] | None
    ) -> None:
        self.counts.rejected_items += 1
        self._rejects.add(reason, kind=kind, field=field, url=url, record=record, response=response)

    def _write_reject(self, line: bytes) -> None:
        with self._disk():
            write_all(self._files[protocol.REJECTS], line)
        self.counts.rejects += 1

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Around all that needs the disk: once it failed, records are lost, so nothing more is written and nothing published."""
        if self._failure:
            raise self._failure
        try:
            yield
        except OSError as error:
            raise self._fail(error) from error

    def _fail(self, error: OSError) -> FleetError:
        self._failure = FleetError(
            f"{self.manifest.name}: writing release {self.release} to {self.folder} failed: {error}. It was not published. "
            "See that the disk has room and works, and crawl again."
        )
        return self._failure

    def _leave(self) -> None:
        with ExitStack() as stack:  # each is done, whatever becomes of the others
            stack.callback(self._lock.release)
            if self._lines is not None:
                stack.callback(self._lines.close)
            for name, file in self._files.items():
                stack.callback(file.close)
                stack.callback(temporary_path(self.folder, name).unlink, missing_ok=True)
            rejects = temporary_path(self.folder, protocol.REJECTS)
            if self.counts.rejects and rejects.exists():  # neither published nor held
                stack.callback(keep_unpublished, rejects, self.folder, self.release)
            self._files, self._lines = {}, None
