"""The second step of a harvest, without the network: from the files of its windows to the records of a release."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from crawlers.runtime.coverage import Shape
from crawlers.runtime.oai.conversion import convert_windows
from crawlers.runtime.oai.converted import DELETED, REJECTED, Block, read_blocks, remove_others
from crawlers.runtime.oai.newest import Newest


@dataclass(frozen=True)
class Built:
    """What the windows held. ``versions`` = all records in them, also older ones of the same identifier; ``records`` were given on,
    ``rejects`` could not be converted, ``deleted`` are gone from the repository.
    """

    versions: int
    records: int
    rejects: int
    deleted: int


def build(
    windows: Sequence[Path],
    scratch: Path,
    accept: Callable[[str, bytes, Shape], None],
    reject: Callable[[str, dict[str, Any]], None],
    step: Callable[[], None] = lambda: None,
) -> Built:
    """Give on the newest version of every record in ``windows`` (files, oldest first) that was not deleted. What of them is converted
    already is not converted again.

    :param scratch: a folder for temporary files, of some 100 bytes a version.
    :param accept: called with the ``_id`` of each record made, its line, and its shape (``coverage.shape_of``).
    :param reject: called with the reason and the record as it came, for each that can't be converted.
    :param step: called now and then while it goes on.
    :raises WindowFileError: a window's file can't be read.
    """
    for folder in {window.parent for window in windows}:
        remove_others(folder, windows)
    convert_windows(windows, step)
    newest = Newest(scratch)
    records = rejects = 0
    try:
        for block in _blocks(windows):
            step()
            for identifier, datestamp, state, *_ in block.keys:
                newest.add(identifier, datestamp, state == DELETED)
        newest.choose()
    finally:
        newest.close()
    number = 0
    for block in _blocks(windows):
        step()
        first, number = number, number + len(block.keys)
        if not newest.is_any_kept(first, number):
            continue
        for place, (key, content) in enumerate(zip(block.keys, block.contents(), strict=True)):
            if not newest.is_kept(first + place):
                continue
            if key.state == REJECTED:
                rejects += 1
                rejected = orjson.loads(content)
                reject(rejected["reason"], rejected["record"])
            else:
                records += 1
                accept(key.identifier, content, block.shapes[key.shape])
    return Built(newest.versions, records, rejects, newest.deleted)


def _blocks(windows: Sequence[Path]) -> Iterator[Block]:
    for window in windows:
        yield from read_blocks(window)
