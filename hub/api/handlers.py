"""The hub at a glance: ``GET /`` tells programs where to look, ``GET /fleet/status`` how each source stands, as ``fleet status --json``."""

from typing import Any

from hub.access.user import Role
from hub.api.base import FleetHandler
from hub.api.description import described
from hub.api.sdk import studio_root


class IndexHandler(FleetHandler):
    """``GET /``"""

    needs: Role | None = "visitor"

    async def get(self) -> None:
        self.answer_json(
            {
                "name": "Crawler Fleet hub",
                "sources": [classes.source.name for classes in self.server.sources],
                "description": "/api/openapi.json",
                "look": {
                    "status": "/fleet/status",
                    "releases": "/fleet/sources/NAME/releases",
                    "diff": "/fleet/sources/NAME/diff?from=…&to=…",
                    "sources": "/sources",
                    "jobs": "/job_manager",
                },
                "routes": self.server.route_patterns,
                # As the SDK says it, for BioThings Studio.
                "result": studio_root(self.server.features),
                "status": "ok",
            }
        )


class StatusHandler(FleetHandler):
    """``GET /fleet/status``"""

    needs: Role | None = "visitor"

    @described("How each source stands.", answer=list[dict[str, Any]])
    async def get(self) -> None:
        if (status := await self.read_status()) is not None:
            self.answer_json(status)
