"""Small files of JSON on the shared volume, each of one struct: read with care, replaced in one step."""

import errno
import os
import stat
from pathlib import Path
from typing import TypeVar

import msgspec
import orjson

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.temporary import create_temporary, temporary_path

# Ours have a few kilobytes. Whatever else lies there under the name is no reason to fill the memory.
MAX_BYTES = 4 << 20

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read_plain(path: Path, most_bytes: int = MAX_BYTES) -> bytes:
    """What the plain file ``path`` holds, at most so much of it. Never follows a link, never waits for a pipe: whoever may write on
    the shared volume may put either there.

    :raises OSError: it can't be read, or is no plain file.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return file.read(most_bytes)


def decode(content: bytes, form: type[_Struct]) -> _Struct:
    """``content``, which is JSON, as a struct. What is nested too deeply, and numbers that no other JSON could carry on, are refused.

    :raises ValueError: it is no JSON, or not of the ``form``.
    """
    try:
        return msgspec.convert(orjson.loads(content), form)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(str(error)) from error


def read_json(path: Path, form: type[_Struct], advice: str) -> _Struct | None:
    """What the file ``path`` holds; None where there is none. A symbolic link is not followed.

    :param advice: what the file is, and what to do about one that can't be read: it ends the error's text.
    :raises ReleaseError: it is there, but can't be read, or is not of the ``form``.
    """
    try:
        return decode(read_plain(path), form)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: {error}. {advice}") from error


def write_json(folder: Path, name: str, content: msgspec.Struct) -> None:
    """Write ``content`` to ``folder / name``: a reader sees what was there before, or all of it.

    :raises OSError: it can't be written; nothing is left of the try.
    """
    try:
        with create_temporary(folder, name) as file:
            file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
            temporary_path(folder, name).replace(folder / name)
    except OSError:
        temporary_path(folder, name).unlink(missing_ok=True)
        raise
