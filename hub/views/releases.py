"""One release of a source as people look at it: what it counts, what is wrong with it, and where its files lie.

``word``: a release string, or ``published``, ``held``, ``archived``, ``live``.
"""

from pathlib import Path

import msgspec

from crawlers.runtime import coverage
from crawlers.runtime.errors import ReleaseError, UsageError
from crawlers.runtime.release import DATA, DESCRIPTION, HELD, REJECTS, Description, release_folder
from hub.dataload.archive import Archived, list_archived, read_published
from hub.dataload.changes import Changes, read_changes
from hub.dataload.pin import read_pin
from hub.releases import find_release
from hub.settings import HubSettings
from hub.status import read_plain_description

# The files of a release that may be downloaded. No other name is ever put into a path.
DOWNLOADS = (DATA, REJECTS, DESCRIPTION, "upload-rejects.ndjson")
UPLOAD_REJECTS = DOWNLOADS[3]


class ReleaseFile(msgspec.Struct, kw_only=True):
    """A file that can be downloaded."""

    name: str
    bytes: int


class ReleaseLook(msgspec.Struct, kw_only=True):
    """``places``: ``published``, ``held``, ``archived``, ``live``, ``pinned``, as far as it is. ``description``: release.json; null
    where a foreign crawler left it out. ``changes``: against the one archived before, null until counted. ``before``, ``after``: the
    releases archived around it. ``coverage_change``: by field, in hundredths, against ``before``.
    """

    source: str
    release: str
    places: list[str]
    folder: str
    description: Description | None
    changes: Changes | None
    before: str | None
    after: str | None
    coverage_change: dict[str, float]
    files: list[ReleaseFile]


def find_folder(settings: HubSettings, name: str, word: str, live: str | None) -> tuple[str, Path]:
    """The release string, and the folder where the files of that release lie.

    :raises UsageError: there is no such release.
    """
    crawled = release_folder(settings.runtime.shared_dir, name)
    for place, folder in (("published", crawled), ("held", crawled / HELD)):
        text = _release_in(folder)
        if place == "held" and text and _is_superseded(crawled, text):
            text = None
        if word == place and text is None:
            raise UsageError(f"{name}: no release is {place}")
        if text is not None and word in (place, text) and (place == "held" or not _is_archived(settings, name, text)):
            return text, folder
        if word == place:
            word = str(text)
    if word == "archived":
        archived = list_archived(settings.archive_dir / name)
        if not archived:
            raise UsageError(f"{name}: no release is archived yet")
        return archived[-1].release.text, archived[-1].folder
    if word == "live":
        if live is None:
            raise UsageError(f"{name}: no release is live")
        word = live
    found = find_release(settings.archive_dir / name, word)
    return found.release.text, found.folder


def look_at_release(settings: HubSettings, name: str, word: str, live: str | None) -> ReleaseLook:
    """The release that ``word`` names.

    :raises UsageError: there is none.
    """
    release, folder = find_folder(settings, name, word, live)
    archive = settings.archive_dir / name
    archived = list_archived(archive)
    texts = [it.release.text for it in archived]
    at = texts.index(release) if release in texts else len(texts)
    before = archived[at - 1] if at else None
    described = read_plain_description(folder)
    return ReleaseLook(
        source=name,
        release=release,
        places=_places(settings, name, release, folder, texts, live),
        folder=str(folder),
        description=described,
        changes=read_changes(archive, archived[at]) if at < len(texts) else None,
        before=before.release.text if before else None,
        after=texts[at + 1] if at + 1 < len(texts) else None,
        coverage_change=_coverage_change(described, before),
        files=[ReleaseFile(name=it, bytes=size) for it in DOWNLOADS if (size := _size(folder / it)) is not None],
    )


def find_download(settings: HubSettings, name: str, word: str, file: str, live: str | None) -> tuple[str, Path]:
    """The release, and the path of the file called ``file`` in it.

    :raises UsageError: there is no such release, or no such file.
    """
    if file not in DOWNLOADS:
        raise UsageError(f"{file[:80]!r} can't be downloaded; these can: {', '.join(DOWNLOADS)}")
    release, folder = find_folder(settings, name, word, live)
    if _size(folder / file) is None:
        raise UsageError(f"{name}: release {release} has no {file}")
    return release, folder / file


def _places(
    settings: HubSettings, name: str, release: str, folder: Path, archived: list[str], live: str | None
) -> list[str]:
    crawled = release_folder(settings.runtime.shared_dir, name)
    try:
        pin = read_pin(settings.archive_dir / name)
    except ReleaseError:
        pin = None
    found = {
        "held": folder == crawled / HELD,
        "published": _release_in(crawled) == release,
        "archived": release in archived,
        "live": release == live,
        "pinned": pin is not None and pin.release == release,
    }
    return [place for place, holds in found.items() if holds]


def _coverage_change(described: Description | None, before: Archived | None) -> dict[str, float]:
    earlier = read_plain_description(before.folder) if before else None
    return coverage.changes(described.coverage, earlier.coverage) if described and earlier else {}


def _release_in(folder: Path) -> str | None:
    try:
        found = read_published(folder)
    except ReleaseError:
        return None
    return found.text if found else None


def _is_superseded(crawled: Path, held: str) -> bool:
    try:
        published, found = read_published(crawled), read_published(crawled / HELD)
    except ReleaseError:
        return False
    return published is not None and found is not None and published.at >= found.at


def _is_archived(settings: HubSettings, name: str, release: str) -> bool:
    return any(it.release.text == release for it in list_archived(settings.archive_dir / name))


def _size(path: Path) -> int | None:
    """Bytes of a plain file; None where there is none."""
    try:
        return path.stat().st_size if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None
