"""Small files of JSON on the shared volume, each of one struct: read with care, replaced in one step."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.temporary import create_temporary, temporary_path

# Ours have a few kilobytes. Whatever else lies there under the name is no reason to fill the memory.
MAX_BYTES = 4 << 20

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read_json(path: Path, form: type[_Struct], advice: str) -> _Struct | None:
    """What the file ``path`` holds; None where there is none. A symbolic link is not followed.

    :param advice: what the file is, and what to do about one that can't be read: it ends the error's text.
    :raises ReleaseError: it is there, but can't be read, or is not of the ``form``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=form)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
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
