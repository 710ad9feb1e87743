"""When a source is crawled next: the formula's worked figures, bounds, splay, blackouts, and what failures change."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from crawlers.runtime import blackout
from crawlers.runtime.manifest import ManifestError, load_source
from crawlers.runtime.pace import Pace, advance, replay_pace
from crawlers.runtime.release import format_release
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.schedule import Schedule, find_turn, in_words
from tests.command import Fleet

START = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday
ADAPTIVE = Schedule(kind="adaptive")


def run(outcome: str, ended: datetime = START, **fields: object) -> RunEntry:
    moment = format_release(ended)
    entry = RunEntry(source="little", release=moment, started=moment, ended=moment, run=moment, trigger="schedule", outcome=outcome)  # fmt: skip
    return msgspec.structs.replace(entry, **fields)


def after(schedule: Schedule, *outcomes: str) -> Pace:
    pace = Pace()
    for outcome in outcomes:
        pace = advance(pace, run(outcome), schedule)
    return pace


def minutes(schedule: Schedule, *outcomes: str) -> float:
    """The interval after runs that ended so."""
    return schedule.interval(after(schedule, *outcomes)).total_seconds() / 60


def next_minutes(schedule: Schedule, *outcomes: str) -> float:
    """How long after the last of them the next run comes."""
    turn = find_turn(schedule, "little", after(schedule, *outcomes), None)
    assert turn.at is not None
    return (turn.at - START).total_seconds() / 60


def test_the_worked_figures_of_the_formula_come_out() -> None:
    """https://django-dynamic-scraper.readthedocs.io/en/latest/advanced_topics.html#scheduling-configuration"""
    assert minutes(ADAPTIVE) == 150
    assert minutes(ADAPTIVE, "published") == 115
    assert after(ADAPTIVE, "published").factor == 7.692
    assert minutes(ADAPTIVE, *["unchanged"] * 20) == 150
    assert minutes(ADAPTIVE, *["unchanged"] * 21) == 195
    assert after(ADAPTIVE, *["unchanged"] * 21).factor == 13
    assert minutes(ADAPTIVE, *["unchanged"] * 42) == 254
    assert minutes(ADAPTIVE, *["unchanged"] * 21, "published") == 150


def test_the_interval_stays_within_its_bounds_and_leaves_them_again_at_once() -> None:
    fast = ["published"] * 1000
    assert minutes(ADAPTIVE, *fast) == 15
    assert minutes(ADAPTIVE, *fast, *["unchanged"] * 21) == 20  # 15 · 1.3, rounded: the factor has a floor too
    slow = ["unchanged"] * 21 * 100
    assert minutes(ADAPTIVE, *slow) == 10_080
    assert minutes(ADAPTIVE, *slow, "published") == 7754


def test_a_minimum_that_is_the_maximum_is_a_fixed_schedule() -> None:
    fixed = Schedule(kind="adaptive", min_minutes=60, max_minutes=60)
    for outcomes in ([], ["published"] * 9, ["unchanged"] * 99, ["failed"] * 9):
        assert next_minutes(fixed, "published", *outcomes) == 60


def test_a_run_that_found_something_new_starts_the_count_of_fruitless_ones_anew() -> None:
    assert after(ADAPTIVE, *["unchanged"] * 20, "published", *["unchanged"] * 20).fruitless == 20
    assert minutes(ADAPTIVE, *["unchanged"] * 20, "published", *["unchanged"] * 20) == 115


def test_an_approved_release_is_something_new_and_a_held_or_discarded_one_changes_nothing() -> None:
    assert minutes(ADAPTIVE, "approved") == 115
    assert minutes(ADAPTIVE, "held") == minutes(ADAPTIVE, "discarded") == 150


@pytest.mark.parametrize("outcome", ["failed", "empty", "partial", "stuck"])
def test_failures_put_the_next_run_off_up_to_the_longest_interval(outcome: str) -> None:
    expected = [150, 300, 600, 1200, 2400, 4800, 9600, 10_080, 10_080]
    assert [next_minutes(ADAPTIVE, *[outcome] * number) for number in range(1, 10)] == expected
    assert next_minutes(ADAPTIVE, *[outcome] * 9, "unchanged") == 150


