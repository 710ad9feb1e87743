"""When each record of a source was first and last seen: one file a source, in the order of ``_id``, read and written in one pass.

``seen/<release>.ndjson`` in the source's books tells of every release taken up to that one, also of those that are no longer
archived, and of records that have gone: one that comes back was first seen when it first came. A line is
``[key, first, last]``, moments of releases in UTC. A new release makes a new file, renamed into place.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import BinaryIO

import orjson

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import Release, parse_release
from hub.dataload.ordering import OutOfOrder
from hub.dataload.plain_files import fsync

FOLDER = "seen"
_SUFFIX = ".ndjson"
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class SeenFile:
    """What is known up to ``release``."""

    release: Release
    path: Path


def moment_of(release: Release) -> str:
    """ISO 8601 in UTC, whatever the time zone of the release string."""
    return release.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def find_seen(books: Path) -> SeenFile | None:
    """What is known in ``books``, the folder of one source; None where nothing is."""
    found = []
    for path in (books / FOLDER).glob(f"[!.]*{_SUFFIX}"):
        try:
            found.append(SeenFile(parse_release(path.name.removesuffix(_SUFFIX), path), path))
        except ReleaseError:
            continue
    return max(found, key=lambda seen: seen.release.at, default=None)


class SeenReader:
    """Finds when the records of a release were first and last seen; to be asked in the order of the keys.

    :param moment: of the release. :param is_known: whether the file tells of the release already.
    """

    def __init__(self, path: Path | None, moment: str, is_known: bool) -> None:
        self._file = path.open("rb", buffering=_BUFFER_BYTES) if path else None
        self._lines = _read(self._file)
        self.unknown = (moment, moment)
        self._last = None if is_known else moment
        self._key = ""
        self._entry: tuple[str, str, str] | None = next(self._lines, None)

    def find(self, key: str) -> tuple[str, str]:
        """The moments when the record was first and last seen.

        :raises OutOfOrder: the key is less than the one before.
        """
        if key < self._key:
            raise OutOfOrder
        self._key = key
        while self._entry is not None and self._entry[0] < key:
            self._entry = next(self._lines, None)
        if self._entry is None or self._entry[0] != key:
            return self.unknown
        return self._entry[1], self._last or self._entry[2]

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


class SeenWriter:
    """Writes what is known once ``note`` was told the keys of the records of a release, in order."""

    def __init__(self, old: SeenFile | None, file: BinaryIO, moment: str) -> None:
        self._old = old.path.open("rb", buffering=_BUFFER_BYTES) if old else None
        self._lines = _read(self._old)
        self._entry = next(self._lines, None)
        self._file = file
        self._moment = moment

    def note(self, key: str) -> None:
        """There is a record of that key in the release."""
        while self._entry is not None and self._entry[0] < key:
            self._pass_on()
        first = self._moment
        if self._entry is not None and self._entry[0] == key:
            first = self._entry[1]
            self._entry = next(self._lines, None)
        self._write(key, first, self._moment)

    def finish(self) -> None:
        """Pass on what comes after the last key."""
        while self._entry is not None:
            self._pass_on()

    def close(self) -> None:
        """Close what was known before."""
        if self._old:
            self._old.close()

    def _pass_on(self) -> None:
        assert self._entry
        self._write(*self._entry)
        self._entry = next(self._lines, None)

    def _write(self, key: str, first: str, last: str) -> None:
        self._file.write(orjson.dumps((key, first, last), option=orjson.OPT_APPEND_NEWLINE))


@contextmanager
def add_release(books: Path, release: Release) -> Iterator[SeenWriter]:
    """What notes the records of ``release``; when the block ends well, that is what is known."""
    folder = books / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    old = find_seen(books)
    target = folder / f"{release.text}{_SUFFIX}"
    temporary = folder / f".new{_SUFFIX}"  # one name, so that a killed process leaves at most one
    try:
        with ExitStack() as stack:
            file = stack.enter_context(temporary.open("wb", buffering=_BUFFER_BYTES))
            writer = SeenWriter(old, file, moment_of(release))
            stack.callback(writer.close)
            yield writer
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        fsync(folder)
    finally:
        temporary.unlink(missing_ok=True)


def remove_outdated(books: Path) -> None:
    """Remove what was known before."""
    newest = find_seen(books)
    for path in (books / FOLDER).glob(f"[!.]*{_SUFFIX}"):
        if newest and path != newest.path:
            path.unlink(missing_ok=True)


def _read(file: BinaryIO | None) -> Iterator[tuple[str, str, str]]:
    for line in file or ():
        try:
            key, first, last = orjson.loads(line)
        except ValueError as error:
            name = getattr(file, "name", "")
            raise ReleaseError(
                f"{name}: {line[:80]!r} is not [key, first, last]. Remove the file: it is made anew."
            ) from error
        yield key, first, last
