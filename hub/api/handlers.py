"""The hub at a glance: ``GET /`` tells what this is, ``GET /fleet/status`` how each source stands, as ``fleet status --json`` does."""

from pathlib import Path
from typing import Any

import orjson
from tornado.template import Loader

from hub.api.base import FleetHandler
from hub.api.description import described
from hub.status import changes_in_short, reasons

_WEB = Path(__file__).parents[1] / "web"
_PAGES = Loader(str(_WEB))
_STYLE = (_WEB / "style.css").read_bytes()
_BAD = {
    "dump failed",
    "upload failed",
    "faulty",
    "held",
    "failed",
    "empty",
    "partial",
    "killed",
    "interrupted",
    "unknown",
}


class IndexHandler(FleetHandler):
    """``GET /``"""

    needs = "visitor"

    @described("What this is, and where to look.")
    async def get(self) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            if (status := await self.read_status()) is None:
                return
            shown = {
                "sources": orjson.loads(status),
                "tone": _tone,
                "reasons": reasons,
                "changes_in_short": changes_in_short,
            }
            self.finish(_PAGES.load("index.html").generate(**shown))
            return
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
            }
        )


class StyleHandler(FleetHandler):
    """``GET /style.css``"""

    needs = None

    def get(self) -> None:
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.finish(_STYLE)


class StatusHandler(FleetHandler):
    """``GET /fleet/status``"""

    needs = "visitor"

    @described("How each source stands.", answer=list[dict[str, Any]])
    async def get(self) -> None:
        if (status := await self.read_status()) is not None:
            self.answer_json(status)


def _tone(word: str | None) -> str:
    return "bad" if word in _BAD else "good" if word in ("live", "published", "unchanged", "approved") else ""
