"""What lies on the shared volume about a source, read in one go: what its standing is worked out from."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crawlers.runtime.container import Container, find_schedule, read_container
from crawlers.runtime.errors import FleetError
from crawlers.runtime.heartbeat import Heartbeat, read_heartbeat
from crawlers.runtime.held import find_held
from crawlers.runtime.history import find_pace, read_last_run
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.orders import Order, Pause, read_orders, read_pause
from crawlers.runtime.pace import Pace
from crawlers.runtime.release import (
    Description,
    Release,
    format_release,
    read_description,
    read_release,
    release_folder,
    state_folder,
)
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.schedule import Schedule, moment


class Facts(msgspec.Struct, kw_only=True):
    """What lies on the shared volume about a source, as far as it can be read; ``fault``: why not all of it."""

    name: str
    now: datetime
    schedule: Schedule
    container: Container | None = None
    run: RunEntry | None = None
    pace: Pace = Pace()
    heartbeat: Heartbeat | None = None
    release: Release | None = None
    description: Description | None = None
    held: Description | None = None
    pause: Pause | None = None
    order: Order | None = None
    fault: str = ""

    @property
    def collected(self) -> datetime | None:
        """When the source was last seen whole; where a foreign crawler tells no more, when it started the published release."""
        if self.pace.good:
            return moment(self.pace.good)
        return self.release.at.astimezone(UTC) if self.release and not self.pace.ended else None

    @property
    def since(self) -> datetime | None:
        return moment(self.container.since) if self.container else None


def gather(shared_dir: Path, manifest: Manifest, now: datetime) -> Facts:
    """The facts of the source of ``manifest`` at the moment ``now`` (aware)."""
    folder, state = release_folder(shared_dir, manifest.name), state_folder(shared_dir, manifest.name)
    container = read_container(state)
    facts = Facts(
        name=manifest.name,
        now=now,
        schedule=find_schedule(manifest, container.cron if container else ""),
        container=container,
    )

    def read_run() -> None:
        facts.run = read_last_run(folder)
        facts.pace = find_pace(folder, facts.schedule, facts.run)
        if facts.run and facts.run.outcome == "running":
            facts.heartbeat = read_heartbeat(folder)

    def read_published() -> None:
        facts.release = read_release(folder)
        facts.description = read_description(folder) if facts.release else None

    def read_rest() -> None:
        facts.order = next(iter(read_orders(state)), None)
        facts.held = find_held(folder)
        try:
            facts.pause = read_pause(state, now)
        except FleetError as error:  # a pause that isn't understood is one that holds
            facts.pause = Pause(by="unknown", since=format_release(now), reason=str(error))

    for read in (read_run, read_published, read_rest):
        try:
            read()
        # Others may write there, too: a file that tells of a time that is none, say, must not hide the other sources.
        except (FleetError, OSError, ValueError, OverflowError) as error:
            facts.fault = facts.fault or str(error)
    return facts
