"""What a source's schedule has to know of all its runs, folded over the run history, a run at a time.

Each run's entry carries the pace as it was when the run started: so the last entry alone tells how the schedule stands, whatever
became of the run, and replaying the history from its beginning gives the same (``advance``).
"""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from crawlers.runtime.run_entry import RunEntry
    from crawlers.runtime.schedule import Schedule

# A run that ended like that saw the whole source.
GOOD = frozenset({"published", "unchanged", "approved"})
NEW = frozenset({"published", "approved"})
# A release was made, and waits for a person's word, or got it.
_JUDGED = frozenset({"held", "discarded"})


class Pace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``factor``: of an adaptive interval; 0: the one to begin with. ``fruitless``: runs in a row that found nothing new, since it
    last changed. ``failures``: runs in a row that failed; ``failing_since``: when the first of them ended.
    ``good``: when the last run ended that saw the whole source: what is published was true then.
    ``run``, ``outcome``, ``started``, ``ended``: of the last run that counts; of one that was killed, ``ended`` is when it started.
    Times are ISO 8601 in UTC; empty where there was none.
    """

    factor: float = 0
    fruitless: int = 0
    failures: int = 0
    failing_since: str = ""
    good: str = ""
    run: str = ""
    outcome: str = ""
    started: str = ""
    ended: str = ""


def counts(run: "RunEntry") -> bool:
    """Whether ``run`` tells anything of the source: not one that is under way, asked no site, or was tried out or cut off by hand."""
    if run.outcome == "running" or run.trigger == "transform":
        return False
    if run.outcome == "interrupted":
        return run.trigger in ("schedule", "order")
    return not (run.outcome == "partial" and run.limit)


def advance(pace: Pace, run: "RunEntry", schedule: "Schedule") -> Pace:
    """The pace after ``run``, whose pace before it was ``pace``."""
    if not counts(run):
        return pace
    ended = run.ended or run.started
    after = msgspec.structs.replace(pace, run=run.run, outcome=run.outcome, started=run.started, ended=ended)
    if run.outcome == "interrupted":
        return after
    if run.outcome in _JUDGED:
        return msgspec.structs.replace(after, failures=0, failing_since="")
    if run.outcome not in GOOD:
        since = pace.failing_since or ended
        return msgspec.structs.replace(after, failures=pace.failures + 1, failing_since=since)
    factor, fruitless = schedule.clamp(pace.factor), 0
    if run.outcome in NEW:
        factor = schedule.clamp(factor / schedule.change)
    elif pace.fruitless + 1 > schedule.fruitless_runs:
        factor = schedule.clamp(factor * schedule.change)
    else:
        fruitless = pace.fruitless + 1
    return msgspec.structs.replace(after, factor=factor, fruitless=fruitless, failures=0, failing_since="", good=ended)


def replay_pace(runs: list["RunEntry"], schedule: "Schedule") -> Pace:
    """How the schedule stands after ``runs``, the oldest first, from the first of them on."""
    pace = before = Pace()
    held: RunEntry | None = None
    for run in runs:
        if held and run.release == held.release and run.outcome in ("approved", "discarded"):
            pace = advance(before, msgspec.structs.replace(held, outcome=run.outcome), schedule)
            continue
        held, before = (run, pace) if run.outcome == "held" else (None, before)
        pace = advance(pace, run, schedule)
    return pace
