"""A year of a fleet of sixty sources, at a frozen clock: real run histories on a real folder, and only the sites are made up.

Sites change at rates of their own. Sources fail for days, are held, killed, stuck, interrupted and paused; containers are away for a week.
Whatever happens, the standing has to tell, and the intervals have to follow the formula.
"""

import heapq
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from crawlers.runtime import history, orders
from crawlers.runtime.container import note_start
from crawlers.runtime.errors import FleetError, PartialError
from crawlers.runtime.history import LAST_RUN, read_history, read_last_run, recorded
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.pace import replay_pace
from crawlers.runtime.release import Counts, format_release, release_folder, state_folder
from crawlers.runtime.schedule import Schedule, moment
from crawlers.runtime.standing import Standing, find_standing, is_due
from crawlers.runtime.tally import Tally
from tests.command import MANIFEST

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=365)
MINUTE = timedelta(minutes=1)
FAILURES = ("failed", "partial", "killed", "stuck")


class Site:
    """A source whose site changes every ``news_hours``, on average, and its container."""

    def __init__(self, number: int, shared: Path) -> None:
        self.name = f"source_{number:02}"
        self.shared = shared
        self.luck = random.Random(self.name)
        self.news_hours = self.luck.choice([6, 24, 72, 24 * 30])
        self.manifest = Manifest(name=self.name, kind="api", **{**MANIFEST, "schedule": _schedule(number)})
        self.schedule = self.manifest.timing
        self.folder = release_folder(shared, self.name)
        self.state = state_folder(shared, self.name)
        self.folder.mkdir()
        self.changed = START
        self.good: datetime | None = None
        self.starts: list[datetime] = []
        self.ills = _spells(self.luck, 3, 1, 6)  # when its site is ill
        self.away = _spells(self.luck, 1, 7, 8)  # when its container is gone
        # The formula, once more and in plain words.
        self.factor, self.fruitless = float(self.schedule.factor), 0

    def outcome(self, now: datetime) -> str:
        if self.is_ill(now):
            return self.luck.choice(FAILURES)
        if self.luck.random() < 0.002:
            return "interrupted"
        if self.luck.random() < 1 - 0.5 ** ((now - self.changed) / timedelta(hours=self.news_hours)):
            self.changed = now
            return "published"
        return "unchanged"

    def is_ill(self, now: datetime) -> bool:
        return any(start <= now < end for start, end in self.ills)

    def absence(self, now: datetime) -> tuple[datetime, datetime] | None:
        return next(((start, end) for start, end in self.away if start <= now < end), None)

    def note(self, outcome: str) -> None:
        """What the formula makes of it."""
        low, high = self.schedule.min_minutes, self.schedule.max_minutes
        if outcome == "published":
            self.factor, self.fruitless = max(1.0, round(self.factor / self.schedule.change, 3)), 0
        elif outcome == "unchanged":
            self.fruitless += 1
            if self.fruitless > self.schedule.fruitless_runs:
                self.factor, self.fruitless = min(round(high / low, 3), round(self.factor * self.schedule.change, 3)), 0

    def expected_minutes(self) -> int:
        low, high = self.schedule.min_minutes, self.schedule.max_minutes
        return max(low, min(high, int(low * self.factor + 0.5 + 1e-6)))


def _schedule(number: int) -> Schedule:
    match number % 6:
        case 0:
            return Schedule(kind="cron", cron="0 4 * * *", splay_minutes=120)
        case 1:
            return Schedule(kind="cron", cron="30 1 * * 1,4", splay_minutes=120)
        case 2:
            return Schedule(kind="continuous", min_minutes=2400 + number, max_minutes=10080, splay_minutes=60)
        case 3:
            return Schedule(kind="adaptive", min_minutes=1200, factor=2, fruitless_runs=3, blackout=("Mon-Fri 08:00-18:00",), zone="Europe/Berlin", splay_minutes=60)  # fmt: skip
        case 4:
            return Schedule(kind="adaptive", min_minutes=2880, max_minutes=2880, splay_minutes=60)
        case _:
            return Schedule(kind="adaptive", min_minutes=1200, factor=3, fruitless_runs=4, splay_minutes=60)


def _spells(luck: random.Random, number: int, low: int, high: int) -> list[tuple[datetime, datetime]]:
    starts = [START + timedelta(days=luck.uniform(10, 350)) for _ in range(number)]
    return [(start, start + timedelta(days=luck.uniform(low, high))) for start in starts]


