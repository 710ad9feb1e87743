"""What changed from one release of a source to another: records added, removed and changed, and where, in flat memory."""

import json
from collections import Counter
from collections.abc import Callable, Container
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

from hub.dataload.documents import has_long_number
from hub.dataload.lines import parse_record
from hub.dataload.ordering import OrderedRecords, OutOfOrder, Records, SortedRecords
from hub.dataload.provenance import NOT_OF_THE_RECORD

# A source can make up a field a record: only so many different paths are counted one by one, and shown of one record.
_PATHS = 1_000
_PATHS_OF_ONE = 20
_PATH_CHARACTERS = 200

# Kinds of examples: a withdrawn record is among the removed, too.
KINDS = ("added", "removed", "withdrawn", "changed")

Note = Callable[[str], None]


@dataclass
class Side:
    """What one of the two files holds. ``malformed``: lines that are no records; ``duplicates``: of an earlier ``_id``."""

    records: int = 0
    malformed: int = 0
    duplicates: int = 0


@dataclass
class Difference:
    """Records ``added``, ``removed``, ``changed`` and ``unchanged``, so that old.records = removed + changed + unchanged, and
    new.records = added + changed + unchanged. ``withdrawn``: so many of the removed were withdrawn by their site.

    ``paths``: in how many changed records each path differs, e.g. ``author[].name``; ``other_paths``: the same of all paths that
    came after the first thousand. ``examples``: the first few ``_id`` of each kind, of the changed with their paths.
    ``in_order``: both files are in the order of ``_id``.
    """

    added: int = 0
    removed: int = 0
    withdrawn: int = 0
    changed: int = 0
    unchanged: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    other_paths: int = 0
    old: Side = field(default_factory=Side)
    new: Side = field(default_factory=Side)
    in_order: bool = True
    examples: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


def diff_files(
    old: Path | None,
    new: Path,
    scratch: Path,
    examples: int = 0,
    note_new: Callable[[], AbstractContextManager[Note]] | None = None,
    withdrawn: Container[str] = (),
) -> Difference:
    """Compare two data files; ``old`` None: with nothing.

    :param scratch: a folder for temporary files, if the data files are not in the order of ``_id``.
    :param examples: how many of each kind to give.
    :param note_new: makes what is told the key of each record of ``new``, in order. If its block is left by an exception,
        what it was told is void: the file turned out not to be in order, and another one is made.
    :param withdrawn: the ``_id`` of records that their site withdrew, by the rejects of ``new``.
    """
    for in_order in (True, False):
        try:
            with (
                closing(_walk(old, scratch, in_order)) as before,
                closing(_walk(new, scratch, in_order)) as after,
                note_new() if note_new else nullcontext(_ignore) as note,
            ):
                found = _diff(before, after, examples, note, withdrawn)
        except OutOfOrder:
            continue
        found.in_order = in_order
        return found
    raise AssertionError("sorted records are in order")


def changed_paths(old: Any, new: Any) -> set[str]:
    """Where two values differ: the order of keys does not count, that of lists does; 1 is 1.0, but not true."""
    found: set[str] = set()
    waiting: list[tuple[str, Any, Any]] = [("", old, new)]
    while waiting:
        path, before, after = waiting.pop()
        if isinstance(before, dict) and isinstance(after, dict):
            for key in before.keys() | after.keys():
                inner = _join(path, key)
                if key in before and key in after:
                    waiting.append((inner, before[key], after[key]))
                else:
                    found.add(inner)
        elif isinstance(before, list) and isinstance(after, list):
            if len(before) != len(after):
                found.add(f"{path}[]")
            waiting.extend(zip(repeat(f"{path}[]"), before, after, strict=False))
        elif isinstance(before, bool) != isinstance(after, bool) or before != after:
            found.add(path)
    return found


def _diff(old: Records, new: Records, examples: int, note: Note, withdrawn: Container[str]) -> Difference:
    found = Difference()
    old.advance()
    new.advance(old)
    while old.key is not None or new.key is not None:
        if new.key is None or (old.key is not None and old.key < new.key):
            found.removed += 1
            _keep(found.examples["removed"], examples, old.key)
            if old.key in withdrawn:
                found.withdrawn += 1
                _keep(found.examples["withdrawn"], examples, old.key)
            old.advance(new)
            continue
        note(new.key)
        if old.key is None or new.key < old.key:
            found.added += 1
            _keep(found.examples["added"], examples, new.key)
            new.advance(old)
            continue
        paths = set() if new.has_line_of(old) else changed_paths(_compared(old.line()), _compared(new.line()))
        if paths:
            found.changed += 1
            _count(found, paths)
            if len(found.examples["changed"]) < examples:
                found.examples["changed"].append({"_id": new.key, "paths": sorted(paths)[:_PATHS_OF_ONE]})
        else:
            found.unchanged += 1
        old.advance()
        new.advance(old)
    found.old, found.new = (Side(it.records, it.malformed, it.duplicates) for it in (old, new))
    return found


def _walk(path: Path | None, scratch: Path, in_order: bool) -> Records:
    if path is None:
        return Records()
    return OrderedRecords(path) if in_order else SortedRecords(path, scratch)


def _compared(line: bytes) -> dict[str, Any]:
    """The record of ``line`` without what says nothing about it."""
    record = parse_record(line) or {}
    if has_long_number(
        line
    ):  # the quick parser makes floats of integers beyond 64 bits: different ones may be the same then
        with suppress(RecursionError):
            record = json.loads(line)
    meta = record.get("_meta")
    if isinstance(meta, dict) and not NOT_OF_THE_RECORD.isdisjoint(meta):
        kept = {key: value for key, value in meta.items() if key not in NOT_OF_THE_RECORD}
        record = {key: value for key, value in record.items() if key != "_meta"} | ({"_meta": kept} if kept else {})
    return record


def _count(found: Difference, paths: set[str]) -> None:
    for path in paths:
        if path in found.paths or len(found.paths) < _PATHS:
            found.paths[path] += 1
        else:
            found.other_paths += 1


def _join(path: str, key: str) -> str:
    shown = json.dumps(key) if not key or any(character in key for character in '.[]"') else key
    return (f"{path}.{shown}" if path else shown)[:_PATH_CHARACTERS]


def _keep(examples: list[Any], limit: int, key: str | None) -> None:
    if len(examples) < limit:
        examples.append(key)


def _ignore(key: str) -> None:
    pass
