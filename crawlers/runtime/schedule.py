"""When a source is crawled: ``schedule = "0 4 * * 6"``, or the table ``[schedule]``. docs/scheduling.md explains it."""

import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from cronsim import CronSim, CronSimError

from crawlers.runtime import blackout
from crawlers.runtime.pace import Pace

_CRON_FIELD = r"(\*|\d+|[A-Za-z]{3})([-/,](\*|\d+|[A-Za-z]{3}))*"
# A crawl that was killed is tried again at once: its machine went down. If it is killed again, not sooner than that, and each further
# time it takes twice as long.
_KILLED_PAUSE = timedelta(minutes=5)
_SPLAY_MINUTES = 10
_MOST_DOUBLINGS = 20


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[schedule]``.

    ``kind``: ``cron`` (at the moments of ``cron``, five fields in UTC), ``adaptive`` (the more often, the more often there is
    something new), or ``continuous`` (the container crawls, sleeps for ``min_minutes``, exits, and is started again).
    ``min_minutes``, ``max_minutes``: the shortest and the longest time from the end of a run to the next; if they are the same, it
    is always that. The first time is ``min_minutes`` · ``factor``. A run that found something new divides the factor by
    ``change``, the one after ``fruitless_runs`` that found nothing new multiplies it.
    ``splay_minutes``: the first crawl, one after a blackout, and a ``cron``'s are put off by up to so much, by the source's name;
    unless it is said, 0 for ``cron``, else 10.
    ``blackout``: hours in which no crawl is started, e.g. ``Mon-Fri 05:00-21:00``, in the time zone ``zone``.
    ``expected_hours``: a source that was not collected for longer is stale; unless it is said, the schedule tells.
    """

    kind: Literal["cron", "adaptive", "continuous"]
    cron: Annotated[str, msgspec.Meta(max_length=200)] = ""
    min_minutes: Annotated[int, msgspec.Meta(ge=1, le=527_040)] = 15
    max_minutes: Annotated[int, msgspec.Meta(ge=1, le=527_040)] = 10_080
    factor: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)] = 10
    fruitless_runs: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 20
    change: Annotated[float, msgspec.Meta(gt=1, le=100)] = 1.3
    splay_minutes: Annotated[float, msgspec.Meta(ge=0, le=1440)] | None = None
    blackout: tuple[str, ...] = ()
    zone: str = "UTC"
    expected_hours: Annotated[float, msgspec.Meta(gt=0, le=87_840)] | None = None

    def __post_init__(self) -> None:
        if self.kind == "cron":
            check_cron(self.cron)
        elif self.cron:
            raise ValueError(f'cron is for kind cron: leave it out, or write kind = "cron" in place of {self.kind!r}')
        if self.max_minutes < self.min_minutes:
            raise ValueError(f"max_minutes is {self.max_minutes}, less than min_minutes, which is {self.min_minutes}")
        for day in range(7):  # any week will do: it is only asked whether a moment is left
            blackout.find_end(self.blackout, self.zone, datetime(2026, 1, 5 + day, tzinfo=UTC))

    def __str__(self) -> str:
        if self.kind == "cron":
            return self.cron
        longest = f"-{self.max_minutes}" if self.kind == "adaptive" and self.max_minutes > self.min_minutes else ""
        return f"{self.kind} {self.min_minutes}{longest} min"

    def splay(self, name: str) -> timedelta:
        """By how much the source ``name`` is put off: the same each time, to the second."""
        minutes = self.splay_minutes
        if minutes is None:
            minutes = 0 if self.kind == "cron" else _SPLAY_MINUTES
        return timedelta(seconds=zlib.crc32(name.encode()) % (int(minutes * 60) + 1))

    def interval(self, pace: Pace) -> timedelta:
        """From the end of a run to the next one, as an adaptive or continuous schedule has it at ``pace``; failures aside."""
        minutes = self.min_minutes
        if self.kind == "adaptive":
            # To a whole minute, halves up: a little more, as 15 · 16.9 is 253.49999999999997 to a computer.
            whole = int(self.min_minutes * self.clamp(pace.factor) + 0.5 + 1e-6)
            minutes = min(max(whole, minutes), self.max_minutes)
        return timedelta(minutes=minutes)

    def clamp(self, factor: float) -> float:
        """``factor`` within the bounds of the interval, to three places; of 0, the one to begin with."""
        return round(min(max(factor or self.factor, 1.0), self.max_minutes / self.min_minutes), 3)


class Turn(msgspec.Struct, frozen=True):
    """When a source is to be crawled next (``at``, in UTC; None: at once), and why then, in words."""

    at: datetime | None
    reason: str


def find_regular(schedule: Schedule, name: str, ended: datetime, pace: Pace) -> Turn:
    """The turn after a run that ended well at ``ended``."""
    if schedule.kind == "cron":
        splay = schedule.splay(name)
        at = next(CronSim(schedule.cron, (ended - splay).astimezone(UTC))) + splay
        return _at(schedule, name, at, f"cron {schedule.cron}{_splayed(splay)}")
    interval = schedule.interval(pace)
    why = "continuous"
    if schedule.min_minutes == schedule.max_minutes:
        why = "fixed"
    elif schedule.kind == "adaptive":
        why = f"adaptive, {schedule.min_minutes} min × {schedule.clamp(pace.factor):g}"
    return _at(schedule, name, ended + interval, f"{in_words(interval)} after the last run ({why})")


def find_turn(schedule: Schedule, name: str, pace: Pace, since: datetime | None) -> Turn:
    """When the source ``name`` is to be crawled next. A moment that is past means that it is due.

    :param since: when the fleet came to know the source; None: nobody knows, so one that was never crawled is due at once.
    """
    if not pace.ended:
        splay = schedule.splay(name)
        if since is None:
            return Turn(None, "never crawled")
        return _at(schedule, name, since + splay, f"never crawled{_splayed(splay)}")
    ended = moment(pace.ended)
    regular = find_regular(schedule, name, ended, pace)
    if pace.outcome == "interrupted":
        return _at(schedule, name, ended, "the last crawl was interrupted")
    if not pace.failures or regular.at is None:
        return regular
    again, why = _retry(schedule, pace)
    if schedule.kind == "cron" and (pace.outcome != "killed" or ended + again >= regular.at):
        return regular
    return _at(schedule, name, ended + again, why)


def _retry(schedule: Schedule, pace: Pace) -> tuple[timedelta, str]:
    """How long after a run that failed the next one comes, and why then."""
    doublings = min(pace.failures - 1, _MOST_DOUBLINGS)
    if pace.outcome == "killed":
        pause = _KILLED_PAUSE * 2 ** (doublings - 1) if doublings else timedelta()
        return min(pause, timedelta(minutes=schedule.max_minutes)), "the last crawl was killed, so it is tried again"
    pause = min(schedule.interval(pace) * 2**doublings, timedelta(minutes=schedule.max_minutes))
    failed = "it failed" if pace.failures == 1 else f"the last {pace.failures} failed"
    return pause, f"{in_words(pause)} after the last run, as {failed}"


def check_cron(cron: str) -> None:
    """Check that ``cron`` is one that Debian's cron understands.

    :raises ValueError: it isn't; says why and what to write instead.
    """
    try:
        # Cron drops a line that it can't read without a word, and of what CronSim reads it knows neither L, W nor #.
        if not re.fullmatch(rf"{_CRON_FIELD}( {_CRON_FIELD}){{4}}", cron):
            raise CronSimError("five fields of a crontab, one blank between them, are expected")
        CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))  # any moment: only the fields are checked
    except CronSimError as error:
        raise ValueError(
            f"schedule {cron!r}: {error}. Write minute, hour, day, month, weekday in UTC, e.g. `0 4 * * 6` for "
            "Saturdays at 04:00"
        ) from error


def moment(text: str) -> datetime:
    """The moment that ``text``, ISO 8601 with a time zone, stands for, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def in_words(span: timedelta) -> str:
    """A span of time for people, to two places: ``115 min``, ``3 h 15 min``, ``2 d 4 h``."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 180:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 72:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} d" + (f" {hours} h" if hours else "")


def _at(schedule: Schedule, name: str, at: datetime, reason: str) -> Turn:
    return put_off(schedule, name, Turn(at, reason), at)


def put_off(schedule: Schedule, name: str, turn: Turn, at: datetime) -> Turn:
    """``turn``, unless the moment ``at`` lies in a blackout: then the end of that."""
    end = blackout.find_end(schedule.blackout, schedule.zone, at) if schedule.blackout else None
    if end is None:
        return turn
    end += schedule.splay(name)
    again = blackout.find_end(schedule.blackout, schedule.zone, end)
    return Turn(again or end, f"{turn.reason}; put off by the blackout {', '.join(schedule.blackout)} {schedule.zone}")


def _splayed(splay: timedelta) -> str:
    return f", put off by {splay} to spread the starts" if splay else ""
