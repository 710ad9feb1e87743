"""Which metrics there are, and where they come from."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

from hub.books import Books
from hub.metrics.exposition import Exposition
from hub.metrics.hub import HubCollector
from hub.metrics.sources import SourceCollector

if TYPE_CHECKING:
    from hub.server import FleetHubServer


def make_exposition(server: "FleetHubServer", books: Books, registry: CollectorRegistry) -> Exposition:
    """Register all that is collected from ``server`` with ``registry``, which may hold more, and make it to be asked for."""
    settings, jobs = server.settings, server.managers["job_manager"]

    def list_manifests() -> list:
        return [classes.source.manifest for classes in server.sources]

    registry.register(SourceCollector(settings.runtime.shared_dir, list_manifests))
    registry.register(
        HubCollector(
            settings,
            books,
            list_names=lambda: [manifest.name for manifest in list_manifests()],
            count_faults=lambda: len(server.faults),
            last_round=lambda: server.intake.last_round,
            count_worker_jobs=lambda: jobs._pending_jobs_count(),
        )
    )
    ProcessCollector(registry=registry)
    return Exposition(registry)
