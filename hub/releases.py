"""The releases of a source, as far as the files tell: a list of them, and what changed from one to another."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.errors import ReleaseError, UsageError
from crawlers.runtime.manifest import nearest
from crawlers.runtime.release import DATA, HELD, RELEASE, release_folder
from hub.dataload.archive import Archived, books_of, list_archived, read_published
from hub.dataload.changes import read_changes
from hub.dataload.diff import diff_files
from hub.dataload.pin import read_pin
from hub.dataload.withdrawn import find_withdrawn
from hub.settings import HubSettings
from hub.views.histories import DataFile, compare_values, find_records

# Of one record that changed.
_VALUES = 20


@dataclass(frozen=True)
class Found:
    """A release that can be compared: its string, and its data file."""

    release: str
    data: Path


def list_releases(settings: HubSettings, name: str) -> list[dict[str, Any]]:
    """The archived releases of the source ``name``, the newest first.

    Of each: ``release``, ``records`` (null until it was compared), ``bytes``, ``changes`` (see ``Changes``; null likewise),
    ``pinned``, and ``live``, which is null: only the hub knows.
    """
    archive = settings.archive_dir / name
    pin = _pinned(archive)
    found = []
    for archived in reversed(list_archived(archive)):
        changes = read_changes(archive, archived)
        found.append(
            {
                "release": archived.release.text,
                "records": changes.records if changes else None,
                "bytes": _size_bytes(archived.data),
                "live": None,
                "pinned": archived.release.text == pin,
                "changes": msgspec.to_builtins(changes) if changes else None,
            }
        )
    return found


def find_release(archive: Path, text: str) -> Archived:
    """The release in ``archive`` of that release string.

    :raises UsageError: it isn't archived; the message names the nearest.
    """
    archived = {it.release.text: it for it in list_archived(archive)}
    if text in archived:
        return archived[text]
    hint = f"{nearest(text, list(archived))} `fleet releases {archive.name}` lists them." if archived else ""
    raise UsageError(f"{archive.name}: no release {text!r} is archived.{hint}")


def find_compared(settings: HubSettings, name: str, words: tuple[str, ...], live: str | None) -> tuple[Found, Found]:
    """The two releases that ``words`` name: release strings, or ``published``, ``archived``, ``live``, ``held``.

    None: the two newest that are archived. :param live: what is live, where that is known.

    :raises UsageError: there is no such release.
    """
    if not words:
        newest = list_archived(settings.archive_dir / name)[-2:]
        if len(newest) < 2:
            raise UsageError(
                f"{name}: {'one release is' if newest else 'no release is'} archived: two are needed to compare them. The next one comes with the "
                f"next crawl that finds something new (`fleet crawl {name}`); `fleet diff {name} archived held` compares with one "
                "that is held back"
            )
        old, new = newest
        return Found(old.release.text, old.data), Found(new.release.text, new.data)
    if len(words) != 2:
        raise UsageError("two releases are compared, or, if none is named, the two newest that are archived")
    first, second = (_find(settings, name, word, live) for word in words)
    return first, second


def compare(old: Found, new: Found, scratch: Path, examples: int = 0) -> dict[str, Any]:
    """What changed, as ``fleet diff --json`` prints it; changed examples with what the places held before and after."""
    scratch.mkdir(parents=True, exist_ok=True)
    found = diff_files(old.data, new.data, scratch, examples, withdrawn=find_withdrawn(new.data.parent))
    _add_values(found.examples["changed"], old, new)
    counts = asdict(found)
    return {
        "from": {"release": old.release, **counts.pop("old")},
        "to": {"release": new.release, **counts.pop("new")},
        **{key: counts[key] for key in ("added", "removed", "withdrawn", "changed", "unchanged")},
        "paths": dict(found.paths.most_common()),
        "other_paths": found.other_paths,
        **({"examples": found.examples} if examples else {}),
    }


def _add_values(changed: list[dict[str, Any]], old: Found, new: Found) -> None:
    names = [example["_id"] for example in changed]
    before, after = (find_records(DataFile.of(it.data.parent, it.data), names) if names else {} for it in (old, new))
    for example in changed:
        name = example["_id"]
        if name in before and name in after:  # a very long one is told shortened
            example["values"] = msgspec.to_builtins(compare_values(before[name], after[name])[:_VALUES])


def scratch_of(settings: HubSettings, name: str) -> Path:
    """Where a comparison may put temporary files: the archive's disk has room for a release."""
    return books_of(settings.archive_dir / name)


def _find(settings: HubSettings, name: str, word: str, live: str | None) -> Found:
    archive = settings.archive_dir / name
    if word in ("published", "held"):
        folder = release_folder(settings.runtime.shared_dir, name)
        if word == "held":
            folder /= HELD
        try:
            release = read_published(folder)
        except ReleaseError as error:
            raise UsageError(str(error)) from error
        data = folder / DATA
        if release is None or not data.is_file() or data.is_symlink():
            raise UsageError(f"{name}: no release is {word}: there is none in {folder / RELEASE}")
        return Found(release.text, data)
    if word == "archived":
        archived = list_archived(archive)
        if not archived:
            raise UsageError(f"{name}: no release is archived yet")
        word = archived[-1].release.text
    elif word == "live":
        if live is None:
            raise UsageError(f"{name}: no release is live")
        word = live
    if not any(it.release.text == word for it in list_archived(archive)):
        for place in ("published", "held"):  # not taken up yet, or never to be
            with suppress(UsageError):
                if (found_there := _find(settings, name, place, live)).release == word:
                    return found_there
    found = find_release(archive, word)
    return Found(found.release.text, found.data)


def _pinned(archive: Path) -> str | None:
    try:
        pin = read_pin(archive)
    except ReleaseError:
        return None
    return pin.release if pin else None


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was removed a moment ago
        return 0
