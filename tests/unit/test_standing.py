"""How a source stands, from what lies on the shared volume alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawlers.runtime import orders
from crawlers.runtime.container import note_start
from crawlers.runtime.history import HISTORY, LAST_RUN
from crawlers.runtime.lock import source_lock
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.pace import Pace
from crawlers.runtime.release import DESCRIPTION, HELD, RELEASE, Description, format_release, state_folder
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.standing import ATTENTION, Standing, find_standing, is_due
from tests.command import MANIFEST

NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
NO_RUN = Pace()
DAILY: dict[str, Any] = {**MANIFEST, "schedule": "0 4 * * *"}


class Volume:
    """A shared volume with one source, crawled each day at 04:00."""

    def __init__(self, shared: Path) -> None:
        self.shared = shared
        self.folder = shared / "little_crawled"
        self.folder.mkdir()
        self.state = state_folder(shared, "little")
        self.manifest = Manifest(name="little", kind="api", **DAILY)

    def run(self, outcome: str, ended: datetime, pace: Pace | None = NO_RUN, **fields: Any) -> RunEntry:
        """The last run, which took ten minutes."""
        started = format_release(ended - timedelta(minutes=10))
        entry = RunEntry(
            source="little",
            release=started,
            started=started,
            run=started,
            outcome=outcome,
            pace=pace,
            trigger="schedule",
        )
        entry = msgspec.structs.replace(entry, ended=format_release(ended) if outcome != "running" else "", **fields)
        (self.folder / LAST_RUN).write_bytes(msgspec.json.encode(entry))
        return entry

    def release(self, moment: datetime, folder: Path | None = None, reasons: list[str] | None = None) -> None:
        folder = folder or self.folder
        folder.mkdir(exist_ok=True)
        text = format_release(moment)
        described = Description(source="little", release=text, records=7, bytes=900, sha256="", rejects=2, finished=text, reasons=reasons or [])  # fmt: skip
        (folder / DESCRIPTION).write_bytes(msgspec.json.encode(described))
        (folder / RELEASE).write_text(text)

    def standing(self, now: datetime = NOON) -> Standing:
        return find_standing(self.shared, self.manifest, now)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def scheduled(table: dict[str, Any]) -> Manifest:
    return msgspec.convert({"name": "little", "kind": "api", **MANIFEST, "schedule": table}, Manifest)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def test_a_source_of_which_there_is_nothing_was_never_crawled(tmp_path: Path) -> None:
    standing = find_standing(tmp_path, Manifest(name="little", kind="api", **DAILY), NOON)
    assert (standing.state, standing.since, standing.next_run) == ("never", "", "")
    assert standing.reason == "it was never crawled"
    assert is_due(standing, NOON)


def test_since_when_a_source_was_never_crawled_its_container_tells(volume: Volume) -> None:
    note_start(volume.state, "", NOON - hours(5))
    note_start(volume.state, "", NOON - hours(1))
    assert (volume.standing().state, volume.standing().since) == ("never", "2026-01-06T07:00:00Z")


def test_a_good_run_is_fresh_until_the_next_is_missed(volume: Volume) -> None:
    volume.run("published", NOON - hours(7))
    volume.release(NOON - hours(7.2))
    standing = volume.standing()
    assert (standing.state, standing.since, standing.age_seconds) == ("fresh", "2026-01-06T05:00:00Z", 7 * 3600)
    assert (standing.records, standing.rejects, standing.bytes) == (7, 2, 900)
    assert (standing.next_run, standing.next_reason) == ("2026-01-07T04:00:00Z", "cron 0 4 * * *")
    assert (standing.interval_seconds, standing.expected_seconds) == (23 * 3600, 23 * 3600 * 3 // 2)
    assert not is_due(standing, NOON)


def test_data_that_had_not_changed_are_as_fresh_as_new_ones(volume: Volume) -> None:
    volume.run("unchanged", NOON - hours(7))
    volume.release(NOON - timedelta(days=300))
    standing = volume.standing()
    assert (standing.state, standing.age_seconds, standing.released) == ("fresh", 7 * 3600, "2025-03-12T12:00:00Z")
    assert "nothing had changed" in standing.reason


def test_a_container_that_is_gone_shows_as_due_and_then_as_stale(volume: Volume) -> None:
    good = NOON - hours(8)
    volume.run("published", good)
    missed = datetime(2026, 1, 7, 4, tzinfo=UTC)
    assert volume.standing(missed - hours(0.1)).state == "fresh"
    due = volume.standing(missed + hours(1))
    assert (due.state, due.since) == ("due", "2026-01-07T04:00:00Z")
    assert is_due(due, missed + hours(1))
    week = volume.standing(good + timedelta(days=7))
    assert (week.state, week.since) == ("stale", format_release(good + timedelta(seconds=week.expected_seconds or 0)))
    assert "last collected 7 d ago" in week.reason


def test_the_manifest_says_what_is_expected(volume: Volume) -> None:
    volume.manifest = scheduled({"kind": "adaptive", "expected_hours": 48})
    volume.run("published", NOON)
    assert volume.standing(NOON + hours(48)).state == "due"
    assert volume.standing(NOON + hours(48.1)).state == "stale"


@pytest.mark.parametrize("outcome", ["failed", "empty", "partial", "killed", "stuck"])
def test_a_run_that_failed_shows_since_when_and_why(volume: Volume, outcome: str) -> None:
    before = Pace(failures=2, failing_since="2026-01-04T05:00:00Z", good="2026-01-03T04:10:00Z")
    volume.run(outcome, NOON - hours(1), before, message="the site answers 500\nand more")
    standing = volume.standing()
    assert (standing.state, standing.since, standing.failures) == ("failing", "2026-01-04T05:00:00Z", 3)
    assert standing.reason == f"{outcome}: the site answers 500 (3 runs in a row); last collected: 3 d 7 h ago"
    assert standing.collected == "2026-01-03T04:10:00Z"


def test_one_that_is_under_way_is_running_and_one_that_hangs_for_too_long_is_stale(volume: Volume) -> None:
    volume.run("running", NOON + timedelta(minutes=10), Pace(good="2026-01-05T04:10:00Z", ended="2026-01-05T04:10:00Z"))
    assert volume.standing().outcome == "killed"  # nobody holds the lock
    with source_lock(volume.folder):
        assert (volume.standing().state, volume.standing().since) == ("running", "2026-01-06T12:00:00Z")
        assert not is_due(volume.standing(), NOON)
        late = volume.standing(NOON + timedelta(days=2))
        assert late.state == "stale"
        assert "the crawl that started at 2026-01-06T12:00:00Z has not ended" in late.reason


def test_a_held_release_waits_for_a_person(volume: Volume) -> None:
    volume.run("held", NOON - hours(1), Pace(good="2026-01-05T04:10:00Z"))
    volume.release(NOON - hours(30))
    volume.release(NOON - hours(1), volume.folder / HELD, ["10 records, 10 fewer than the 20 of the last release"])
    standing = volume.standing()
    assert (standing.state, standing.since) == ("held", "2026-01-06T11:00:00Z")
    assert "10 fewer" in standing.reason


def test_a_paused_source_says_who_why_and_until_when_and_is_not_due(volume: Volume) -> None:
    volume.run("failed", NOON - hours(30))
    paused = orders.Pause(
        by="alice", since="2026-01-06T09:00:00Z", reason="the site moves", until="2026-01-08T00:00:00Z"
    )
    (volume.state / orders.ORDERS).mkdir(parents=True)
    (volume.state / orders.ORDERS / orders.PAUSE).write_bytes(msgspec.json.encode(paused))
    standing = volume.standing()
    assert (standing.state, standing.since, standing.paused) == ("paused", paused.since, paused)
    assert standing.reason == "paused since 2026-01-06T09:00:00Z until 2026-01-08T00:00:00Z by alice: the site moves"
    assert (standing.next_run, standing.next_reason) == ("2026-01-08T00:00:00Z", "the pause ends then")
    assert not is_due(standing, NOON)
    after = volume.standing(datetime(2026, 1, 8, tzinfo=UTC))
    assert (after.state, after.paused) == ("failing", None)
    assert is_due(after, datetime(2026, 1, 8, tzinfo=UTC))


def test_a_pause_that_can_not_be_read_holds(volume: Volume) -> None:
    orders.pause(volume.state, "alice", "the site moves")
    (volume.state / orders.ORDERS / orders.PAUSE).write_text("{")
    standing = volume.standing()
    assert (standing.state, is_due(standing, NOON)) == ("paused", False)
    assert "`fleet resume` removes it" in standing.reason


def test_an_order_is_due_at_once_also_while_the_source_is_paused(volume: Volume) -> None:
    volume.run("published", NOON)
    orders.pause(volume.state, "alice", "the site moves")
    orders.order(volume.state, "crawl", "bob", "once more")
    standing = volume.standing()
    assert (standing.state, standing.ordered) == ("paused", "crawl")
    assert "crawl ordered by bob: once more" in standing.next_reason
    assert is_due(standing, NOON)


def test_what_a_foreign_crawler_published_is_as_old_as_its_release(volume: Volume) -> None:
    (volume.folder / RELEASE).write_text("2026-01-06T09:00:00+02:00")
    standing = volume.standing()
    assert (standing.state, standing.collected, standing.released) == ("fresh", *["2026-01-06T07:00:00Z"] * 2)
    assert (standing.release, standing.records) == ("2026-01-06T09:00:00+02:00", None)
    assert standing.next_run == "2026-01-07T04:00:00Z"
    assert volume.standing(NOON + timedelta(days=3)).state == "stale"


def test_a_history_of_an_older_version_is_replayed(volume: Volume) -> None:
    runs = [volume.run("failed", NOON - hours(age), pace=None, trigger="") for age in (72, 48, 24)]
    lines = [
        msgspec.json.encode(run) for run in (runs[0], msgspec.structs.replace(runs[1], outcome="published"), runs[2])
    ]
    (volume.folder / HISTORY).write_bytes(b"".join(line + b"\n" for line in lines))
    standing = volume.standing()
    assert (standing.state, standing.failures, standing.collected) == ("failing", 1, "2026-01-04T12:00:00Z")


def test_the_container_s_setting_wins_over_the_manifest(volume: Volume) -> None:
    note_start(volume.state, "*/30 * * * *", NOON)
    volume.run("published", NOON)
    standing = volume.standing()
    assert standing.next_run == "2026-01-06T12:30:00Z"
    assert (standing.schedule, standing.timing, standing.timing_by) == ("cron", "*/30 * * * *", "container")


def test_the_schedule_is_told_in_full(volume: Volume) -> None:
    assert (volume.standing().timing, volume.standing().timing_by) == ("0 4 * * *", "manifest")
    volume.manifest = scheduled({"kind": "adaptive", "min_minutes": 60})
    assert volume.standing().timing == "adaptive 60-10080 min"


def test_an_overdue_source_waits_for_the_end_of_a_blackout(volume: Volume) -> None:
    table = {"kind": "cron", "cron": "0 4 * * *", "blackout": ["10:00-16:00"]}
    volume.manifest = scheduled(table)
    volume.run("published", NOON - timedelta(days=3))
    standing = volume.standing()
    assert (standing.state, standing.next_run) == ("stale", "2026-01-06T16:00:00Z")
    assert not is_due(standing, NOON)


@pytest.mark.parametrize("name", [LAST_RUN, RELEASE])
def test_what_can_not_be_read_is_failing_with_what_to_do(volume: Volume, name: str) -> None:
    volume.run("published", NOON)
    (volume.folder / name).write_text("{")
    standing = volume.standing()
    assert standing.state == "failing"
    assert name in standing.reason


def test_times_that_are_none_are_failing_too(volume: Volume) -> None:
    volume.run("failed", NOON, Pace(good="yesterday"))
    standing = volume.standing()
    assert standing.state == "failing"
    assert "tells of a time that is none" in standing.reason


def test_every_state_has_its_place() -> None:
    assert sorted(ATTENTION) == sorted(["fresh", "due", "stale", "held", "failing", "paused", "never", "running"])