class Year:
    """Goes from moment to moment at which something happens, as sixty crons would."""

    def __init__(self, shared: Path, clock: Any) -> None:
        self.shared = shared
        self.clock = clock
        self.sites = [Site(number, shared) for number in range(60)]
        self.seen: Counter[str] = Counter()
        self.runs = self.checked = 0
        self.agenda: list[tuple[datetime, int, int, str]] = []

    def add(self, when: datetime, number: int, what: str) -> None:
        heapq.heappush(self.agenda, (when, len(self.agenda), number, what))

    def pass_by(self) -> None:
        for number, site in enumerate(self.sites):
            note_start(site.state, "", START)
            self.add(START, number, "tick")
            for day in range(3, 365, 9):
                self.add(START + timedelta(days=day, hours=number % 24), number, "look")
        for number in (0, 5, 8):
            self.add(START + timedelta(days=100), number, "pause")
        while self.agenda and self.agenda[0][0] < END:
            when, _, number, what = heapq.heappop(self.agenda)
            self.clock.move_to(when)
            getattr(self, what)(self.sites[number], number, when)

    def tick(self, site: Site, number: int, now: datetime) -> None:
        if absence := site.absence(now):
            self.add(absence[1].replace(second=0, microsecond=0) + MINUTE, number, "tick")
            missed = max(
                absence[0], moment(find_standing(self.shared, site.manifest, now).next_run or format_release(now))
            )
            standing = find_standing(self.shared, site.manifest, now)
            self.add(missed + timedelta(seconds=(standing.expected_seconds or 0) + 1), number, "look_at_the_missed")
            return
        standing = find_standing(self.shared, site.manifest, now)
        if is_due(standing, now):
            outcome, now = self.crawl(site, now)
            standing = find_standing(self.shared, site.manifest, now)
            if outcome in ("published", "unchanged"):
                site.good = now
                self.check_formula(site, outcome, now, standing)
            self.look(site, number, now, standing)
        upcoming = moment(standing.next_run) if standing.next_run else now
        self.add(max(now, upcoming).replace(second=0, microsecond=0) + MINUTE, number, "tick")

    def crawl(self, site: Site, now: datetime) -> tuple[str, datetime]:
        """One run; returns how and when it ended."""
        site.starts.append(now)
        self.runs += 1
        outcome = site.outcome(now)
        ended = now + timedelta(minutes=site.luck.randint(1, 90))
        writer: Any = SimpleNamespace(
            folder=site.folder,
            manifest=site.manifest,
            release=format_release(now),
            started=now,
            counts=Counts(records=1),
        )
        size = (site.folder / history.HISTORY).stat().st_size if (site.folder / history.HISTORY).exists() else 0
        running = b""
        try:
            with recorded(writer, Tally(), "tests", "schedule") as entry:
                running = (site.folder / LAST_RUN).read_bytes()
                self.clock.move_to(ended)
                if outcome in ("published", "unchanged", "stuck", "interrupted"):
                    entry.outcome = outcome
                else:
                    raise PartialError("half of it") if outcome == "partial" else FleetError("nothing answers")
        except FleetError:
            pass
        if outcome == "killed":  # then neither the line was written, nor the word of the last run renewed
            os.truncate(site.folder / history.HISTORY, size)
            (site.folder / LAST_RUN).write_bytes(running)
        return outcome, ended

    def check_formula(self, site: Site, outcome: str, ended: datetime, standing: Standing) -> None:
        site.note(outcome)
        if site.schedule.kind != "adaptive":
            return
        wait = moment(standing.next_run) - ended
        expected = timedelta(minutes=site.expected_minutes())
        assert timedelta(minutes=site.schedule.min_minutes) <= expected <= timedelta(minutes=site.schedule.max_minutes)
        if "blackout" in standing.next_reason:
            assert wait > expected
        elif not standing.paused:
            assert wait == expected, site.name
        self.checked += 1

    def look(self, site: Site, number: int, now: datetime, standing: Standing | None = None) -> None:
        """The standing says nothing better than the truth."""
        standing = standing or find_standing(self.shared, site.manifest, now)
        self.seen[standing.state] += 1
        last = read_last_run(site.folder)
        if standing.state == "fresh":
            assert last is not None
            assert last.outcome not in FAILURES
            assert site.good is not None
            assert now - site.good <= timedelta(seconds=standing.expected_seconds or 0)
        if last is not None and last.outcome in FAILURES:
            assert standing.state in ("failing", "paused"), (site.name, last.outcome)
        assert standing.reason
        assert standing.collected == (format_release(site.good) if site.good else "")

    def look_at_the_missed(self, site: Site, number: int, now: datetime) -> None:
        """An expected interval after a turn that no container took, that is seen."""
        if site.starts and site.starts[-1] > now - timedelta(days=7) and not site.absence(now):
            return  # it is back
        standing = find_standing(self.shared, site.manifest, now)
        assert standing.state in ("stale", "failing", "paused"), (site.name, standing)
        self.seen["missed, and seen"] += 1

    def pause(self, site: Site, number: int, now: datetime) -> None:
        orders.pause(site.state, "the tests", "the site moves", now + timedelta(days=14))
        self.look(site, number, now)


@pytest.fixture
def year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Year]:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # some ten thousand of them, and no power to be cut
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    with time_machine.travel(START, tick=False) as clock:
        yield Year(folder, clock)
    shutil.rmtree(folder)


def test_a_year_of_sixty_sources(year: Year) -> None:
    year.pass_by()
    assert year.runs > 10_000, year.runs
    assert year.checked > 4_000, year.checked
    assert {"fresh", "failing", "paused", "stale"} <= year.seen.keys()
    assert year.seen["missed, and seen"] > 30

    for site in year.sites:
        assert len(site.starts) > 30, site.name
        pace = replay_pace(read_history(site.folder), site.schedule)
        last = read_last_run(site.folder)
        assert last is not None
        assert last.pace is not None
        assert pace.factor == pytest.approx(site.factor if site.schedule.kind == "adaptive" else pace.factor)
        if site.name in ("source_00", "source_05", "source_08"):
            paused = START + timedelta(days=100)
            assert not any(paused < start < paused + timedelta(days=14) for start in site.starts), site.name

    for site in year.sites[3::6]:
        for start in site.starts:
            assert not any(low <= start < high for low, high in _office_hours(start)), (site.name, start)

    starts = Counter(start.replace(second=0, microsecond=0) for site in year.sites for start in site.starts)
    assert max(starts.values()) <= 6, "the starts are not spread"


def _office_hours(start: datetime) -> list[tuple[datetime, datetime]]:
    from zoneinfo import ZoneInfo

    local = start.astimezone(ZoneInfo("Europe/Berlin"))
    if local.weekday() > 4:
        return []
    return [
        (
            local.replace(hour=8, minute=0, second=0, microsecond=0),
            local.replace(hour=18, minute=0, second=0, microsecond=0),
        )
    ]
