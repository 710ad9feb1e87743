"""What the hub's jobs did since it started: counted where they are started, so also those that a person asked for."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Action = Callable[..., Coroutine[Any, Any, Any]]

# Seconds: a small release is loaded at once, one of a million records takes minutes.
_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)
# The answers of actions, see hub.api.handlers.
_NOTHING = "nothing to do"


class JobMetrics:
    """The metrics are registered with ``registry``; every job of ``jobs`` is there with 0 from the start."""

    def __init__(self, registry: CollectorRegistry, jobs: tuple[str, ...]) -> None:
        self._ended = Counter(
            "fleet_hub_jobs_total", "Jobs that ended, by outcome.", ["action", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "fleet_hub_job_duration_seconds",
            "How long jobs took that had something to do.",
            ["action"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._under_way = Gauge("fleet_hub_jobs_in_progress", "Jobs under way.", ["action"], registry=registry)
        self._documents = Counter(
            "fleet_hub_uploaded_documents_total", "Documents that uploads made live.", registry=registry
        )
        for job in jobs:
            self._seconds.labels(job)
            self._under_way.labels(job)
            for outcome in ("done", "nothing", "failed"):
                self._ended.labels(job, outcome)

    def counted(self, job: str, action: Action) -> Action:
        """``action``, counted and timed as ``job``."""

        async def run(*arguments: Any, **options: Any) -> Any:
            started = time.monotonic()
            outcome = "failed"
            try:
                with self._under_way.labels(job).track_inprogress():
                    answer = await action(*arguments, **options)
                outcome = "nothing" if answer.get("outcome") == _NOTHING else "done"
                self._documents.inc(answer.get("documents", 0))
                return answer
            finally:
                self._ended.labels(job, outcome).inc()
                if outcome != "nothing":
                    self._seconds.labels(job).observe(time.monotonic() - started)

        return run
