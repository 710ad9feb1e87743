"""What every page has: the frame, the words for numbers and times, and headers by which nothing that a site wrote can run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tornado.template import Loader

from hub.api.handlers import FleetHandler
from hub.web import formats

_TEMPLATES = Loader(str(Path(__file__).parents[1] / "templates"))
# The pages in the order of the navigation.
NAVIGATION = (
    ("/", "Fleet"),
    ("/jobs", "Jobs and logs"),
    ("/last-collected", "Last collected"),
    ("/add", "Add a source"),
)
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class PageHandler(FleetHandler):
    """A page for people. ``here``: the page of the navigation that it belongs to."""

    here = "/"

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def url(self, path: str) -> str:
        """The address of ``path`` as browsers know it."""
        return path

    def render_page(self, template: str, **values: Any) -> None:
        """Answer with ``template`` (in ``hub/web/templates``), which finds in its scope ``values`` and what ``formats`` offers."""
        scope = {
            **formats.SCOPE,
            "url": self.url,
            "navigation": NAVIGATION,
            "is_here": lambda path: path == self.here,
            "now": datetime.now(UTC),
            **values,
        }
        self.finish(_TEMPLATES.load(template).generate(**scope))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.render_page("error.html", status=status_code, reason=self._reason)
