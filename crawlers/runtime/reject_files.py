"""Where rejects lie: in ``rejects.ndjson`` beside the release, published or held; those of the last run that published nothing,
in ``unpublished/<release>.ndjson``, named by the release that it would have been.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from crawlers.runtime import release as protocol
from crawlers.runtime.errors import ReleaseError

logger = logging.getLogger(__name__)

UNPUBLISHED = "unpublished"


class RejectsFile(NamedTuple):
    """A file of rejects. ``of``: whose they are, ``published``, ``held``, ``unpublished`` or ``upload``.

    ``data``: the records of the same run, None where it kept none.
    """

    path: Path
    of: str
    release: str
    data: Path | None = None


def find_rejects(folder: Path) -> list[RejectsFile]:
    """The rejects that the crawls into the release folder ``folder`` left, the newest run first.

    :raises ReleaseError: what lies there can't be read.
    """
    found: list[tuple[protocol.Release, RejectsFile]] = []
    for of, place in (("published", folder), ("held", folder / protocol.HELD)):
        release = _read_release(place)
        if release and (place / protocol.REJECTS).is_file():
            found.append((release, RejectsFile(place / protocol.REJECTS, of, release.text, place / protocol.DATA)))
    for path in (folder / UNPUBLISHED).glob("*.ndjson"):
        try:
            release = protocol.parse_release(path.stem, path)
        except ReleaseError:  # whatever that is, no run of ours left it
            continue
        found.append((release, RejectsFile(path, UNPUBLISHED, release.text)))
    published = max((release.at for release, file in found if file.of == "published"), default=None)
    # What is older than the published release was superseded by it, and is about to be removed.
    current = [pair for pair in found if pair[1].of == "published" or published is None or pair[0].at > published]
    return [file for _, file in sorted(current, key=lambda pair: pair[0].at, reverse=True)]


def keep_unpublished(temporary: Path, folder: Path, release: str) -> None:
    """Keep the rejects of a run that publishes nothing, in place of those of the run before.

    Where the disk fails that is but logged: how the run ended matters more.
    """
    target = folder / UNPUBLISHED / f"{release}.ndjson"
    try:
        target.parent.mkdir(exist_ok=True)
        with temporary.open("rb") as file:
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        temporary.replace(target)
        remove_unpublished(folder, keep=target)
    except OSError as error:
        logger.warning("the rejects can't be kept in %s: %s", target, error)


def remove_unpublished(folder: Path, keep: Path | None = None) -> None:
    """Remove the rejects of runs that published nothing."""
    for path in (folder / UNPUBLISHED).glob("*.ndjson"):
        if path != keep:
            with suppress(OSError):  # their name tells that they are superseded
                path.unlink()


def _read_release(folder: Path) -> protocol.Release | None:
    try:
        return protocol.read_release(folder)
    except ReleaseError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return None  # no release that anybody takes
