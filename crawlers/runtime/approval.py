"""What a person does with a release that the publish gate holds back: approve it, or discard it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock
import msgspec

from crawlers.runtime import release as protocol
from crawlers.runtime.errors import FleetError, LockedError
from crawlers.runtime.held import find_held
from crawlers.runtime.history import append, settle_held
from crawlers.runtime.lock import source_lock
from crawlers.runtime.publishing import place, remove_held
from crawlers.runtime.release import Description, format_release
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path


def approve(shared_dir: Path, source: str) -> Description:
    """Publish the release of ``source`` that is held; returns its ``release.json``.

    Cut off anywhere, it can be done again: the held files stay until all of them are published.

    :raises LockedError: a crawl of the source is under way.
    :raises FleetError: nothing is held, what is held is damaged, or the folder can't be written.
    """
    folder = protocol.release_folder(shared_dir, source)
    with _locked(folder, source):
        description = _require_held(folder, source)
        held = folder / protocol.HELD
        for path in (held, *(held / name for name in protocol.PUBLISH_ORDER)):
            if path.is_symlink():
                raise FleetError(
                    f"{source}: {path} is a symbolic link. Nothing was published. Discard it, and crawl again."
                )
        found = protocol.checksum(held / protocol.DATA)
        if any(getattr(description, key) != value for key, value in found.items()):
            raise FleetError(
                f"{source}: {held / protocol.DATA} is not what release.json beside it describes ({found}). Nothing was "
                f"published. Discard it (`fleet discard {source}`) and crawl again."
            )
        description.outcome = "published"
        description.approved = format_release(datetime.now(UTC))
        remove_abandoned(folder)
        files = {name: temporary_path(folder, name) for name in protocol.PUBLISH_ORDER}
        try:
            for name, path in files.items():
                path.unlink(missing_ok=True)
                if name == protocol.DESCRIPTION:
                    with create_temporary(folder, name) as file:
                        file.write(msgspec.json.format(msgspec.json.encode(description), indent=2) + b"\n")
                        os.fchmod(file.fileno(), 0o444)
                        os.fsync(file.fileno())
                else:
                    os.link(held / name, path, follow_symlinks=False)
            place(files, folder)
        finally:
            for path in files.values():
                path.unlink(missing_ok=True)
        remove_held(folder)
        _note(folder, description, "approved")
    return description


def discard(shared_dir: Path, source: str) -> Description:
    """Remove the release of ``source`` that is held; returns its ``release.json``. The published one stays.

    :raises LockedError: a crawl of the source is under way.
    :raises FleetError: nothing is held, or the folder can't be written.
    """
    folder = protocol.release_folder(shared_dir, source)
    with _locked(folder, source):
        description = _require_held(folder, source)
        remove_held(folder)
        _note(folder, description, "discarded")
    return description


def drop_held(folder: Path, reason: str) -> None:
    """Discard the release that is held in ``folder``, by who holds the source's lock; the history says why.

    :raises FleetError: what is held can't be read.
    """
    description = _require_held(folder, folder.name.removesuffix("_crawled"))
    remove_held(folder)
    _note(folder, description, "discarded", reason)


def _note(folder: Path, description: Description, outcome: str, message: str = "") -> None:
    now = format_release(datetime.now(UTC))
    run = RunEntry(source=description.source, release=description.release, started=now, ended=now, outcome=outcome)
    run.message = message
    run.describe(description)
    run.counts = description.counts
    append(folder, run)
    settle_held(folder, description.release, outcome)


def _require_held(folder: Path, source: str) -> Description:
    description = find_held(folder)
    if description is None:
        raise FleetError(f"{source}: no release is held. `fleet history {source}` tells how its crawls went.")
    return description


@contextmanager
def _locked(folder: Path, source: str) -> Iterator[None]:
    if not folder.is_dir():
        raise FleetError(f"{source} was never crawled into {folder.parent}: no release is held.")
    try:
        with source_lock(folder):
            yield
    except filelock.Timeout as error:
        raise LockedError(
            f"{source}: a crawl of this source is under way. Wait for it to end, then try again."
        ) from error
    except OSError as error:
        raise FleetError(
            f"{source}: {folder} can't be written: {error}. Run the command as the user that crawls, uid {os.geteuid()} may not."
        ) from error
