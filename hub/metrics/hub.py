"""What Prometheus is told of the hub: its database, what is live, its disks, its queue."""

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from crawlers.runtime.errors import ReleaseError
from hub.books import Books
from hub.dataload.live import LiveRelease
from hub.dataload.pin import read_pin
from hub.disks import find_disks
from hub.metrics.database import DatabaseReader
from hub.metrics.facts import seconds_of
from hub.settings import HubSettings


class HubCollector:
    """``list_names``: of the sources that are served; ``count_faults``: of those that can't be.

    ``last_round``: when the intake last looked at all sources, in Unix time; ``count_worker_jobs``: what the workers have to do.
    """

    def __init__(
        self,
        settings: HubSettings,
        books: Books,
        list_names: Callable[[], list[str]],
        count_faults: Callable[[], int],
        last_round: Callable[[], float],
        count_worker_jobs: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._database = DatabaseReader(books)
        self._list_names = list_names
        self._count_faults = count_faults
        self._last_round = last_round
        self._count_worker_jobs = count_worker_jobs

    def describe(self) -> Iterable[Metric]:
        """None: else the registry would collect, just to know the names."""
        return []

    def collect(self) -> Iterable[Metric]:
        names = self._list_names()
        info = GaugeMetricFamily("fleet_hub_info", "1; the version of the hub.", labels=["version"])
        info.add_metric([version("crawler-fleet")], 1)
        yield info
        yield _gauge("fleet_hub_sources", "Sources that are served.", len(names))
        yield _gauge("fleet_hub_faulty_sources", "Sources whose manifest or code can't be used.", self._count_faults())
        yield _gauge("fleet_hub_workers", "Processes for jobs.", self._settings.workers)
        help = "Jobs that workers do, or that wait for one."
        yield _gauge("fleet_hub_worker_jobs", help, self._count_worker_jobs())
        help = "When the hub last looked at the shared volume; 0 before the first time."
        yield _gauge("fleet_hub_intake_round_timestamp_seconds", help, self._last_round())
        yield from _disks(self._settings)
        yield self._pinned(names)
        yield from self._of_database()

    def _pinned(self, names: list[str]) -> Metric:
        help = "Whether a person pinned what is live."
        family = GaugeMetricFamily("fleet_source_pinned", help, labels=["source"])
        for name in names:
            try:
                pinned = read_pin(self._settings.archive_dir / name) is not None
            except ReleaseError:  # nothing newer goes live, whatever it says
                pinned = True
            family.add_metric([name], float(pinned))
        return family

    def _of_database(self) -> Iterable[Metric]:
        """What only the database tells; nothing but that it is away, where it is."""
        found = self._database.read()
        live, entries = found or ({}, {})
        yield _gauge("fleet_hub_database_up", "Whether the database answers.", float(found is not None))
        yield from _live(live)
        yield from _steps(entries)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _live(live: dict[str, LiveRelease]) -> Iterable[Metric]:
    labels = ["source"]
    documents = GaugeMetricFamily("fleet_source_documents", "Documents in the live collection.", labels=labels)
    rejects = GaugeMetricFamily("fleet_source_upload_rejects", "Records that their upload rejected.", labels=labels)
    help = "The release that is live, by when its crawl started."
    started = GaugeMetricFamily("fleet_source_live_timestamp_seconds", help, labels=labels)
    for name, release in live.items():
        documents.add_metric([name], release.documents)
        rejects.add_metric([name], release.rejects)
        if (moment := seconds_of(release.release)) is not None:
            started.add_metric([name], moment)
    return documents, rejects, started


def _steps(entries: dict[str, dict[str, Any]]) -> Iterable[Metric]:
    labels = ["source"]
    dump = GaugeMetricFamily("fleet_source_dump_failed", "Whether the last dump failed.", labels=labels)
    upload = GaugeMetricFamily("fleet_source_upload_failed", "Whether the last upload failed.", labels=labels)
    help = "How long the last upload took."
    took = GaugeMetricFamily("fleet_source_upload_duration_seconds", help, labels=labels)
    for name, entry in entries.items():
        if download := entry.get("download"):
            dump.add_metric([name], float(download.get("status") == "failed"))
        if job := entry.get("upload", {}).get("jobs", {}).get(name):
            upload.add_metric([name], float(job.get("status") == "failed"))
            if (seconds := job.get("time_in_s")) is not None:
                took.add_metric([name], seconds)
    return dump, upload, took


def _disks(settings: HubSettings) -> Iterable[Metric]:
    size = GaugeMetricFamily("fleet_disk_size_bytes", "Size of the file system.", labels=["disk"])
    free = GaugeMetricFamily("fleet_disk_free_bytes", "What of it is free to us.", labels=["disk"])
    for disk, (size_bytes, free_bytes) in find_disks(settings).items():
        size.add_metric([disk], size_bytes)
        free.add_metric([disk], free_bytes)
    return size, free