def test_a_continuous_source_sleeps_the_same_time_and_longer_after_failures() -> None:
    continuous = Schedule(kind="continuous", min_minutes=5, max_minutes=60)
    assert next_minutes(continuous, "published") == next_minutes(continuous, *["unchanged"] * 99) == 5
    assert [next_minutes(continuous, *["failed"] * number) for number in range(1, 7)] == [5, 10, 20, 40, 60, 60]


def test_a_killed_run_is_tried_again_at_once_and_then_ever_later() -> None:
    weekly = Schedule(kind="cron", cron="0 12 * * 1")
    assert [next_minutes(weekly, *["killed"] * number) for number in range(1, 5)] == [0, 5, 10, 20]
    assert next_minutes(weekly, *["killed"] * 99) == 7 * 1440
    assert [next_minutes(ADAPTIVE, *["killed"] * number) for number in range(1, 5)] == [0, 5, 10, 20]


def test_a_cron_schedule_is_not_changed_by_failures() -> None:
    assert next_minutes(Schedule(kind="cron", cron="0 12 * * 1"), "published", *["failed"] * 9) == 7 * 1440


def test_an_interrupted_run_comes_again_at_once_unless_it_was_started_by_hand() -> None:
    pace = advance(after(ADAPTIVE, "published"), run("interrupted", START + timedelta(minutes=30)), ADAPTIVE)
    assert find_turn(ADAPTIVE, "little", pace, None).at == START + timedelta(minutes=30)
    by_hand = advance(after(ADAPTIVE, "published"), run("interrupted", trigger="hand"), ADAPTIVE)
    assert find_turn(ADAPTIVE, "little", by_hand, None).at == START + timedelta(minutes=115)


@pytest.mark.parametrize(
    "tried", [run("partial", limit=5), run("published", trigger="transform"), run("running"), run("interrupted", trigger="")]
)  # fmt: skip
def test_what_tells_nothing_of_the_site_changes_nothing(tried: RunEntry) -> None:
    before = after(ADAPTIVE, "published")
    assert advance(before, tried, ADAPTIVE) == before


def test_replaying_the_history_gives_what_the_last_line_says() -> None:
    history, pace = [], Pace()
    for number, outcome in enumerate(["published", "unchanged", "failed", "killed", "held", "unchanged", "published"]):
        entry = run(outcome, START + timedelta(hours=number), pace=pace)
        history.append(entry)
        pace = advance(pace, entry, ADAPTIVE)
    assert replay_pace(history, ADAPTIVE) == pace
    assert [replay_pace(history[:number], ADAPTIVE) for number in range(7)] == [entry.pace for entry in history]


def test_replaying_a_history_takes_a_held_release_for_what_became_of_it() -> None:
    held = run("held", START, release="2026-01-05T11:00:00Z")
    word = run("approved", START + timedelta(hours=1), release=held.release, run="")
    assert replay_pace([held, word], ADAPTIVE) == advance(
        Pace(), run("approved", START, release=held.release), ADAPTIVE
    )


def test_the_first_crawls_of_sixty_sources_are_spread() -> None:
    turns = [find_turn(ADAPTIVE, f"source_{number}", Pace(), START) for number in range(60)]
    offsets = [(turn.at - START).total_seconds() for turn in turns if turn.at]
    assert len(offsets) == 60
    assert max(offsets) <= 600
    assert max(sum(minute * 60 <= offset < minute * 60 + 60 for offset in offsets) for minute in range(11)) <= 15
    assert turns == [find_turn(ADAPTIVE, f"source_{number}", Pace(), START) for number in range(60)]


def test_a_cron_source_starts_to_the_minute_unless_it_is_to_be_spread() -> None:
    assert find_turn(Schedule(kind="cron", cron="0 4 * * *"), "little", Pace(), START).at == START
    spread = Schedule(kind="cron", cron="0 4 * * *", splay_minutes=60)
    turn = find_turn(spread, "little", after(spread, "published"), None)
    assert turn.at == datetime(2026, 1, 6, 4, tzinfo=UTC) + spread.splay("little")
    assert timedelta() < spread.splay("little") <= timedelta(hours=1)
    assert "put off by" in turn.reason


