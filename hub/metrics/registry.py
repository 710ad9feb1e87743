"""Which metrics there are, and where they come from."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from crawlers.runtime.manifest import Manifest
from hub.books import Books
from hub.metrics.disk import DiskCollector
from hub.metrics.exposition import Exposition
from hub.metrics.hub import HubCollector
from hub.metrics.jobs import JobMetrics
from hub.metrics.sources import SourceCollector

if TYPE_CHECKING:
    from hub.server import FleetHubServer

# When a counter was made would be a series more for each; Prometheus's text format has no use for it.
disable_created_metrics()


class Metrics:
    """Those of ``server``, in a registry of their own. ``jobs``: names of the jobs that ``self.jobs`` counts."""

    def __init__(self, server: "FleetHubServer", books: Books, jobs: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        self.jobs = JobMetrics(self.registry, jobs)
        settings, job_manager = server.settings, server.managers["job_manager"]

        def list_manifests() -> list[Manifest]:
            return [classes.source.manifest for classes in server.sources]

        def list_names() -> list[str]:
            return [manifest.name for manifest in list_manifests()]

        shared_dir = settings.runtime.shared_dir
        self.registry.register(SourceCollector(shared_dir, list_manifests))
        self.registry.register(DiskCollector(shared_dir, settings.archive_dir, list_names))
        self.registry.register(
            HubCollector(
                settings,
                books,
                list_names=list_names,
                count_faults=lambda: len(server.faults),
                last_round=lambda: server.intake.last_round,
                count_worker_jobs=job_manager._pending_jobs_count,
            )
        )
        ProcessCollector(registry=self.registry)
        self._exposition = Exposition(self.registry)

    async def expose(self) -> bytes:
        """The text that Prometheus scrapes."""
        return await self._exposition.expose()
