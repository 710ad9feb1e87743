"""``GET /metrics``: what Prometheus scrapes (docs/monitoring.md)."""

from hub.api.handlers import FleetHandler
from hub.metrics.exposition import CONTENT_TYPE


class MetricsHandler(FleetHandler):
    """``GET /metrics``"""

    async def get(self) -> None:
        text = await self.server.metrics.expose()
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(text)
