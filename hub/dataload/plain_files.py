"""Files that others wrote: opened, linked and copied without following a symbolic link or waiting for a pipe.

A link is looked at after it was made, in a folder that is ours, so that nothing can be swapped between the look and the use.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from crawlers.runtime.errors import ReleaseError

# linkat(2): another file system, none that has hard links, too many links, fs.protected_hardlinks.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
# Of a file on the shared volume: device, inode, size in bytes, time of change in nanoseconds.
Identity = tuple[int, ...]


@contextmanager
def open_folder(path: Path) -> Iterator[int | None]:
    """A descriptor of the folder ``path``; None where it isn't there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {error}. A plain folder, no link, is expected.") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_plain(folder: int, path: Path) -> Iterator[BinaryIO]:
    """The file ``path``, which lies in ``folder``; never follows a link, never waits for a pipe."""
    descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        _require_plain(os.fstat(descriptor), path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def link_or_copy(folder: int, source: Path, target: Path, keep_link: bool) -> Identity | None:
    """Bring ``source``, which lies in ``folder``, to ``target``, read-only; its identity, None where it isn't there.

    Whoever may write to a file could write to what is linked to it. So one that is not read-only is copied; or made
    read-only, if ``keep_link`` says so and it is ours.
    """
    try:
        try:
            os.link(source.name, target, src_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return _copy(folder, source, target)
        status = target.lstat()
        _require_plain(status, source)
        if status.st_mode & _WRITE_BITS:
            if not keep_link:
                target.unlink()
                return _copy(folder, source, target)
            try:
                target.chmod(stat.S_IMODE(status.st_mode) & ~_WRITE_BITS)
            except PermissionError:
                target.unlink()
                return _copy(folder, source, target)
        fsync(target)
        return identity_of(status)
    except FileNotFoundError:
        return None


def _copy(folder: int, source: Path, target: Path) -> Identity:
    with open_plain(folder, source) as original:
        status = os.fstat(original.fileno())
        with target.open("xb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fchmod(copy.fileno(), 0o444)
            os.fsync(copy.fileno())
    return identity_of(status) or ()


def _require_plain(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ReleaseError(f"{path} is no plain file. The release was refused; remove it and crawl the source again.")


def status_in(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def identity_of(status: os.stat_result | None) -> Identity | None:
    return status and (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
