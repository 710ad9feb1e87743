"""What is known of a source at one moment, and the gauges that are one number of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from crawlers.runtime.heartbeat import Heartbeat
from crawlers.runtime.history import RunEntry
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import Counts, Description
from crawlers.runtime.standing import Standing
from hub.metrics.runs import Runs


@dataclass(frozen=True)
class SourceFacts:
    """``release``, ``held``: what describes the published release, and the one that is held; None where nothing does.

    ``heartbeat``: of the crawl under way; None where there is none.
    """

    manifest: Manifest
    standing: Standing
    runs: Runs
    release: Description | None
    held: Description | None
    heartbeat: Heartbeat | None


Value = float | None


@dataclass(frozen=True)
class SourceGauge:
    """A number of each source. ``value``: None where there is none, which leaves the source out."""

    name: str
    help: str
    value: Callable[[SourceFacts], Value]


def seconds_of(text: str) -> Value:
    """The Unix time of an ISO 8601 text with a time zone; None for an empty one, and for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


def _of_run(value: Callable[[RunEntry], Value]) -> Callable[[SourceFacts], Value]:
    return lambda facts: value(facts.runs.last) if facts.runs.last else None


def _counted(what: Callable[[Counts], int]) -> Callable[[SourceFacts], Value]:
    return _of_run(lambda run: what(run.counts))


def _duration(run: RunEntry) -> Value:
    started, ended = seconds_of(run.started), seconds_of(run.ended)
    return max(0.0, ended - started) if started is not None and ended is not None else None


def _of_release(value: Callable[[Description], Value]) -> Callable[[SourceFacts], Value]:
    return lambda facts: value(facts.release) if facts.release else None


def _of_standing(value: Callable[[Standing], Value]) -> Callable[[SourceFacts], Value]:
    return lambda facts: value(facts.standing)


def _of_heartbeat(value: Callable[[Heartbeat], Value]) -> Callable[[SourceFacts], Value]:
    return lambda facts: value(facts.heartbeat) if facts.heartbeat else None


# What ended well, or is under way, is no failure; what the gate holds waits for a person.
_FAILED = frozenset({"failed", "empty", "partial", "stuck", "killed"})

Row = tuple[str, str, Callable[[SourceFacts], Value]]

_STANDING: tuple[Row, ...] = (
    (
        "state_since_timestamp_seconds",
        "Since when the source is in its state.",
        _of_standing(lambda it: seconds_of(it.since)),
    ),
    (
        "collected_timestamp_seconds",
        "When the last crawl ended that saw the whole source, whether it found something new or not.",
        _of_standing(lambda it: seconds_of(it.collected)),
    ),
    (
        "expected_interval_seconds",
        "After how long without a collection the source is stale.",
        _of_standing(lambda it: it.expected_seconds),
    ),
    (
        "interval_seconds",
        "Interval of the source's schedule, as it is now.",
        _of_standing(lambda it: it.interval_seconds),
    ),
    (
        "next_run_timestamp_seconds",
        "When the source's next turn is; a past moment if it is due.",
        _of_standing(lambda it: seconds_of(it.next_run)),
    ),
    ("failures", "Runs in a row that failed.", _of_standing(lambda it: it.failures)),
    ("fruitless_runs", "Runs in a row that found nothing new.", _of_standing(lambda it: it.fruitless)),
    (
        "release_timestamp_seconds",
        "When the crawl of the published release started.",
        _of_standing(lambda it: seconds_of(it.released)),
    ),
)
_RELEASE: tuple[Row, ...] = (
    ("release_records", "Records in the published release.", _of_release(lambda it: it.records)),
    ("release_bytes", "Size of the published release's data.", _of_release(lambda it: it.bytes)),
    ("release_rejects", "Rejects of the crawl that made the published release.", _of_release(lambda it: it.rejects)),
    ("release_gaps", "Gaps that the published release is known to have.", _of_release(lambda it: len(it.gaps))),
    (
        "held_records",
        "Records of the release that the publish gate holds; absent where none is held.",
        lambda facts: facts.held.records if facts.held else None,
    ),
)
# Whatever became of it. "… of the last run that has ended" ends each text.
_LAST_RUN: tuple[Row, ...] = (
    ("start_timestamp_seconds", "Moment of the start", _of_run(lambda it: seconds_of(it.started))),
    ("end_timestamp_seconds", "Moment of the end", _of_run(lambda it: seconds_of(it.ended))),
    ("duration_seconds", "Time taken", _of_run(_duration)),
    (
        "failed",
        "1 where it failed, was partial, stuck or killed, or found nothing, else 0,",
        _of_run(lambda it: float(it.outcome in _FAILED)),
    ),
    ("bytes", "Size of the data made", _of_run(lambda it: it.bytes)),
    ("requests", "Requests sent, retries included,", _counted(lambda it: it.requests)),
    ("responses", "Responses received", _counted(lambda it: it.responses)),
    ("pages", "Distinct pages asked for", _counted(lambda it: it.pages)),
    ("failed_pages", "Pages given up", _counted(lambda it: it.failed_requests)),
    ("items", "Records made by the source's code", _counted(lambda it: it.items)),
    ("records", "Records accepted", _counted(lambda it: it.records)),
    ("rejects", "Rejects, which are records, and pages that gave none,", _counted(lambda it: it.rejects)),
    ("rejected_items", "Records rejected", _counted(lambda it: it.rejected_items)),
    ("duplicates", "Records rejected that had the _id of another", _counted(lambda it: it.duplicates)),
    ("withdrawn_records", "Records withdrawn by the site", _counted(lambda it: it.withdrawn)),
)
# Absent where there is none. "… of the crawl under way" ends each text.
_CURRENT_RUN: tuple[Row, ...] = (
    ("start_timestamp_seconds", "Moment of the start", _of_heartbeat(lambda it: seconds_of(it.started))),
    ("heartbeat_timestamp_seconds", "Moment of the last sign of life", _of_heartbeat(lambda it: seconds_of(it.at))),
    ("progress_timestamp_seconds", "Moment of the last progress", _of_heartbeat(lambda it: seconds_of(it.moved))),
    ("requests", "Requests sent so far", _of_heartbeat(lambda it: it.requests)),
    ("responses", "Responses received so far", _of_heartbeat(lambda it: it.responses)),
    ("received_bytes", "Bytes received so far", _of_heartbeat(lambda it: it.bytes)),
    ("records", "Records accepted so far", _of_heartbeat(lambda it: it.records)),
    ("expected_records", "Records expected in all", _of_heartbeat(lambda it: it.expected)),
    ("rejects", "Rejects so far", _of_heartbeat(lambda it: it.rejects)),
    ("failed_pages", "Pages given up so far", _of_heartbeat(lambda it: it.failed)),
)

GAUGES = (
    *(SourceGauge(f"fleet_source_{name}", help, value) for name, help, value in (*_STANDING, *_RELEASE)),
    *(
        SourceGauge(f"fleet_source_last_run_{name}", f"{help} of the last run that has ended.", value)
        for name, help, value in _LAST_RUN
    ),
    *(
        SourceGauge(f"fleet_source_current_run_{name}", f"{help} of the crawl under way.", value)
        for name, help, value in _CURRENT_RUN
    ),
)
