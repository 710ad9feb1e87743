"""What every page has: the frame, and the words for numbers and times."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tornado.template import Loader

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

    needs = "visitor"
    here = "/"

    def render_page(self, template: str, **values: Any) -> None:
        """Answer with ``template`` (in ``hub/web/templates``), which finds in its scope ``values`` and what ``formats`` offers."""
        scope = {
            **formats.SCOPE,
            **self.scope(),
            "navigation": NAVIGATION,
            "is_here": lambda path: path == self.here,
            "now": datetime.now(UTC),
            **values,
        }
        self.finish(_TEMPLATES.load(template).generate(**scope))

    def tell(self, status: int, reason: str) -> None:
        """Answer with an error, as a page."""
        self.set_status(status)
        self.render_page("error.html", status=status, reason=reason)
