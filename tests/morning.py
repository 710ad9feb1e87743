"""A fleet as an operator finds it on a Monday morning: a source in each state, written as crawlers leave them on the shared volume."""

import fcntl
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from crawlers.runtime.heartbeat import HEARTBEAT, Heartbeat
from crawlers.runtime.history import HISTORY, LAST_RUN, RunEntry
from crawlers.runtime.lock import LOCK
from crawlers.runtime.orders import pause
from crawlers.runtime.release import Counts, Description, checksum, format_release, state_folder
from tests.running_hub import RunningHub, documents
from tests.xss import ALL, PAYLOADS

NAMES = ("blocked", "held_back", "old", "paused_one", "hostile", "good", "better", "unseen", "at_work", "refused")
RUNNING_SINCE = timedelta(minutes=12)


class Morning:
    """Writes the fleet below the folders of ``hub``, which may run already. ``now``: what is ago is before that."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._locks: list[int] = []

    def write(self) -> None:
        hub = self.hub
        daily = f"{self.now.minute} {(self.now.hour - 7) % 24} * * *"
        for name, title in zip(NAMES, _TITLES, strict=True):
            hub.add_source(name, title=title, description=f"{title}, for one test.", schedule=daily)
        hub.add_source(
            "hostile", title=ALL[:1900], maintainer=PAYLOADS[2], schedule=daily, license_url="http://x/'\"><b>"
        )
        hub.add_source("faulty_one", kind="scrappy")
        self.runs("good", [("published", 1000 + 7 * day, timedelta(days=19 - day, hours=7)) for day in range(20)])
        self.publish("good", timedelta(hours=7), documents(1133, "good"))
        self.runs("better", [("published", 800 - (day % 5) * 30, timedelta(days=8 - day, hours=6)) for day in range(9)])
        self.publish("better", timedelta(hours=6), documents(830, "better"))
        self.runs(
            "blocked", [("published", 500, timedelta(days=4)), *[("failed", 0, timedelta(days=it)) for it in (3, 2, 1)]]
        )
        self.publish("blocked", timedelta(days=4), documents(500, "blocked"))
        self.runs("old", [("published", 40, timedelta(days=30 - it)) for it in range(3)])
        self.publish("old", timedelta(days=27), documents(40, "old"))
        self.runs("paused_one", [("published", 60, timedelta(days=2))])
        self.publish("paused_one", timedelta(days=2), documents(60, "paused_one"))
        pause(
            state_folder(hub.shared, "paused_one"), by="erika", reason="The site asked us to wait until it has moved."
        )
        self.runs("hostile", [("published", 3, timedelta(days=1)), ("failed", 0, timedelta(hours=4))], message=ALL)
        self.publish("hostile", timedelta(days=1), documents(3, "hostile", title=ALL))
        self.runs("refused", [("published", 2, timedelta(hours=7))])
        self.publish("refused", timedelta(hours=7), [b'{"_id": "refused_1"}\n', b"no record at all\n", b"nor this\n"])
        self.runs(
            "held_back", [("published", 900, timedelta(days=1)), ("held", 300, timedelta(hours=3))], reasons=[_HELD]
        )
        self.publish("held_back", timedelta(days=1), documents(900, "held_back"))
        self.hold("held_back", timedelta(hours=3), documents(300, "held_back"))
        self.runs("at_work", [("published", 2000, timedelta(days=1))])
        self.publish("at_work", timedelta(days=1), documents(2000, "at_work"))
        self.run("at_work")

    def runs(
        self, name: str, runs: list[tuple[str, int, timedelta]], message: str = "", reasons: list[str] | None = None
    ) -> None:
        """The history: of each run its outcome, its records, and how long ago it started."""
        folder = self.folder(name)
        entries = [self.entry(name, number, *run) for number, run in enumerate(runs)]
        if entries[-1].outcome not in ("published", "unchanged"):
            entries[-1].message = (
                message or "503 Service Unavailable for 212 of 240 pages, e.g. http://site.invalid/list?page=7"
            )
            entries[-1].reasons = reasons or []
        (folder / HISTORY).write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        self.note(name, entries[-1])

    def entry(self, name: str, number: int, outcome: str, records: int, ago: timedelta) -> RunEntry:
        started = self.now - ago
        failed = 3 if outcome == "published" else 212 if outcome == "failed" else 0
        return RunEntry(
            source=name,
            release=format_release(started),
            started=format_release(started),
            ended=format_release(started + timedelta(minutes=4 + number % 3)),
            run=f"{started:%Y%m%dT%H%M%S.%f}-{number + 1}",
            outcome=outcome,
            exit_code=0 if outcome == "published" else 1,
            trigger="schedule",
            bytes=records * 40,
            counts=Counts(
                records=records,
                items=records + number % 4,
                rejects=number % 4,
                rejected_items=number % 4,
                pages=records + failed,
                requests=records + 2 * failed,
                responses=records,
                failed_requests=failed,
            ),
        )

    def publish(self, name: str, ago: timedelta, records: list[Any]) -> None:
        self.hub.publish(name, format_release(self.now - ago), records)

    def hold(self, name: str, ago: timedelta, records: list[dict[str, Any]]) -> None:
        """A release that waits for a person's word."""
        folder = self.folder(name)
        started = self.now - ago
        release = format_release(started)
        (folder / "held").mkdir()
        self.hub.publish_into(folder / "held", release, records)
        found = checksum(folder / "held" / "data.ndjson")
        description = Description(
            source=name, release=release, outcome="held", reasons=[_HELD], started=release,
            finished=format_release(started + timedelta(minutes=4)), counts=Counts(records=len(records)), **found,
        )  # fmt: skip
        (folder / "held" / "release.json").write_bytes(msgspec.json.encode(description))
        (folder / "held" / "rejects.ndjson").write_bytes(b"")

    def run(self, name: str) -> None:
        """A crawl under way: its lock is held until ``end``."""
        folder = self.folder(name)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o660)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._locks.append(descriptor)
        entry = self.entry(name, 1, "running", 0, RUNNING_SINCE)
        entry.ended, entry.exit_code, entry.counts = "", None, Counts()
        self.note(name, entry)
        beat = Heartbeat(
            run=entry.run,
            started=entry.started,
            at=format_release(self.now),
            moved=format_release(self.now),
            requests=1290,
            responses=1287,
            bytes=31_400_000,
            records=1260,
            rejects=2,
            failed=1,
            expected=2000,
            expected_by="last release",
            last_url=f"http://site.invalid/{PAYLOADS[0]}",
        )
        (folder / HEARTBEAT).write_bytes(msgspec.json.encode(beat))

    def note(self, name: str, entry: RunEntry) -> None:
        """What ``last-run.json`` says."""
        path = self.folder(name) / LAST_RUN
        path.with_suffix(".new").write_bytes(msgspec.json.encode(entry))
        path.with_suffix(".new").replace(path)

    def end(self) -> None:
        for descriptor in self._locks:
            os.close(descriptor)
        self._locks.clear()

    def folder(self, name: str) -> Any:
        folder = self.hub.shared / f"{name}_crawled"
        folder.mkdir(exist_ok=True)
        return folder


_HELD = "300 records, 67 % fewer than the 900 of the last release; shrink_budget allows 10 %"
_TITLES = (
    "European register of blocked trials",
    "Archive of ecological field data",
    "Old herbarium",
    "Institute of patience",
    "Hostile site",
    "Pangaea of the north",
    "Better data for all",
    "Repository that nobody has crawled",
    "Large microscopy archive",
    "Repository of broken lines",
)
