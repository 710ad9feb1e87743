"""What a crawler's container says of itself, in ``<source>_state/container.json``, so that others need not ask it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.json_files import read_json, write_json
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import format_release
from crawlers.runtime.schedule import Schedule, check_cron, moment

CONTAINER = "container.json"


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """``since``: when a container of the source first started; ``started``: when it last did. ISO 8601 in UTC.

    ``cron``: the setting ``FLEET_SCHEDULE``, which wins over the manifest; empty where it is not set.
    """

    since: str
    started: str
    cron: str = ""


def note_start(state_dir: Path, cron: str, now: datetime) -> Container:
    """Write that the container starts at the moment ``now`` (aware).

    :raises FleetError: it can't be written.
    """
    known = read_container(state_dir)
    started = format_release(now)
    container = Container(since=known.since if known else started, started=started, cron=cron)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        write_json(state_dir, CONTAINER, container)
    except OSError as error:
        raise FleetError(f"{state_dir} can't be written: {error}. Crawlers and hub must run as one user.") from error
    return container


def read_container(state_dir: Path) -> Container | None:
    """What the source's container last said; None where none ever started, or it can't be read, or is not what one of ours says."""
    try:
        container = read_json(state_dir / CONTAINER, Container, "")
        if container:
            moment(container.since)
            if container.cron:
                check_cron(container.cron)
        return container
    except (FleetError, ValueError, OverflowError):
        return None


def read_setting(environment: Mapping[str, str]) -> str:
    """The setting ``FLEET_SCHEDULE``: five cron fields in UTC, which win over the manifest's schedule; empty where it is not set.

    :raises UsageError: it is no schedule.
    """
    cron = environment.get("FLEET_SCHEDULE", "").strip()
    if cron:
        try:
            check_cron(cron)
        except ValueError as error:
            raise UsageError(f"FLEET_SCHEDULE of {environment.get('FLEET_SOURCE') or 'the source'}: {error}") from error
    return cron


def find_schedule(manifest: Manifest, cron: str) -> Schedule:
    """The schedule that holds: ``cron``, the container's setting, or where that is empty the manifest's."""
    return msgspec.structs.replace(manifest.timing, kind="cron", cron=cron) if cron else manifest.timing
