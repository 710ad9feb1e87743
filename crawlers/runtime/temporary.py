"""Temporary files whose owner can be seen to live or not.

The name tells a person who made the file: ``.data.ndjson.<host>-<process id>.tmp``. A program can't trust it: containers that
share a volume have process numbers of their own. So each owner holds a lock (``flock``) on its file as long as it lives; the
kernel drops that lock with the process, however it ends.
"""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

_SUFFIX = ".tmp"
# The files of a browser lie in a folder of the machine's temporary one, called like that, and then by the process id of its crawl.
BROWSER_FOLDER = "fleet-browser-"
# The folder of a replay under way, in the state folder of its source.
REPLAY_FOLDER = ".replay-"


def temporary_path(folder: Path, name: str) -> Path:
    """Where this process writes before the file becomes ``folder / name``."""
    return folder / f".{name}.{socket.gethostname()}-{os.getpid()}{_SUFFIX}"


def create_temporary(folder: Path, name: str) -> IO[bytes]:
    """Open a new temporary file for ``name``, marked as owned by this process until it is closed. Mode 0644.

    :raises OSError: it can't be made.
    """
    path = temporary_path(folder, name)
    path.unlink(missing_ok=True)
    file = path.open("xb", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.fchmod(file.fileno(), 0o644)
    except BaseException:
        path.unlink(missing_ok=True)
        file.close()
        raise
    return file


def is_temporary(name: str) -> bool:
    """Whether a file of that name is a temporary one, whoever made it."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def find_abandoned(folder: Path) -> list[Path]:
    """The temporary files in ``folder`` whose owner is gone."""
    return [path for path in _temporary_files(folder) if _is_abandoned(path, remove=False)]


def write_all(file: IO[bytes], content: bytes) -> None:
    """Write all of ``content`` to a file without a buffer, which may take a part at a time.

    :raises OSError: the disk failed.
    """
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def remove_abandoned(folder: Path) -> list[Path]:
    """Remove the temporary files in ``folder`` whose owner is gone; returns which. Those of living owners are left alone."""
    return [path for path in _temporary_files(folder) if _is_abandoned(path, remove=True)]


def _temporary_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f".*{_SUFFIX}") if not path.is_symlink() and path.is_file()]


def _is_abandoned(path: Path, *, remove: bool) -> bool:
    """Whether its owner is gone; it is removed then, while we hold its lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if remove:
                path.unlink(missing_ok=True)
        return True
    except OSError:  # its owner lives and holds the lock, or another cleaner was faster
        return False
