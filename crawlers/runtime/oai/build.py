"""The second step of a harvest, without the network: from the files of its windows to the records of a release."""

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from crawlers.runtime.oai.conversion import Converter, Version
from crawlers.runtime.oai.newest import Newest
from crawlers.runtime.oai.windows import read_frames

_SIZES = struct.Struct("=II")


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
    windows: Iterable[Path],
    scratch: Path,
    accept: Callable[[dict[str, Any]], None],
    reject: Callable[[str, dict[str, Any]], None],
    converter: Converter | None = None,
) -> Built:
    """Convert the newest version of every record in ``windows`` (files, oldest first) that was not deleted.

    :param scratch: a folder for temporary files, which take as much as all records together.
    :param accept: called with each record made.
    :param reject: called with the reason and the record as it came, for each that can't be converted.
    :param converter: what converts, and may have done some of it ahead.
    :raises WindowFileError: a window's file can't be read.
    """
    bodies = (body for path in windows for _, body in read_frames(path))
    newest = Newest(scratch)
    records = rejects = 0
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(dir=scratch, buffering=1 << 20))
        converter = converter or stack.enter_context(Converter(scratch))
        try:
            for versions in converter.convert_all(bodies):
                for version in versions:
                    newest.add(version.identifier, version.datestamp, version.deleted)
                    _write(file, version)
            newest.choose()
        finally:
            newest.close()
        for number, (content, reason) in enumerate(_read(file, newest.versions)):
            if not newest.is_kept(number):
                continue
            if reason:
                rejects += 1
                reject(reason, orjson.loads(content))
            else:
                records += 1
                accept(orjson.loads(content))
    return Built(newest.versions, records, rejects, newest.deleted)


def _write(file: IO[bytes], version: Version) -> None:
    reason = version.reason.encode("utf-8", "replace")
    file.write(_SIZES.pack(len(version.content), len(reason)) + version.content + reason)


def _read(file: IO[bytes], count: int) -> Iterator[tuple[bytes, str]]:
    file.seek(0)
    for _ in range(count):
        content, reason = _SIZES.unpack(file.read(_SIZES.size))
        yield file.read(content), file.read(reason).decode()
