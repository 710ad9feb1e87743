"""The archive: releases taken up from the shared volume by hard links, one folder each, that never change again.

``<archive>/<source>/<release>/`` holds what the crawler published. What is archived is read from the folder names alone, so
that it can't lie after a crash.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import (
    DATA,
    DESCRIPTION,
    PUBLISH_ORDER,
    REJECTS,
    RELEASE,
    Release,
    checksum,
    parse_release,
    read_description,
)
from hub.dataload.plain_files import fsync, identity_of, link_or_copy, open_folder, open_plain, status_in

_STAGING = ".staging-"
# Never copied if it can be helped: they may fill the disk, and a sparse one more than once.
_LARGE = (DATA, REJECTS)
_ATTEMPTS = 5
_RELEASE_MAX_BYTES = 64
_DESCRIPTION_MAX_BYTES = 1024 * 1024


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


def list_archived(archive: Path) -> list[Archived]:
    """The releases in ``archive``, the folder of one source, the earliest first."""
    found: list[Archived] = []
    for path in archive.iterdir() if archive.is_dir() else ():
        try:
            release = parse_release(path.name, path)
        except ReleaseError:
            continue
        if (path / DATA).is_file():
            found.append(Archived(release, path))
    return sorted(found, key=lambda archived: archived.release.at)


def find_archived(archive: Path) -> Archived | None:
    """The latest release in ``archive``; None where there is none."""
    return next(reversed(list_archived(archive)), None)


def books_of(archive: Path) -> Path:
    """What the hub notes of the releases in ``archive``: counts of changes, when records were seen, what is pinned."""
    return archive / "books"


def read_published(published: Path) -> Release | None:
    """The release published in the folder ``published``; None where nothing was.

    Like ``crawlers.runtime.release.read_release``, but follows no symbolic link and never waits for a pipe.

    :raises ReleaseError: it holds no release string, or isn't a plain file in a plain folder.
    """
    with open_folder(published) as folder:
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
            with open_folder(published) as folder:
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


def _read_release(published: Path, folder: int) -> Release | None:
    path = published / RELEASE
    try:
        with open_plain(folder, path) as file:
            return parse_release(file.read(_RELEASE_MAX_BYTES + 1).decode("utf-8", "replace"), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReleaseError(
            f"{path} can't be read: {error}. Expected is a plain file that uid {os.geteuid()} may read."
        ) from error


def _is_later(published: Path, folder: int, release: Release, archived: Archived | None) -> bool:
    """Whether ``release`` is to be taken up.

    :raises ReleaseError: it is older than the archived one, or the same with other content.
    """
    if archived is None:
        return True
    ours = archived.data.stat()
    theirs = status_in(folder, DATA)
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
    described = status_in(folder, DESCRIPTION)
    if described is not None and described.st_size > _DESCRIPTION_MAX_BYTES:
        raise ReleaseError(
            f"{published / DESCRIPTION} has over {_DESCRIPTION_MAX_BYTES} bytes: it describes a release in a few lines"
        )
    archive.mkdir(parents=True, exist_ok=True)
    for leftover in archive.glob(f"{_STAGING}*"):  # of a run that was killed: only one runs at a time
        shutil.rmtree(leftover)
    staging = archive / f"{_STAGING}{os.getpid()}"
    staging.mkdir()
    try:
        taken = {name: link_or_copy(folder, published / name, staging / name, name in _LARGE) for name in PUBLISH_ORDER}
        if taken[DATA] is None:
            raise ReleaseError(
                f"{published / DATA} is missing beside {RELEASE}, which says {release}. Crawl the source again."
            )
        if not _verify(published, staging, release):
            time.sleep(settle_seconds)
        if _read_release(published, folder) != release or any(
            identity_of(status_in(folder, name)) != identity for name, identity in taken.items()
        ):
            raise _PublishedMeanwhile
        fsync(staging)
        staging.rename(target)
        fsync(archive)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return Archived(release, target)


def _verify(published: Path, staging: Path, release: Release) -> bool:
    """Compare the staged data with its description; False where a foreign crawler left that out.

    :raises ReleaseError: they differ.
    """
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
