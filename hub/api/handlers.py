"""The hub's own REST endpoints, beside those of the SDK.

``GET /`` tells what this is, to a browser as a page of all sources; ``GET /fleet/status`` is the list that ``fleet status --json`` prints;
``POST /fleet/sources/NAME/dump`` and ``…/upload`` start or join one, and answer when it is done:
``{"source", "action", "outcome", "release", "reason"}``, where ``outcome`` is ``done``, ``nothing to do`` or ``failed`` (then
with status 409 and the reason). ``?force=1`` uploads also what is live already.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pymongo.errors import PyMongoError
from tornado.template import Loader
from tornado.web import RequestHandler

from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import nearest
from hub.status import reasons

if TYPE_CHECKING:
    from hub.server import FleetHubServer


_WEB = Path(__file__).parents[1] / "web"
_PAGES = Loader(str(_WEB))
_STYLE = (_WEB / "style.css").read_bytes()
_BAD = {"dump failed", "upload failed", "faulty", "failed", "partial", "killed", "interrupted", "unknown"}


class _FleetHandler(RequestHandler):
    def initialize(self, server: "FleetHubServer") -> None:
        self.server = server

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"error": self._reason})

    async def read_status(self) -> bytes | None:
        """The status of all sources, as JSON; None where the database is away, which is answered then."""
        try:
            return await asyncio.to_thread(self.server.status)
        except PyMongoError as error:
            self.set_status(503)
            self.finish({"error": f"the database can't be used: {type(error).__name__}: {str(error)[:500]}"})
            return None


class IndexHandler(_FleetHandler):
    """``GET /``"""

    async def get(self) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            if (status := await self.read_status()) is None:
                return
            # What is shown comes from strangers' sites: nothing of it may run, whatever gets past the template's escaping.
            self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'")
            self.finish(_PAGES.load("index.html").generate(sources=orjson.loads(status), tone=_tone, reasons=reasons))
            return
        self.finish(
            {
                "name": "Crawler Fleet hub",
                "sources": [classes.source.name for classes in self.server.sources],
                "look": {"status": "/fleet/status", "sources": "/sources", "jobs": "/job_manager"},
                "do": {"dump": "POST /fleet/sources/NAME/dump", "upload": "POST /fleet/sources/NAME/upload"},
                "routes": self.server.route_patterns,
            }
        )


class StyleHandler(_FleetHandler):
    """``GET /style.css``"""

    def get(self) -> None:
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.finish(_STYLE)


class StatusHandler(_FleetHandler):
    """``GET /fleet/status``"""

    async def get(self) -> None:
        if (status := await self.read_status()) is not None:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(status)


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


def _tone(word: str | None) -> str:
    return "bad" if word in _BAD else "good" if word in ("live", "published") else ""
