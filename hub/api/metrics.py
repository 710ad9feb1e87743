"""``GET /metrics``: what Prometheus scrapes (docs/monitoring.md)."""

import hmac

from hub.access.logins import Refusal
from hub.api.base import FleetHandler
from hub.api.description import described
from hub.metrics.exposition import CONTENT_TYPE


class MetricsHandler(FleetHandler):
    """Open to whoever may look, and to who has the token of ``FLEET_METRICS_TOKEN_FILE``, which opens nothing else."""

    needs = None

    @described("What Prometheus scrapes: numbers of the hub and of every source.", content=CONTENT_TYPE)
    async def get(self) -> None:
        if not (self.current_user or self._has_token()):
            self.tell_refusal(Refusal(401, "login required, or the token of FLEET_METRICS_TOKEN_FILE"))
            return
        text = await self.server.metrics.expose()
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(text)

    def _has_token(self) -> bool:
        expected = self.server.settings.metrics_token
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        # Compared whatever the scheme, so that the time taken tells nothing.
        same = hmac.compare_digest(given.strip().encode(), expected.encode())
        return bool(expected) and same and scheme.lower() == "bearer"
