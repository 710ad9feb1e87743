"""Renaming a release into place, and removing one: by the protocol, ``release.txt`` decides whether there is one."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from crawlers.runtime import release as protocol


def place(files: Mapping[str, Path], folder: Path) -> None:
    """Rename ``files``, by the names of the protocol, into ``folder``: data first, ``release.txt`` last. They are fsynced already."""
    for name in protocol.PUBLISH_ORDER:
        if name == protocol.RELEASE:
            # After a power cut, a new release.txt must not stand beside old data.
            sync_folder(folder)
        files[name].replace(folder / name)
    sync_folder(folder)


def remove_held(folder: Path) -> None:
    """Remove the release that is held in the release folder ``folder``, if there is one: ``release.txt`` first."""
    held = folder / protocol.HELD
    if held.is_symlink():  # what it leads to is not ours to remove
        held.unlink()
    if not held.is_dir():
        return
    for name in reversed(protocol.PUBLISH_ORDER):
        (held / name).unlink(missing_ok=True)
    with suppress(OSError):  # a person has put something there, too
        held.rmdir()
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in ``folder`` as they are now."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
