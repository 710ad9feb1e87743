"""The hub's own REST endpoints, beside those of the SDK.

``GET /`` tells what this is; ``GET /fleet/status`` is the list that ``fleet status --json`` prints;
``POST /fleet/sources/NAME/dump`` and ``…/upload`` start or join one, and answer when it is done:
``{"source", "action", "outcome", "release", "reason"}``, where ``outcome`` is ``done``, ``nothing to do`` or ``failed`` (then
with status 409 and the reason). ``?force=1`` uploads also what is live already.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler

from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import nearest

if TYPE_CHECKING:
    from hub.server import FleetHubServer


class _FleetHandler(RequestHandler):
    def initialize(self, server: "FleetHubServer") -> None:
        self.server = server

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"error": self._reason})


class IndexHandler(_FleetHandler):
    """``GET /``"""

    def get(self) -> None:
        self.finish(
            {
                "name": "Crawler Fleet hub",
                "sources": [classes.source.name for classes in self.server.sources],
                "look": {"status": "/fleet/status", "sources": "/sources", "jobs": "/job_manager"},
                "do": {"dump": "POST /fleet/sources/NAME/dump", "upload": "POST /fleet/sources/NAME/upload"},
                "routes": self.server.route_patterns,
            }
        )


class StatusHandler(_FleetHandler):
    """``GET /fleet/status``"""

    async def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(await asyncio.to_thread(self.server.status))


class ActionHandler(_FleetHandler):
    """``POST /fleet/sources/NAME/dump`` and ``…/upload``"""

    async def post(self, name: str, action: str) -> None:
        names = [classes.source.name for classes in self.server.sources]
        faults = {fault.name: fault.reason for fault in self.server.faults}
        if name not in names:
            hint = faults.get(name) or f"no source is called {name!r}.{nearest(name, names)}"
            self.set_status(404)
            self.finish({"error": hint})
            return
        options = {"force": True} if action == "upload" and self.get_query_argument("force", "") == "1" else {}
        answer = {"source": name, "action": action, "outcome": "done", "release": None, "reason": None}
        try:
            # Shielded: it goes on when the client is gone.
            answer |= await asyncio.shield(self.server.intake.start(action, name, **options))
        except FleetError as error:
            self.set_status(409)
            answer |= {"outcome": "failed", "reason": str(error)}
        self.finish(answer)
