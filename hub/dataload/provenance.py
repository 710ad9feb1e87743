"""Where each live document comes from, noted in its ``_meta`` when it is loaded; the archived line stays as it is.

``source``; ``release``: the one it was loaded from; ``url``: the page or API address that the record came from, by the crawler's
word (``_meta.url`` of the line), else the record's own ``url``, else null; ``first_seen`` and ``last_seen``: the moments of the
first and the latest release known to hold the record, which after a rollback may be later than the one that is live.

Whatever else a crawler put into ``_meta`` stays. A ``_meta`` that is no object is kept as ``_meta.value``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.dataload.archive import Archived
from hub.dataload.documents import Stamp
from hub.dataload.ordering import key_of, keys_by_line, sort_on_disk
from hub.dataload.seen import SeenReader, find_seen, moment_of

# What the hub says in _meta, whatever the crawler did: it is no change of a record.
NOT_OF_THE_RECORD = frozenset({"source", "release", "first_seen", "last_seen"})

_Find = Callable[[int, Any], tuple[str, str]]


@contextmanager
def stamping(source: str, archived: Archived, books: Path, in_order: bool) -> Iterator[Stamp]:
    """The stamp for the documents of a release, to be used line after line. ``books``: the folder of the source's.

    :param in_order: whether the records are in the order of ``_id``; if not, they are sorted on disk.
    :raises OutOfOrder: by the stamp: they are not in order.
    """
    seen = find_seen(books)
    # What is known tells of this release already if a person went back to it.
    is_known = seen is not None and seen.release.at >= archived.release.at
    reader = SeenReader(seen.path if seen else None, moment_of(archived.release), is_known)
    try:
        find = _finder_in_order(reader) if in_order else _finder(reader, archived.data, books)
        yield _stamp(source, archived.release.text, find)
    finally:
        reader.close()


def _stamp(source: str, release: str, find: _Find) -> Stamp:
    def stamp(number: int, identifier: Any, document: dict[str, Any]) -> None:
        first, last = find(number, identifier)
        meta = document.get("_meta")
        if not isinstance(meta, dict):
            meta = {} if meta is None else {"value": meta}
        meta["source"] = source
        meta["release"] = release
        meta["url"] = _text(meta.get("url")) or _text(document.get("url"))
        meta["first_seen"] = first
        meta["last_seen"] = last
        document["_meta"] = meta

    return stamp


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        value = next(iter(value), None)
    return value if isinstance(value, str) and value else None


def _finder_in_order(reader: SeenReader) -> _Find:
    def find(number: int, identifier: Any) -> tuple[str, str]:
        # Without an _id of its own, the hub's code of the source made one up.
        return reader.find(key_of(identifier)) if isinstance(identifier, str) else reader.unknown

    return find


def _finder(reader: SeenReader, data: Path, scratch: Path) -> _Find:
    """By the number of the line: keys are sorted to be found, and what is found is sorted back."""
    scratch.mkdir(exist_ok=True)
    by_key = sort_on_disk(keys_by_line(data), scratch)
    by_line = sort_on_disk(((number, *reader.find(key)) for key, number in by_key), scratch)
    latest: tuple[Any, ...] = (0,)

    def find(number: int, identifier: Any) -> tuple[str, str]:
        nonlocal latest
        while latest[0] < number:
            latest = next(by_line, (number + 1,))
        return (latest[1], latest[2]) if latest[0] == number else reader.unknown

    return find
