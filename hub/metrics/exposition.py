"""The text that Prometheus scrapes, made in a thread, so that the hub goes on meanwhile.

What was made is given again for ten times as long as the processor worked on it, a second at least: however often somebody scrapes, a
tenth of one core is spent on it at most.
"""

import asyncio
import time

from prometheus_client import CollectorRegistry, Gauge, generate_latest

# https://prometheus.io/docs/instrumenting/exposition_formats/
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FRESH_SECONDS = 1.0
_PAUSES = 10


class Exposition:
    """Of what is registered with ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._took = Gauge(
            "fleet_metrics_collection_duration_seconds", "How long the last collection took.", registry=registry
        )
        self._task: asyncio.Task[bytes] | None = None
        self._fresh_until = 0.0

    async def expose(self) -> bytes:
        """The metrics. Whoever asks while they are collected gets what the others get."""
        if self._task is None or (self._task.done() and time.monotonic() >= self._fresh_until):
            self._task = asyncio.create_task(asyncio.to_thread(self._collect))
        return await asyncio.shield(self._task)

    def _collect(self) -> bytes:
        started, worked = time.monotonic(), time.thread_time()
        text = generate_latest(self._registry)
        self._took.set(time.monotonic() - started)
        self._fresh_until = time.monotonic() + max(_FRESH_SECONDS, _PAUSES * (time.thread_time() - worked))
        return text
