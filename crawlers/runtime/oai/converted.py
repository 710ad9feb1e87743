"""What was made of a window's answers, kept beside it, so that a release is built without converting all windows anew.

``converted/<window>.<version>`` beside the windows holds one block an answer: what tells the versions apart (identifier, datestamp,
state, size), and then their records. It is derived: it may be removed at any time, and what is missing, of other converters or not of
the window as it is now is made again.
"""

import hashlib
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import orjson
from lxml import etree

from crawlers.runtime.coverage import Shape
from crawlers.runtime.errors import FleetError
from crawlers.runtime.temporary import write_all

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FOLDER = "converted"
# What decides what becomes of an answer: this folder, and how a record becomes a line.
_HERE = Path(__file__).parent
_CODE = (
    "answer.py",
    "conversion.py",
    "converted.py",
    "mending.py",
    "names.py",
    "windows.py",
    "../ndjson.py",
    "../coverage.py",
    "../fields.py",
)
# A quarter of the time of gzip's level 1, and half the size.
_COMPRESSION: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
_SIZES = struct.Struct("=II")
# Where a block would begin: there is none, and the size and time of the window that it was made of follow.
_END = struct.Struct("=IIQQ")

KEPT, DELETED, REJECTED = "+", "-", "!"


class ConvertedError(FleetError):
    """What was converted can't be read."""


class Version(NamedTuple):
    """A version of a record. ``state``: one of the three above.

    ``content``: the record as a line of JSON; a rejected one's is an object of ``reason`` and ``record``, as it came; a deleted one's
    is empty. ``shape``: the names of the record's fields, as ``coverage.shape_of`` gives them.
    """

    identifier: str
    datestamp: str
    state: str
    content: bytes
    shape: Shape = ()


class Key(NamedTuple):
    """What tells a version apart. ``size``: of its content, in bytes; ``shape``: where its shape is among those of its block."""

    identifier: str
    datestamp: str
    state: str
    size: int
    shape: int


class _Keys(NamedTuple):
    shapes: list[Shape]
    keys: list[Key]


_KEYS = msgspec.json.Decoder(_Keys)


class Block:
    """The versions of records in one answer."""

    def __init__(self, path: Path, keys: _Keys, packed: bytes) -> None:
        self.shapes, self.keys = keys
        self._path = path
        self._packed = packed

    def contents(self) -> Iterator[bytes]:
        """The content of each version.

        :raises ConvertedError: it can't be read. The file was removed then.
        """
        try:
            contents = zstd.decompress(self._packed)
            if len(contents) != sum(key.size for key in self.keys):
                raise zstd.ZstdError("its size is not what it was")
        except zstd.ZstdError as error:
            raise _broken(self._path, error) from error
        end = 0
        for key in self.keys:
            yield contents[end : (end := end + key.size)]


def write_block(file: IO[bytes], versions: Iterable[Version]) -> None:
    """Add the versions in an answer."""
    keys, contents = [], []
    shapes: dict[Shape, int] = {}
    for identifier, datestamp, state, content, shape in versions:
        keys.append((identifier, datestamp, state, len(content), shapes.setdefault(shape, len(shapes))))
        contents.append(content)
    packed_keys = _packed(msgspec.json.encode((list(shapes), keys)))
    packed = _packed(b"".join(contents))
    write_all(file, b"".join((_SIZES.pack(len(packed_keys), len(packed)), packed_keys, packed)))


def write_end(file: IO[bytes], window: os.stat_result) -> None:
    """Say that it is whole, and of which file it was made."""
    write_all(file, _END.pack(0, 0, window.st_size, window.st_mtime_ns))


def converted_path(window: Path) -> Path:
    """Where that of the file of a window lies."""
    return window.parent / FOLDER / f"{window.name.removesuffix('.gz')}.{version()}"


def is_converted(window: Path) -> bool:
    """Whether it is there, and of the window as it is now."""
    try:
        made_of = window.stat()
        with converted_path(window).open("rb") as file:
            file.seek(-_END.size, os.SEEK_END)
            end = _END.unpack(file.read())
    except OSError:  # there is none, or it is shorter than that
        return False
    return end == (0, 0, made_of.st_size, made_of.st_mtime_ns)


def read_blocks(window: Path) -> Iterator[Block]:
    """What was made of the answers in the file of a window, in order.

    :raises ConvertedError: it can't be read. The file was removed then.
    """
    path = converted_path(window)
    try:
        with path.open("rb") as file:
            while any(sizes := _SIZES.unpack(file.read(_SIZES.size))):
                packed_keys, packed = (file.read(size) for size in sizes)
                if len(packed) != sizes[1]:
                    raise EOFError("it ends early")
                yield Block(path, _KEYS.decode(zstd.decompress(packed_keys)), packed)
    except (OSError, EOFError, struct.error, zstd.ZstdError, msgspec.DecodeError) as error:
        raise _broken(path, error) from error


def remove_others(folder: Path, windows: Iterable[Path]) -> None:
    """Remove from ``folder`` what is of none of the windows, or of other converters."""
    wanted = {converted_path(window).name for window in windows}
    if (folder / FOLDER).is_dir():
        for path in (folder / FOLDER).iterdir():
            if path.name not in wanted and not path.name.startswith("."):
                path.unlink(missing_ok=True)


@cache
def version() -> str:
    """Of the code that converts, and of the libraries under it; twelve hexadecimal digits."""
    digest = hashlib.sha256(repr((etree.LXML_VERSION, etree.LIBXML_VERSION, orjson.__version__)).encode())
    digest.update(platform.python_version().encode())
    for path in [_HERE / name for name in _CODE] + sorted((_HERE / "convert").glob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _packed(content: bytes) -> bytes:
    return zstd.compress(content, options=_COMPRESSION)


def _broken(path: Path, error: Exception) -> ConvertedError:
    path.unlink(missing_ok=True)
    return ConvertedError(
        f"{path}: {error}. It was made of what was harvested, which is whole, and is made again: it was removed; run this again."
    )
