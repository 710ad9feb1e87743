"""The archive: releases taken up from the shared volume by hard links, one folder each, that never change again.

``<archive>/<source>/<release>/`` holds what the crawler published. What is archived is read from the folder names alone, so
that it can't lie after a crash. The files on the shared volume are others' work: links are looked at after they were made,
inside the archive, so that nothing can be swapped between the look and the use, and neither a symbolic link nor a pipe is
ever followed or opened.
"""

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import (
    DATA,
    DESCRIPTION,
    PUBLISH_ORDER,
    RELEASE,
    Release,
    checksum,
    parse_release,
    read_description,
)

_STAGING = ".staging-"
_ATTEMPTS = 5
_RELEASE_MAX_BYTES = 64
_DESCRIPTION_MAX_BYTES = 1024 * 1024
# linkat(2): another file system, none that has hard links, too many links, fs.protected_hardlinks.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class _PublishedMeanwhile(Exception):
    """A crawler changed the folder while we linked its files."""


class _Torn(ReleaseError):
    """Data and release don't belong together: true for a moment while a crawler publishes, and for good if that was cut off."""


@dataclass(frozen=True)
class Archived:
    """A release in the archive. ``folder``: where its files lie."""

    release: Release
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / DATA


def find_archived(archive: Path) -> Archived | None:
    """The latest release in ``archive``, the folder of one source; None where there is none."""
    found: list[Archived] = []
    for path in archive.iterdir() if archive.is_dir() else ():
        try:
            release = parse_release(path.name, path)
        except ReleaseError:
            continue
        if (path / DATA).is_file():
            found.append(Archived(release, path))
    return max(found, key=lambda archived: archived.release.at, default=None)


def read_published(published: Path) -> Release | None:
    """The release published in the folder ``published``; None where nothing was.

    Like ``crawlers.runtime.release.read_release``, but follows no symbolic link and never waits for a pipe.

    :raises ReleaseError: it holds no release string, or isn't a plain file in a plain folder.
    """
    with _open_folder(published) as folder:
        return None if folder is None else _read_release(published, folder)


def take_up(published: Path, archive: Path, settle_seconds: float = 1.0) -> Archived | None:
    """Take up what is published in ``published`` into ``archive``; None where there is nothing new.

    Only one process at a time may do so for a source. A release that is archived already is left as it is.

    :param settle_seconds: how long a pair without ``release.json`` must stay the same: nothing else tells that the
        crawler isn't just between its two renames.
    :raises ReleaseError: what is published can't be taken up; says why. Nothing is left behind in the archive.
    """
    try:
        for _ in range(_ATTEMPTS):
            with _open_folder(published) as folder:
                release = None if folder is None else _read_release(published, folder)
                if folder is None or release is None:
                    return None
                try:
                    if _is_later(published, folder, release, find_archived(archive)):
                        return _archive(published, folder, release, archive, settle_seconds)
                    return None
                except _PublishedMeanwhile:
                    continue
                except _Torn:
                    time.sleep(settle_seconds)
                    if _read_release(published, folder) == release:
                        raise
    except OSError as error:
        raise ReleaseError(
            f"{published} can't be taken up into {archive}: {error}. Check that there is room, and that uid {os.geteuid()} may "
            "read the one and write the other; it will be tried again within the hour."
        ) from error
    raise ReleaseError(
        f"{published} changed while its release was taken up, {_ATTEMPTS} times in a row. "
        "Look at what writes there: a crawler publishes once a crawl. It will be tried again within the hour."
    )


@contextmanager
def _open_folder(path: Path) -> Iterator[int | None]:
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