def test_a_source_of_which_nothing_is_known_is_due_at_once() -> None:
    assert find_turn(ADAPTIVE, "little", Pace(), None).at is None


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-01-05T09:59:00Z", None),
        ("2026-01-05T10:00:00Z", "2026-01-06T02:00:00Z"),
        ("2026-01-06T01:59:59Z", "2026-01-06T02:00:00Z"),
        ("2026-01-10T12:00:00Z", None),  # Saturday
        ("2026-07-06T09:00:00Z", "2026-07-07T01:00:00Z"),  # summer time
    ],
)
def test_a_blackout_counts_in_the_site_s_own_time(moment: str, end: str | None) -> None:
    found = blackout.find_end(("Mon-Fri 05:00-21:00",), "America/New_York", datetime.fromisoformat(moment))
    assert (found and format_release(found)) == end


def test_blackouts_go_past_midnight_and_follow_one_another() -> None:
    windows = ("22:00-06:00", "Tue 06:00-08:00")
    monday_night = datetime(2026, 1, 5, 23, tzinfo=UTC)
    assert blackout.find_end(windows, "UTC", monday_night) == datetime(2026, 1, 6, 8, tzinfo=UTC)
    assert blackout.find_end(windows, "UTC", monday_night - timedelta(days=1)) == datetime(2026, 1, 5, 6, tzinfo=UTC)


def test_a_turn_in_a_blackout_is_put_off_to_its_end_and_spread() -> None:
    polite = Schedule(kind="adaptive", blackout=("08:00-18:00",))
    turn = find_turn(polite, "little", after(polite, "published"), None)
    assert turn.at == datetime(2026, 1, 5, 18, tzinfo=UTC) + polite.splay("little")
    assert "put off by the blackout 08:00-18:00 UTC" in turn.reason


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('kind = "hourly"', "kind"),
        ('kind = "cron"', "five fields of a crontab"),
        ('kind = "adaptive"\ncron = "0 4 * * *"', "cron is for kind cron"),
        ('kind = "adaptive"\nmin_minutes = 60\nmax_minutes = 30', "max_minutes is 30, less than min_minutes"),
        ('kind = "adaptive"\nblackout = ["9-17"]', "e.g. `Mon-Fri 05:00-21:00`"),
        ('kind = "adaptive"\nblackout = ["00:00-24:00"]', "no hour of the week"),
        ('kind = "adaptive"\nzone = "Mars/Olympus"\nblackout = ["Mon 09:00-17:00"]', "no time zone"),
        ('kind = "adaptive"\nchange = 1', "change"),
        ('kind = "adaptive"\nmin_minuts = 1', "min_minuts"),
    ],
)
def test_a_table_that_can_not_be_meant_is_refused(fleet: Fleet, table: str, reason: str) -> None:
    folder = fleet.write_source("little", "api", "")
    manifest = (folder / "source.toml").read_text().replace('schedule = "0 4 * * 6"\n', "")
    (folder / "source.toml").write_text(f"{manifest}[schedule]\n{table}\n")
    with pytest.raises(ManifestError) as refused:
        load_source(folder)
    assert reason in refused.value.reason
    assert refused.value.line == len(manifest.splitlines()) + 1


def test_a_table_is_read(fleet: Fleet) -> None:
    folder: Path = fleet.write_source(
        "little", "api", "", schedule={"kind": "adaptive", "min_minutes": 60, "factor": 24.0}
    )
    assert load_source(folder).manifest.timing == Schedule(kind="adaptive", min_minutes=60, factor=24)


@pytest.mark.parametrize(
    ("minutes", "words"), [(0, "0 min"), (115, "115 min"), (195, "3 h 15 min"), (2880, "48 h"), (4500, "3 d 3 h")]
)
def test_spans_are_told_in_words(minutes: int, words: str) -> None:
    assert in_words(timedelta(minutes=minutes)) == words
