"""What every page has: the frame, and the words for numbers and times."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tornado.template import Loader

from hub.access.user import Role
from hub.api.base import FleetHandler
from hub.web import formats

_TEMPLATES = Loader(str(Path(__file__).parents[1] / "templates"))
# The pages in the order of the navigation.
NAVIGATION = (
    ("/", "Fleet"),
    ("/jobs", "Jobs and logs"),
    ("/last-collected", "Last collected"),
    ("/add", "Add a source"),
)


class PageHandler(FleetHandler):
    """A page for people. ``here``: the page of the navigation that it belongs to."""

    needs: Role | None = "visitor"
    here = "/"

    def render_page(self, template: str, **values: Any) -> None:
        """Answer with ``template`` (in ``hub/web/templates``), which finds in its scope ``values`` and what ``formats`` offers."""
        self.finish(_render(self, template, self.here, **values))

    def tell(self, status: int, reason: str) -> None:
        self.told = reason
        self.set_status(status)
        self.finish(error_page(self, status, reason))


def error_page(handler: FleetHandler, status: int, reason: str) -> bytes:
    """The page that tells of an error, which any handler may answer with."""
    return _render(handler, "error.html", "", status=status, reason=reason)


def _render(handler: FleetHandler, template: str, here: str, **values: Any) -> bytes:
    scope = {
        **formats.SCOPE,
        **handler.scope(),
        "navigation": NAVIGATION,
        "is_here": lambda path: path == here,
        "now": datetime.now(UTC),
        **values,
    }
    return _TEMPLATES.load(template).generate(**scope)
