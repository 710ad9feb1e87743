"""What Prometheus is told of each source, from the shared volume alone: also while the database, or a crawler, is away.

Labels are bounded: sources by their manifests, and for each of them states, outcomes, classes of errors and fields by fixed lists.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from crawlers.runtime.errors import FleetError
from crawlers.runtime.gate import required_fields
from crawlers.runtime.heartbeat import read_heartbeat
from crawlers.runtime.held import find_held
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import read_description, release_folder
from crawlers.runtime.standing import ATTENTION, find_standing
from crawlers.runtime.tally import ADVICE
from hub.metrics.facts import GAUGES, SourceFacts
from hub.metrics.runs import OUTCOMES, Runs

logger = logging.getLogger(__name__)

_MAX_FIELDS = 20


class SourceCollector:
    """Collects from ``shared_dir`` what lies there of the sources that ``list_manifests`` names. Not for two threads at once."""

    def __init__(self, shared_dir: Path, list_manifests: Callable[[], list[Manifest]]) -> None:
        self._shared_dir = shared_dir
        self._list_manifests = list_manifests
        self._runs: defaultdict[str, Runs] = defaultdict(Runs)
        self._told: dict[str, str] = {}

    def describe(self) -> Iterable[Metric]:
        """None: else the registry would collect, just to know the names."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All metrics of all sources. One that can't be read says so, and hides no other."""
        manifests = self._list_manifests()
        for gone in self._runs.keys() - {manifest.name for manifest in manifests}:
            del self._runs[gone]
        now = datetime.now(UTC)
        readable = GaugeMetricFamily(
            "fleet_source_readable", "Whether what the source left on the volume can be read.", labels=["source"]
        )
        found = []
        for manifest in manifests:
            facts = self._read(manifest, now)
            readable.add_metric([manifest.name], float(facts is not None))
            if facts:
                found.append(facts)
        yield readable
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=["source"])
            for facts in found:
                if (value := gauge.value(facts)) is not None:
                    family.add_metric([facts.manifest.name], value)
            yield family
        for make in (_info, _states, _outcomes, _errors, _coverage, _runs, _requests):
            yield make(found)

    def _read(self, manifest: Manifest, now: datetime) -> SourceFacts | None:
        name = manifest.name
        folder = release_folder(self._shared_dir, name)
        try:
            standing = find_standing(self._shared_dir, manifest, now)
            runs = self._runs[name]
            runs.look(folder)
            described = (read_description(folder), find_held(folder))
            facts = SourceFacts(manifest, standing, runs, *described, read_heartbeat(folder))
        except (FleetError, OSError) as error:
            if self._told.get(name) != str(error):  # once, not at each scrape
                logger.warning("%s: what it left on the shared volume can't be read: %s", name, error)
                self._told[name] = str(error)
            return None
        self._told.pop(name, None)
        return facts


def _info(found: list[SourceFacts]) -> Metric:
    labels = ["source", "kind", "schedule", "maintainer"]
    family = GaugeMetricFamily("fleet_source_info", "1; what the source's manifest says of it.", labels=labels)
    for facts in found:
        manifest = facts.manifest
        family.add_metric([manifest.name, manifest.kind, facts.standing.schedule, manifest.maintainer], 1)
    return family


def _states(found: list[SourceFacts]) -> Metric:
    family = GaugeMetricFamily(
        "fleet_source_state", "1 for the state that the source is in.", labels=["source", "state"]
    )
    for facts in found:
        for state in ATTENTION:
            family.add_metric([facts.manifest.name, state], float(facts.standing.state == state))
    return family


def _outcomes(found: list[SourceFacts]) -> Metric:
    help = "1 for what became of the last run that has ended."
    family = GaugeMetricFamily("fleet_source_last_run_outcome", help, labels=["source", "outcome"])
    for facts in found:
        if run := facts.runs.last:
            known = run.outcome if run.outcome in OUTCOMES else "other"
            for outcome in OUTCOMES:
                family.add_metric([facts.manifest.name, outcome], float(known == outcome))
    return family


def _errors(found: list[SourceFacts]) -> Metric:
    help = "Errors of the last run that has ended, by class; classes without an error are left out."
    family = GaugeMetricFamily("fleet_source_last_run_errors", help, labels=["source", "class"])
    for facts in found:
        counts: defaultdict[str, int] = defaultdict(int)
        for kind, error in facts.runs.last.errors.items() if facts.runs.last else ():
            counts[kind if kind in ADVICE else "other"] += error.count
        for kind, count in sorted(counts.items()):
            family.add_metric([facts.manifest.name, kind], count)
    return family


def _coverage(found: list[SourceFacts]) -> Metric:
    help = "Share of the published release's records that have the required field."
    family = GaugeMetricFamily("fleet_source_coverage_ratio", help, labels=["source", "field"])
    for facts in found:
        release = facts.release
        if release and release.coverage:
            for name in sorted(required_fields(facts.manifest))[:_MAX_FIELDS]:
                family.add_metric([facts.manifest.name, name], release.coverage.get(name, 0.0))
    return family


def _runs(found: list[SourceFacts]) -> Metric:
    help = "Runs that ended since the hub started, by what became of them."
    family = CounterMetricFamily("fleet_source_runs", help, labels=["source", "outcome"])
    for facts in found:
        for outcome in OUTCOMES:
            family.add_metric([facts.manifest.name, outcome], facts.runs.outcomes[outcome])
    return family


def _requests(found: list[SourceFacts]) -> Metric:
    help = "Requests of the runs that ended since the hub started."
    family = CounterMetricFamily("fleet_source_requests", help, labels=["source"])
    for facts in found:
        family.add_metric([facts.manifest.name], facts.runs.requests)
    return family
