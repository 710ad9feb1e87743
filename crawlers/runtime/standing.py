"""How fresh each source is, honestly: worked out from what lies on the shared volume, at the moment somebody asks.

No container and no hub need run for that: so it is right also when a crawler's container has been gone for a week.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from crawlers.runtime import blackout
from crawlers.runtime.container import Container, find_schedule, read_container
from crawlers.runtime.errors import FleetError
from crawlers.runtime.held import find_held
from crawlers.runtime.history import RunEntry, find_pace, read_last_run
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.orders import Pause, read_orders, read_pause
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
from crawlers.runtime.schedule import Schedule, Turn, find_regular, find_turn, in_words, moment, put_off
from crawlers.runtime.settings import RuntimeSettings

# What needs attention first comes first.
ATTENTION = ("failing", "stale", "held", "never", "due", "paused", "running", "fresh")
# How much later than its schedule says a source may be collected before it is stale: half of the interval, within these.
_LEAST_GRACE, _MOST_GRACE = timedelta(hours=1), timedelta(days=1)
_REASON_CHARACTERS = 300


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a source stands. Times are ISO 8601 in UTC, empty where there was none; spans are in seconds, null where unknown.

    ``state``, since when (``since``), and why in a sentence (``reason``):

    - ``running``: a crawl is under way;
    - ``paused``: by a person; ``paused`` holds who, why and until when;
    - ``failing``: the last run failed, was partial, found nothing, was killed or stuck, or what lies there can't be read;
    - ``held``: the publish gate holds a release back;
    - ``stale``: no run saw the whole source for longer than ``expected_seconds``;
    - ``due``: its turn has come, and nobody has crawled it yet;
    - ``never``: it was never crawled;
    - ``fresh``: none of these.

    ``collected``: when the last run ended that saw the whole source, published or unchanged; ``age_seconds``: since then.
    ``release``: what is published, as the crawler wrote it; ``released``: the same moment, which is the start of its crawl;
    ``records``, ``rejects``, and the ``bytes`` of its data: of that release.
    ``run``, ``outcome``, ``run_started``, ``run_ended``: of the last run, whatever became of it; ``failures``: runs in a row that failed;
    ``fruitless``: runs in a row that found nothing new, since an adaptive interval last changed.
    ``schedule``: ``cron``, ``adaptive`` or ``continuous``; ``interval_seconds``: from the last collection to the regular next run.
    ``next_run``: when its turn is, a past moment if it is due, empty if at once, or never while it is paused; ``next_reason``: why then.
    ``ordered``: what waits to be carried out, ``crawl`` or ``check``; empty: nothing.
    """

    name: str
    title: str
    url: str
    state: str
    since: str
    reason: str
    outcome: str = ""
    run: str = ""
    run_started: str = ""
    run_ended: str = ""
    release: str = ""
    released: str = ""
    collected: str = ""
    age_seconds: int | None = None
    expected_seconds: int | None = None
    interval_seconds: int | None = None
    schedule: str = ""
    next_run: str = ""
    next_reason: str = ""
    paused: Pause | None = None
    ordered: str = ""
    records: int | None = None
    rejects: int | None = None
    bytes: int | None = None
    failures: int = 0
    fruitless: int = 0


class _Facts(msgspec.Struct, kw_only=True):
    """What lies on the shared volume about a source, as far as it can be read; ``fault``: why not all of it."""

    name: str
    now: datetime
    schedule: Schedule
    container: Container | None
    run: RunEntry | None = None
    pace: Pace = Pace()
    release: Release | None = None
    description: Description | None = None
    held: Description | None = None
    pause: Pause | None = None
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


def find_standing(where: RuntimeSettings | Path, manifest: Manifest, now: datetime | None = None) -> Standing:
    """How the source of ``manifest`` stands at the moment ``now`` (aware; None: at present).

    :param where: the settings, or the shared volume.
    """
    shared_dir = where if isinstance(where, Path) else where.shared_dir
    facts = _gather(shared_dir, manifest, now or datetime.now(UTC))
    collected, expected, interval = facts.collected, None, None
    if started := collected or (moment(facts.pace.ended) if facts.pace.ended else None):
        expected, interval = _expect(facts, started)
    turn = _find_turn(facts)
    ordered = read_orders(state_folder(shared_dir, manifest.name))
    if ordered:
        first = ordered[0]
        why = f"{first.command} ordered by {first.by}{f': {first.reason}' if first.reason else ''}"
        turn = Turn(moment(first.at), f"{why}; a container carries it out within a minute")
    state, since, reason = _judge(facts, turn, expected)
    run, described = facts.run, facts.description
    return Standing(
        name=manifest.name,
        title=manifest.title,
        url=manifest.url,
        state=state,
        since=format_release(since) if since else "",
        reason=reason,
        outcome=run.outcome if run else "",
        run=run.run if run else "",
        run_started=run.started if run else "",
        run_ended=run.ended if run else "",
        release=facts.release.text if facts.release else "",
        released=format_release(facts.release.at) if facts.release else "",
        collected=format_release(collected) if collected else "",
        age_seconds=_seconds(facts.now - collected) if collected else None,
        expected_seconds=_seconds(expected) if expected else None,
        interval_seconds=_seconds(interval) if interval else None,
        schedule=facts.schedule.kind,
        next_run=format_release(turn.at) if turn.at else "",
        next_reason=turn.reason,
        paused=facts.pause,
        ordered=ordered[0].command if ordered else "",
        records=described.records if described else None,
        rejects=described.rejects if described else None,
        bytes=described.bytes if described else None,
        failures=facts.pace.failures,
        fruitless=facts.pace.fruitless,
    )