def _read_release(published: Path, folder: int) -> Release | None:
    path = published / RELEASE
    try:
        with _open_plain(folder, path) as file:
            return parse_release(file.read(_RELEASE_MAX_BYTES + 1).decode("utf-8", "replace"), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReleaseError(
            f"{path} can't be read: {error}. Expected is a plain file that uid {os.geteuid()} may read."
        ) from error


@contextmanager
def _open_plain(folder: int, path: Path) -> Iterator[BinaryIO]:
    """The file ``path``, which lies in ``folder``; never follows a link, never waits for a pipe."""
    descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        _require_plain(os.fstat(descriptor), path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _is_later(published: Path, folder: int, release: Release, archived: Archived | None) -> bool:
    """Whether ``release`` is to be taken up.

    :raises ReleaseError: it is older than the archived one, or the same with other content.
    """
    if archived is None:
        return True
    ours = archived.data.stat()
    theirs = _status(folder, DATA)
    same_file = theirs is not None and (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
    if release.at > archived.release.at:
        if same_file:
            raise ReleaseError(
                f"{published / DATA} is still the file that is archived as {archived.release}, but {RELEASE} says {release}: a "
                f"crawler wrote into a published file, and so into {archived.data}. Publish a new file, renamed into place."
            )
        return True
    if release.text != archived.release.text:
        raise ReleaseError(
            f"{published / RELEASE} says {release}, which is not later than {archived.release}, which is archived in "
            f"{archived.folder}. An older release is never taken up; crawl the source again, or correct the clock of its crawler."
        )
    same_copy = theirs is not None and (theirs.st_size, theirs.st_mtime_ns) == (ours.st_size, ours.st_mtime_ns)
    if not same_file and not same_copy:
        raise _Torn(
            f"{published / DATA} is not what was archived as {release}: a crawler was cut off while it published, or published "
            "twice under one release. The archive keeps what it has; crawl the source again."
        )
    return False


def _archive(published: Path, folder: int, release: Release, archive: Path, settle_seconds: float) -> Archived:
    target = archive / release.text
    if target.exists():
        raise ReleaseError(f"{target} exists, but holds no {DATA}: remove it, so that the release can be taken up")
    archive.mkdir(parents=True, exist_ok=True)
    for leftover in archive.glob(f"{_STAGING}*"):  # of a run that was killed: only one runs at a time
        shutil.rmtree(leftover)
    staging = archive / f"{_STAGING}{os.getpid()}"
    staging.mkdir()
    try:
        taken = {name: _stage(published, folder, name, staging) for name in PUBLISH_ORDER}
        if taken[DATA] is None:
            raise ReleaseError(
                f"{published / DATA} is missing beside {RELEASE}, which says {release}. Crawl the source again."
            )
        if not _verify(published, staging, release):
            time.sleep(settle_seconds)
        if _read_release(published, folder) != release or any(
            _identity(_status(folder, name)) != identity for name, identity in taken.items()
        ):
            raise _PublishedMeanwhile
        _fsync(staging)
        staging.rename(target)
        _fsync(archive)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return Archived(release, target)


def _stage(published: Path, folder: int, name: str, staging: Path) -> tuple[int, ...] | None:
    """Bring one file into ``staging``, by a link or as a copy; its identity on the shared volume, None where it isn't there."""
    target = staging / name
    try:
        try:
            os.link(name, target, src_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return _copy(published, folder, name, target)
        status = target.lstat()
        _require_plain(status, published / name)
        if status.st_mode & _WRITE_BITS:
            # Whoever may write to the published file could write to the archive.
            if name != DATA:
                target.unlink()
                return _copy(published, folder, name, target)
            try:
                target.chmod(stat.S_IMODE(status.st_mode) & ~_WRITE_BITS)
            except PermissionError:
                target.unlink()
                return _copy(published, folder, name, target)
        _fsync(target)
        return _identity(status)
    except FileNotFoundError:
        return None


def _copy(published: Path, folder: int, name: str, target: Path) -> tuple[int, ...]:
    with _open_plain(folder, published / name) as source:
        status = os.fstat(source.fileno())
        with target.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fchmod(copy.fileno(), 0o444)
            os.fsync(copy.fileno())
    return _identity(status) or ()


def _verify(published: Path, staging: Path, release: Release) -> bool:
    """Compare the staged data with its description; False where a foreign crawler left that out.

    :raises ReleaseError: they differ.
    """
    path = staging / DESCRIPTION
    if path.exists() and path.stat().st_size > _DESCRIPTION_MAX_BYTES:
        raise ReleaseError(
            f"{published / DESCRIPTION} has over {_DESCRIPTION_MAX_BYTES} bytes: it describes a release in a few lines"
        )
    try:
        description = read_description(staging)
    except ReleaseError as error:
        raise ReleaseError(str(error).replace(str(staging), str(published))) from error
    if description is None:
        return False
    got = {**checksum(staging / DATA), "release": release.text}
    for field, value in got.items():
        if getattr(description, field) != value:
            raise _Torn(
                f"{published / DATA}: {field} is {value!r}, but release.json beside it says {getattr(description, field)!r}. A crawler "
                "was cut off while it published, or something else wrote there. Nothing was taken up; crawl the source again."
            )
    return True


def _require_plain(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ReleaseError(f"{path} is no plain file. The release was refused; remove it and crawl the source again.")


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _identity(status: os.stat_result | None) -> tuple[int, ...] | None:
    return status and (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
