"""Runs that were cut off: a crawl that was killed, stopped or failed is gone on with by the next one.

``unfinished.json`` in the source's state folder says when the run began; it is removed when its release is published. A crawl that
finds it takes the pages that were stored since then as they are, without a request, so it comes to where the other was at the
speed of the disk, and then goes on. A release is named by the start of its crawl, so what is gone on with keeps the name.
"""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from crawlers.runtime.errors import FleetError
from crawlers.runtime.release import read_release, release_folder, state_folder
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path

logger = logging.getLogger(__name__)

UNFINISHED = "unfinished.json"


class UnfinishedRun(msgspec.Struct, frozen=True):
    """``unfinished.json``. ``started``: when the run began, in UTC."""

    started: datetime


def unfinished_start(shared_dir: Path, source: str, max_age: timedelta) -> datetime | None:
    """When the run of ``source`` that is to be gone on with began; None where there is none, or it is too old.

    A run that began before the published release is over: something else was published since.
    """
    path = state_folder(shared_dir, source) / UNFINISHED
    try:
        started = msgspec.json.decode(path.read_bytes(), type=UnfinishedRun).started.astimezone(UTC)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        logger.warning("%s: %s can't be read: %s. The crawl starts anew.", source, path, error)
        return None
    if not timedelta(0) <= datetime.now(UTC) - started <= max_age:
        return None
    published = read_release(release_folder(shared_dir, source))
    return started if published is None or published.at < started.replace(microsecond=0) else None


def begin(shared_dir: Path, source: str, started: datetime) -> None:
    """Note that a run began.

    :raises FleetError: the state folder can't be written.
    """
    folder = state_folder(shared_dir, source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        with create_temporary(folder, UNFINISHED) as file:
            file.write(msgspec.json.encode(UnfinishedRun(started)) + b"\n")
            os.fsync(file.fileno())
            temporary_path(folder, UNFINISHED).replace(folder / UNFINISHED)
    except OSError as error:
        raise FleetError(
            f"{source}: {folder} can't be written: {error}. Make FLEET_SHARED_DIR a folder that uid {os.geteuid()} may write to."
        ) from error


def end(shared_dir: Path, source: str) -> None:
    """Note that the run is over."""
    (state_folder(shared_dir, source) / UNFINISHED).unlink(missing_ok=True)
