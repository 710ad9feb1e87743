"""``GET /``: the fleet, one row a source, what needs attention first."""

import orjson

from hub.api.handlers import IndexHandler
from hub.web.pages.page import PageHandler


class FleetPage(PageHandler, IndexHandler):
    """``GET /``: the page for browsers, for programs where to look."""

    async def get(self) -> None:
        if "text/html" not in self.request.headers.get("Accept", ""):
            await super().get()
            return
        if (status := await self.read_status()) is not None:
            self.render_page("fleet.html", sources=orjson.loads(status))
