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

GAUGES = tuple(
    SourceGauge(f"fleet_source_{name}", help, value)
    for name, help, value in (
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
        ("release_records", "Records in the published release.", _of_release(lambda it: it.records)),
        ("release_bytes", "Size of the published release's data.", _of_release(lambda it: it.bytes)),
        ("release_rejects", "Rejects of the crawl that made the release.", _of_release(lambda it: it.rejects)),
        ("release_gaps", "Gaps that the release is known to have.", _of_release(lambda it: len(it.gaps))),
        (
            "held_records",
            "Records of the release that the publish gate holds; absent where none is held.",
            lambda facts: facts.held.records if facts.held else None,
        ),
        (
            "last_run_start_timestamp_seconds",
            "When the last run that has ended started.",
            _of_run(lambda it: seconds_of(it.started)),
        ),
        ("last_run_end_timestamp_seconds", "When it ended.", _of_run(lambda it: seconds_of(it.ended))),
        ("last_run_duration_seconds", "How long it took.", _of_run(_duration)),
        (
            "last_run_failed",
            "1 if it failed, was partial, stuck or killed, or found nothing; else 0.",
            _of_run(lambda it: float(it.outcome in _FAILED)),
        ),
        ("last_run_bytes", "Size of the data that it made.", _of_run(lambda it: it.bytes)),
        ("last_run_requests", "Requests that it sent, retries included.", _counted(lambda it: it.requests)),
        ("last_run_responses", "Responses that it received.", _counted(lambda it: it.responses)),
        ("last_run_pages", "Distinct pages that it asked for.", _counted(lambda it: it.pages)),
        ("last_run_failed_pages", "Pages of them that it gave up.", _counted(lambda it: it.failed_requests)),
        ("last_run_items", "Records that the source's code made.", _counted(lambda it: it.items)),
        ("last_run_records", "Records that are in what it made.", _counted(lambda it: it.records)),
        ("last_run_rejects", "What it rejected: records, and pages that gave none.", _counted(lambda it: it.rejects)),
        ("last_run_rejected_items", "Records that it rejected.", _counted(lambda it: it.rejected_items)),
        ("last_run_duplicates", "Records of them with the _id of another.", _counted(lambda it: it.duplicates)),
        (
            "current_run_start_timestamp_seconds",
            "When the crawl under way started; absent, like what follows, where none is.",
            _of_heartbeat(lambda it: seconds_of(it.started)),
        ),
        (
            "current_run_heartbeat_timestamp_seconds",
            "When it last said that it lives.",
            _of_heartbeat(lambda it: seconds_of(it.at)),
        ),
        (
            "current_run_progress_timestamp_seconds",
            "When it last made progress.",
            _of_heartbeat(lambda it: seconds_of(it.moved)),
        ),
        ("current_run_requests", "Requests that it sent so far.", _of_heartbeat(lambda it: it.requests)),
        ("current_run_responses", "Responses that it received so far.", _of_heartbeat(lambda it: it.responses)),
        ("current_run_received_bytes", "Size of them.", _of_heartbeat(lambda it: it.bytes)),
        ("current_run_records", "Records that it accepted so far.", _of_heartbeat(lambda it: it.records)),
        (
            "current_run_expected_records",
            "Records that there will be, by the site or the last release.",
            _of_heartbeat(lambda it: it.expected),
        ),
        ("current_run_rejects", "What it rejected so far.", _of_heartbeat(lambda it: it.rejects)),
        ("current_run_failed_pages", "Pages that it gave up so far.", _of_heartbeat(lambda it: it.failed)),
        ("last_run_withdrawn_records", "Records that the site withdrew.", _counted(lambda it: it.withdrawn)),
    )
)
