"""How fresh each source is, honestly: worked out from what lies on the shared volume, at the moment somebody asks.

No container and no hub need run for that: so it is right also when a crawler's container has been gone for a week.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime import blackout
from crawlers.runtime.container import find_schedule, read_container
from crawlers.runtime.facts import Facts, gather
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.orders import Pause, read_pause
from crawlers.runtime.release import format_release, release_folder, state_folder
from crawlers.runtime.schedule import Turn, find_regular, find_turn, in_words, moment, put_off
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
    ``schedule``: ``cron``, ``adaptive`` or ``continuous``; ``timing``: in full, e.g. ``0 4 * * 6``; ``timing_by``: whose word that is,
    ``manifest``, or ``container``, whose ``FLEET_SCHEDULE`` wins. ``interval_seconds``: from the last collection to the regular next run.
    ``next_run``: when its turn is, a past moment if it is due, empty if at once, or never while it is paused; ``next_reason``: why then.
    ``ordered``: what waits to be carried out, ``crawl`` or ``check``; empty: nothing.
    ``progress``: how far the crawl under way is, in words; empty where there is none, or it doesn't tell.
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
    timing: str = ""
    timing_by: str = ""
    next_run: str = ""
    next_reason: str = ""
    paused: Pause | None = None
    ordered: str = ""
    progress: str = ""
    records: int | None = None
    rejects: int | None = None
    bytes: int | None = None
    failures: int = 0
    fruitless: int = 0


def find_standing(where: RuntimeSettings | Path, manifest: Manifest, now: datetime | None = None) -> Standing:
    """How the source of ``manifest`` stands at the moment ``now`` (aware; None: at present).

    :param where: the settings, or the shared volume.
    """
    shared_dir = where if isinstance(where, Path) else where.shared_dir
    facts = gather(shared_dir, manifest, now or datetime.now(UTC))
    try:
        return _describe(manifest, facts)
    except (
        ValueError,
        OverflowError,
    ) as error:  # others may write there, too: one source's file must not hide the rest
        folder = release_folder(shared_dir, manifest.name)
        fault = (
            f"{folder}, or the state folder beside it, tells of a time that is none: {error}. Crawl the source again."
        )
        return _describe(manifest, Facts(name=facts.name, now=facts.now, schedule=facts.schedule, fault=fault))


def _describe(manifest: Manifest, facts: Facts) -> Standing:
    collected, expected, interval = facts.collected, None, None
    if started := collected or (moment(facts.pace.ended) if facts.pace.ended else None):
        expected, interval = _expect(facts, started)
    turn = _find_turn(facts)
    state, since, reason = _judge(facts, turn, expected)
    released = facts.release.at if facts.release else None
    return Standing(
        name=manifest.name,
        title=manifest.title,
        url=manifest.url,
        state=state,
        since=_text(since),
        reason=reason,
        release=facts.release.text if facts.release else "",
        released=_text(released),
        collected=_text(collected),
        age_seconds=_seconds(facts.now - collected if collected else None),
        expected_seconds=_seconds(expected),
        interval_seconds=_seconds(interval),
        schedule=facts.schedule.kind,
        timing=str(facts.schedule),
        timing_by="container" if facts.container and facts.container.cron else "manifest",
        next_run=_text(turn.at),
        next_reason=turn.reason,
        paused=facts.pause,
        ordered=facts.order.command if facts.order else "",
        progress=facts.heartbeat.in_words() if facts.heartbeat else "",
        failures=facts.pace.failures,
        fruitless=facts.pace.fruitless,
        **_numbers(facts),
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


def _numbers(facts: Facts) -> dict[str, Any]:
    """What the files of the last run and of the release say of themselves."""
    found: dict[str, Any] = {}
    if run := facts.run:
        found |= {"outcome": run.outcome, "run": run.run, "run_started": run.started, "run_ended": run.ended}
    if described := facts.description:
        found |= {"records": described.records, "rejects": described.rejects, "bytes": described.bytes}
    return found


def _find_turn(facts: Facts) -> Turn:
    pace = facts.pace
    if order := facts.order:
        why = f"{order.command} ordered by {order.by}{f': {order.reason}' if order.reason else ''}"
        return Turn(moment(order.at), f"{why}; a container carries it out within a minute")
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


def _expect(facts: Facts, collected: datetime) -> tuple[timedelta, timedelta]:
    """After how long without a collection the source is stale, and the interval, which is shorter."""
    regular = find_regular(facts.schedule, facts.name, collected, facts.pace).at
    assert regular is not None
    interval = regular - collected
    if facts.schedule.expected_hours is not None:
        return timedelta(hours=facts.schedule.expected_hours), interval
    return interval + min(max(interval / 2, _LEAST_GRACE), _MOST_GRACE), interval


def _judge(facts: Facts, turn: Turn, expected: timedelta | None) -> tuple[str, datetime | None, str]:
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


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _text(at: datetime | None) -> str:
    return format_release(at) if at else ""
