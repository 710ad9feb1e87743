"""What became of one record from release to release: where it came from, when it came, changed and went.

In a release whose lines are in the order of ``_id`` a record is found by halving the file, so this is quick also where releases
are large. Others are read from end to end.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import orjson

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import read_description
from hub.dataload.archive import Archived, list_archived
from hub.dataload.documents import MAX_LINE_BYTES
from hub.dataload.lines import parse_record, read_lines
from hub.dataload.ordering import key_of
from hub.dataload.provenance import NOT_OF_THE_RECORD

MAX_RELEASES = 50
_SECONDS = 8.0
_CHANGES = 50
_SHOWN_CHARACTERS = 2_000
# Below this many bytes lines are read one after the other.
_SHORT_BYTES = 64 * 1024

Became = Literal["absent", "present", "added", "changed", "same", "removed"]


class ValueChange(msgspec.Struct, kw_only=True):
    """A place in a record, as ``author[0].name``, and what it held ``before`` and ``after`` as JSON, shortened; null: nothing."""

    path: str
    before: str | None
    after: str | None


class Step(msgspec.Struct, kw_only=True):
    """What the release ``release`` did to the record, which is ``present`` where nothing is known of before; ``changes``: the first fifty, ``more_changes``: how many others."""

    release: str
    became: Became
    changes: list[ValueChange] = []
    more_changes: int = 0


@dataclass(frozen=True)
class DataFile:
    """``path``: lines of records; ``in_order``: whether they are said to be in the order of their ``_id``."""

    path: Path
    in_order: bool

    @classmethod
    def of(cls, folder: Path, path: Path) -> "DataFile":
        """That of the release in ``folder``."""
        try:
            description = read_description(folder)
        except (ReleaseError, OSError):
            description = None
        return cls(path, bool(description and description.sorted))


def follow_record(archive: Path, identifier: str) -> tuple[list[Step], bool]:
    """What each archived release of the source did to the record, the earliest first, as far back as number and time reach.

    Second: whether there are older releases, which were not looked at.
    """
    deadline = time.monotonic() + _SECONDS
    archived = list_archived(archive)[::-1]
    found: list[tuple[str, dict[str, Any] | None]] = []
    for release in archived[:MAX_RELEASES]:
        if found and time.monotonic() > deadline:
            break
        try:
            found.append((release.release.text, find_record(_file_of(release), identifier)))
        except FileNotFoundError:  # it was removed a moment ago
            continue
    found.reverse()
    older = len(found) < len(archived)
    steps = [
        _step(text, before, record) for (_, before), (text, record) in zip([("", None), *found], found, strict=False)
    ]
    if older and steps and steps[0].became == "added":
        steps[0].became = "present"
    return steps, older


def find_record(file: DataFile, identifier: str) -> dict[str, Any] | None:
    """The record with that ``_id``; None where there is none."""
    return find_records(file, [identifier]).get(identifier)


def find_records(file: DataFile, identifiers: list[str]) -> dict[str, dict[str, Any]]:
    """The records with these ``_id``, as far as they are there."""
    found: dict[str, dict[str, Any]] = {}
    with file.path.open("rb") as opened:
        if file.in_order:
            for identifier in identifiers:
                record = _halve(opened, identifier)
                if record is not None:
                    found[identifier] = record
        else:
            wanted = set(identifiers)
            for _, line, whole in read_lines(opened):
                record = parse_record(line) if whole else None
                if record is not None and record["_id"] in wanted:
                    found.setdefault(record["_id"], record)
                    if len(found) == len(wanted):
                        break
    return found


def compare_values(before: dict[str, Any], after: dict[str, Any]) -> list[ValueChange]:
    """Where two records differ, with what each holds there. What the hub itself writes into ``_meta`` doesn't count."""
    places = sorted(_differing("", _of_the_record(before), _of_the_record(after)))
    return [ValueChange(path=path, before=_json(old), after=_json(new)) for path, old, new in places]


def _step(release: str, before: dict[str, Any] | None, record: dict[str, Any] | None) -> Step:
    if record is None:
        return Step(release=release, became="absent" if before is None else "removed")
    if before is None:
        return Step(release=release, became="added")
    changes = compare_values(before, record)
    became: Became = "changed" if changes else "same"
    return Step(
        release=release, became=became, changes=changes[:_CHANGES], more_changes=max(0, len(changes) - _CHANGES)
    )


def _file_of(archived: Archived) -> DataFile:
    return DataFile.of(archived.folder, archived.data)


def _halve(file: BinaryIO, identifier: str) -> dict[str, Any] | None:
    """Find the record in a file whose lines are in order, by halving."""
    key = key_of(identifier)
    low, high = 0, file.seek(0, os.SEEK_END)  # its line begins at `low` or later, and before `high`
    while high - low > _SHORT_BYTES:
        middle = (low + high) // 2
        start, record = _first_record(file, middle, high)
        if record is None or key_of(record["_id"]) > key:
            high = middle
        else:
            low = start
    file.seek(low)
    while file.tell() < high:
        record = parse_record(file.readline(MAX_LINE_BYTES))
        if record is not None and record["_id"] == identifier:
            return record
    return None


def _first_record(file: BinaryIO, middle: int, high: int) -> tuple[int, dict[str, Any] | None]:
    """The first record whose line begins at ``middle`` or later, and before ``high``, and where that is."""
    file.seek(middle - 1)
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass  # the rest of a line, however long; of none, where one begins at `middle`
    while (start := file.tell()) < high:
        record = parse_record(file.readline(MAX_LINE_BYTES))
        if record is not None:
            return start, record
    return high, None


_NOTHING = object()


def _differing(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            inner = f"{path}.{key}" if path else key
            yield from _differing(inner, old.get(key, _NOTHING), new.get(key, _NOTHING))
    elif isinstance(old, list) and isinstance(new, list):
        for at in range(max(len(old), len(new))):
            before = old[at] if at < len(old) else _NOTHING
            after = new[at] if at < len(new) else _NOTHING
            yield from _differing(f"{path}[{at}]", before, after)
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        yield path, old, new


def _json(value: Any) -> str | None:
    if value is _NOTHING:
        return None
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _of_the_record(record: dict[str, Any]) -> dict[str, Any]:
    meta = record.get("_meta")
    if not isinstance(meta, dict):
        return record
    kept = {key: value for key, value in meta.items() if key not in NOT_OF_THE_RECORD}
    return {key: value for key, value in record.items() if key != "_meta"} | ({"_meta": kept} if kept else {})
