"""What is told, and what isn't: one message when something turns bad, one when it is well again, none in between.

Pure: it knows neither disk nor clock. What it has to remember is in ``Memory``, which is kept on disk between looks.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from hub.alerts.configuration import DAYS, AlertSettings, Digest

Kind = Literal["bad", "well", "flapping", "steady"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """How one thing is that can turn bad: a source, an upload, the database, a disk.

    ``thing``: its name, which no other has, e.g. ``source demo``. ``bad``: null where that can't be told now, as of a source that is
    just being crawled: then all stays as it was. ``state``: in a word or two; ``since``: ISO 8601 in UTC, or empty; ``reason``: a sentence.
    """

    thing: str
    bad: bool | None
    state: str
    since: str = ""
    reason: str = ""


class Watched(msgspec.Struct, kw_only=True):
    """What is remembered of a thing. ``bad``: as it was told last; ``finding``: how it was seen last.

    ``turning``: since when it is seen other than it was told. ``told``: when changes were told.
    ``quiet``: of a thing that flaps, when it changed last; null: it does not flap.
    """

    bad: bool = False
    finding: Finding | None = None
    turning: datetime | None = None
    told: list[datetime] = msgspec.field(default_factory=list)
    quiet: datetime | None = None


class Message(msgspec.Struct, kw_only=True):
    """A message that waits to be sent. ``tries``: how often that failed; ``next_try``: not before that."""

    channel: str
    kind: str
    title: str
    body: str
    made: datetime
    tries: int = 0
    next_try: datetime | None = None


class Memory(msgspec.Struct, kw_only=True):
    """All that must outlive a restart. ``digest``: the moment of the last digest; ``outbox``: the oldest message first."""

    things: dict[str, Watched] = msgspec.field(default_factory=dict)
    outbox: list[Message] = msgspec.field(default_factory=list)
    digest: datetime | None = None

    @property
    def incidents(self) -> list[Finding]:
        """What is bad, as it was told."""
        # A copy: it is asked for by scrapes, too, while a look adds things.
        return [it.finding for it in list(self.things.values()) if it.bad and it.finding]


class Change(msgspec.Struct, frozen=True):
    """What is to be told of a thing: that it turned ``bad`` or ``well``, that it is ``flapping``, or ``steady`` again."""

    kind: Kind
    finding: Finding


def advance(memory: Memory, findings: Iterable[Finding], settings: AlertSettings, now: datetime) -> list[Change]:
    """Note in ``memory`` how things are at the moment ``now``, and return what is to be told. What is gone is forgotten."""
    seen = {finding.thing: finding for finding in findings}
    for thing in memory.things.keys() - seen.keys():
        del memory.things[thing]
    changes = []
    for thing, finding in seen.items():
        watched = memory.things.setdefault(thing, Watched())
        if kind := _advance(watched, finding, settings, now):
            assert watched.finding
            changes.append(Change(kind, watched.finding))
    return changes


def _advance(watched: Watched, finding: Finding, settings: AlertSettings, now: datetime) -> Kind | None:
    if finding.bad is not None:
        watched.finding = finding
    if finding.bad is None or finding.bad == watched.bad:
        watched.turning = watched.turning if finding.bad is None else None
    else:
        watched.turning = watched.turning or now
        if now - watched.turning >= timedelta(minutes=settings.settle_minutes):
            return _turn(watched, finding.bad, settings, now)
    if watched.quiet and now - watched.quiet >= timedelta(hours=settings.flapping.quiet_hours):
        watched.quiet, watched.told = None, []
        return "steady"
    return None


def _turn(watched: Watched, bad: bool, settings: AlertSettings, now: datetime) -> Kind | None:
    watched.bad, watched.turning = bad, None
    if watched.quiet:
        watched.quiet = now
        return None
    earliest = now - timedelta(hours=settings.flapping.within_hours)
    watched.told = [*(moment for moment in watched.told if moment > earliest), now]
    if len(watched.told) > settings.flapping.changes:
        watched.quiet = now
        return "flapping"
    return "bad" if bad else "well"


def is_digest_due(memory: Memory, digest: Digest | None, now: datetime) -> bool:
    """Whether the digest is to be made at the moment ``now``; then that is noted. The first is due at the first moment after this hub
    was told to make them; of those that were missed while it was off, one is made.
    """
    if digest is None:
        memory.digest = None
        return False
    moment = _last_moment(digest, now)
    before, memory.digest = memory.digest, moment
    return before is not None and moment > before


def _last_moment(digest: Digest, now: datetime) -> datetime:
    moment = datetime.combine(now.astimezone(UTC).date(), digest.at, UTC)
    if digest.every == "week":
        moment -= timedelta(days=(moment.weekday() - DAYS.index(digest.on)) % 7)
    if moment > now:
        moment -= timedelta(days=7 if digest.every == "week" else 1)
    return moment