def is_due(standing: Standing, now: datetime) -> bool:
    """Whether the source's turn has come: by its schedule, unless it is paused or being crawled, or by order."""
    if standing.outcome == "running":
        return False
    if standing.ordered:
        return True
    if standing.paused:
        return False
    return not standing.next_run or moment(standing.next_run) <= now


def find_rest(shared_dir: Path, manifest: Manifest, now: datetime) -> str:
    """Why nothing is to be started at the source at the moment ``now``, but by a person; empty where nothing forbids it.

    :raises ReleaseError: the pause can't be read.
    """
    state = state_folder(shared_dir, manifest.name)
    if paused := read_pause(state, now):
        return str(paused)
    container = read_container(state)
    schedule = find_schedule(manifest, container.cron if container else "")
    end = blackout.find_end(schedule.blackout, schedule.zone, now)
    return f"the site asks not to be visited now; blackout until {format_release(end)}" if end else ""


def _gather(shared_dir: Path, manifest: Manifest, now: datetime) -> _Facts:
    folder, state = release_folder(shared_dir, manifest.name), state_folder(shared_dir, manifest.name)
    container = read_container(state)
    facts = _Facts(
        name=manifest.name,
        now=now,
        schedule=find_schedule(manifest, container.cron if container else ""),
        container=container,
    )

    def read_run() -> None:
        facts.run = read_last_run(folder)
        facts.pace = find_pace(folder, facts.schedule, facts.run)

    def read_published() -> None:
        facts.release = read_release(folder)
        facts.description = read_description(folder) if facts.release else None

    def read_rest() -> None:
        facts.pause = read_pause(state, now)
        facts.held = find_held(folder)

    for read in (read_run, read_published, read_rest):
        try:
            read()
        except FleetError as error:
            facts.fault = facts.fault or str(error)
    return facts


def _find_turn(facts: _Facts) -> Turn:
    pace = facts.pace
    if not pace.ended and (collected := facts.collected):  # by a foreign crawler
        turn = find_regular(facts.schedule, facts.name, collected, pace)
    else:
        turn = find_turn(facts.schedule, facts.name, pace, facts.since)
    if turn.at is None or turn.at <= facts.now:  # overdue, but not in hours in which the site asks to be left alone
        turn = put_off(facts.schedule, facts.name, turn, facts.now)
    if not facts.pause:
        return turn
    if not facts.pause.until:
        return Turn(None, f"not before `fleet resume {facts.name}`")
    until = moment(facts.pause.until)
    if turn.at and turn.at > until:
        return turn
    return put_off(facts.schedule, facts.name, Turn(until, "the pause ends then"), until)


def _expect(facts: _Facts, collected: datetime) -> tuple[timedelta, timedelta]:
    """After how long without a collection the source is stale, and the interval, which is shorter."""
    regular = find_regular(facts.schedule, facts.name, collected, facts.pace).at
    assert regular is not None
    interval = regular - collected
    if facts.schedule.expected_hours is not None:
        return timedelta(hours=facts.schedule.expected_hours), interval
    return interval + min(max(interval / 2, _LEAST_GRACE), _MOST_GRACE), interval


def _judge(facts: _Facts, turn: Turn, expected: timedelta | None) -> tuple[str, datetime | None, str]:
    """The state, since when, and why."""
    pace, run, collected = facts.pace, facts.run, facts.collected
    if run and run.outcome == "running":
        started = moment(run.started)
        if not expected or facts.now - started <= expected:
            return "running", started, f"the crawl started {in_words(facts.now - started)} ago"
    if facts.pause:
        return "paused", moment(facts.pause.since), str(facts.pause)
    if facts.fault:
        return "failing", None, facts.fault
    if pace.failures:
        last = f"{in_words(facts.now - collected)} ago" if collected else "never"
        why = (run.message.splitlines() or [""])[0][:_REASON_CHARACTERS] if run and run.run == pace.run else ""
        reason = f"{pace.outcome}: {why}" if why else pace.outcome
        count = f" ({pace.failures} runs in a row)" if pace.failures > 1 else ""
        return "failing", moment(pace.failing_since), f"{reason}{count}; last collected: {last}"
    if facts.held:
        held = facts.held
        since = moment(held.finished or held.release)
        return "held", since, f"release {held.release} is held: {'; '.join(held.reasons)}"[:_REASON_CHARACTERS]
    if collected is None:
        return "never", facts.since, "no crawl of it saw the whole source" if run else "it was never crawled"
    assert expected is not None
    if facts.now - collected > expected:
        hung = f"; the crawl that started at {run.started} has not ended" if run and run.outcome == "running" else ""
        age, within = in_words(facts.now - collected), in_words(expected)
        return "stale", collected + expected, f"last collected {age} ago, expected is within {within}{hung}"
    if turn.at is not None and turn.at <= facts.now:
        return "due", turn.at, f"its turn came {in_words(facts.now - turn.at)} ago: {turn.reason}"
    news = {"unchanged": "nothing had changed"}.get(pace.outcome, "")
    return "fresh", collected, f"collected {in_words(facts.now - collected)} ago{f', {news}' if news else ''}"


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
