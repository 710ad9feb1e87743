"""The pin of a source: a person's word that one archived release is to be live, and no newer one, until it is taken back.

``pin.json`` in the source's books, renamed into place. It says what shall be; the intake brings it about, also after a crash.
"""

import os
from pathlib import Path

import msgspec

from crawlers.runtime.errors import ReleaseError
from hub.dataload.archive import Archived, books_of, find_archived, list_archived
from hub.dataload.plain_files import fsync

_NAME = "pin.json"


class Pin(msgspec.Struct, kw_only=True, frozen=True):
    """``release``: what is to be live. ``since``: ISO 8601 in UTC, to the second. ``by``, ``reason``: a person's words."""

    release: str
    since: str
    by: str = ""
    reason: str = ""

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"pinned to {self.release} since {self.since} by {self.by or 'somebody'}{reason}"


def read_pin(archive: Path) -> Pin | None:
    """The pin of the source whose releases lie in ``archive``; None where there is none.

    :raises ReleaseError: there is one, but it can't be read.
    """
    path = books_of(archive) / _NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pin)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReleaseError(
            f"{path}: {error}. Nothing goes live until `fleet unpin {archive.name}` removes it."
        ) from error


def write_pin(archive: Path, pin: Pin) -> None:
    """Have ``pin`` be the pin, also if the power goes off."""
    path = books_of(archive) / _NAME
    path.parent.mkdir(exist_ok=True)
    fsync(archive)
    temporary = path.with_name(f".{_NAME}.new")
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(pin), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync(path.parent)


def remove_pin(archive: Path) -> bool:
    """Take the pin back; whether there was one."""
    path = books_of(archive) / _NAME
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    fsync(path.parent)
    return True


def find_wanted(archive: Path) -> Archived | None:
    """The release in ``archive`` that is to be live: the pinned one, else the latest; None where nothing is archived.

    :raises ReleaseError: the pin can't be read, or what it names is not archived.
    """
    pin = read_pin(archive)
    if pin is None:
        return find_archived(archive)
    for archived in list_archived(archive):
        if archived.release.text == pin.release:
            return archived
    raise ReleaseError(
        f"{archive.name} is {pin}, but that is not in {archive} any more. What is live stays, and nothing else goes live, until "
        f"`fleet unpin {archive.name}`, or until another one is pinned by `fleet rollback {archive.name} RELEASE`."
    )
