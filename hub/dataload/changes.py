"""What each archived release changed against the one archived before it, counted once and kept in the source's books.

``changes/<release>.json``. The same pass over the data notes when records were seen. Both are written under temporary names and
renamed, so that whatever is missing after a crash is made up for by the next call.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from hub.dataload.archive import Archived, books_of, find_archived, list_archived
from hub.dataload.diff import Difference, Note, diff_files
from hub.dataload.plain_files import fsync
from hub.dataload.seen import add_release, find_seen, remove_outdated
from hub.dataload.withdrawn import find_withdrawn

logger = logging.getLogger(__name__)

_FOLDER = "changes"
_PATHS = 20


class Changes(msgspec.Struct, kw_only=True):
    """Records ``added``, ``removed``, ``changed`` and ``unchanged`` in ``release`` against ``against``, the release archived
    before it; null for the first, of which all records are added.

    ``paths``: the places that differ in most records, and in how many. ``records``: of the release; ``malformed``: its lines that
    are no records; ``duplicates``: those whose ``_id`` an earlier line has. ``withdrawn``: of the removed, by their site.
    """

    release: str
    against: str | None
    added: int
    removed: int
    changed: int
    unchanged: int
    paths: dict[str, int]
    records: int
    malformed: int
    duplicates: int
    withdrawn: int = 0


def read_changes(archive: Path, archived: Archived) -> Changes | None:
    """What a release in ``archive``, the folder of one source, changed; None where that was not counted yet."""
    try:
        return msgspec.json.decode(_path(archive, archived.release.text).read_bytes(), type=Changes)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_all_changes(archive: Path) -> list[Changes]:
    """The same of all releases in ``archive``, the earliest first, as far as they were counted."""
    return [changes for it in list_archived(archive) if (changes := read_changes(archive, it))]


def forget_changes(archive: Path, release: str) -> None:
    """Remove the counts of a release that is no longer archived."""
    _path(archive, release).unlink(missing_ok=True)


def has_all_changes(archive: Path) -> bool:
    """Whether ``note_changes`` would have nothing to do."""
    return not _missing(archive)


def note_changes(archive: Path, but_latest: bool = False) -> None:
    """Count what each release in ``archive`` changed, and note when its records were seen, as far as that isn't done yet.

    Only one process at a time may do so for a source. ``but_latest``: leave out the latest release.
    """
    latest = find_archived(archive)
    for before, archived in _missing(archive):
        if but_latest and archived == latest:
            return
        changes = _count(archive, before, archived)
        remove_outdated(books_of(archive))
        _write(
            _path(archive, archived.release.text), msgspec.json.format(msgspec.json.encode(changes), indent=2) + b"\n"
        )
        logger.info(
            "%s: %d added, %d removed, %d changed, %d unchanged against %s",
            archived.folder,
            changes.added,
            changes.removed,
            changes.changed,
            changes.unchanged,
            before.release if before else "nothing",
        )


def _missing(archive: Path) -> list[tuple[Archived | None, Archived]]:
    """The releases to be counted, each with the one before it."""
    archived = list_archived(archive)
    seen = find_seen(books_of(archive))
    return [
        (before, it)
        for before, it in zip([None, *archived], archived, strict=False)
        if read_changes(archive, it) is None or seen is None or it.release.at > seen.release.at
    ]


def _count(archive: Path, before: Archived | None, archived: Archived) -> Changes:
    books = books_of(archive)
    books.mkdir(exist_ok=True)
    seen = find_seen(books)
    is_known = seen is not None and seen.release.at >= archived.release.at
    found: Difference = diff_files(
        before.data if before else None,
        archived.data,
        books,
        note_new=None if is_known else partial(_noting, books, archived),
        withdrawn=find_withdrawn(archived.folder),
    )
    return Changes(
        release=archived.release.text,
        against=before.release.text if before else None,
        added=found.added,
        removed=found.removed,
        changed=found.changed,
        unchanged=found.unchanged,
        paths=dict(found.paths.most_common(_PATHS)),
        records=found.new.records,
        malformed=found.new.malformed,
        duplicates=found.new.duplicates,
        withdrawn=found.withdrawn,
    )


@contextmanager
def _noting(books: Path, archived: Archived) -> Iterator[Note]:
    with add_release(books, archived.release) as writer:
        yield writer.note


def _path(archive: Path, release: str) -> Path:
    return books_of(archive) / _FOLDER / f"{release}.json"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(".new.json")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync(path.parent)
