"""Which page answers at which address."""

from pathlib import Path
from typing import Any

from tornado.web import StaticFileHandler

from hub.web.events import EventsHandler
from hub.web.pages.add import AddPage
from hub.web.pages.documents import DocumentsPage
from hub.web.pages.fleet import FleetPage
from hub.web.pages.jobs import ConfigurationPage, JobPage, JobsPage, LogPage
from hub.web.pages.last_collected import LastCollectedPage
from hub.web.pages.login import AccountPage, LoginPage, WelcomePage
from hub.web.pages.release import DiffPage, RejectsPage, ReleasePage
from hub.web.pages.run import RunPage
from hub.web.pages.source import AskPage, SourcePage


class StaticHandler(StaticFileHandler):
    """Style, script and icon: for everybody, also for who has yet to log in."""

    needs = None

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")  # kept, but asked for anew: a hub of a new version has new ones


_STATIC = str(Path(__file__).parent / "static")


def page_routes(own: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The routes of all pages. ``own``: what their handlers are made with."""
    return [
        (r"/", FleetPage, own),
        (r"/sources/([^/]+)", SourcePage, own),
        (r"/sources/([^/]+)/ask/([^/]+)", AskPage, own),
        (r"/sources/([^/]+)/releases/([^/]+)", ReleasePage, own),
        (r"/sources/([^/]+)/releases/([^/]+)/rejects", RejectsPage, own),
        (r"/sources/([^/]+)/diff", DiffPage, own),
        (r"/sources/([^/]+)/runs/([^/]+)", RunPage, own),
        (r"/sources/([^/]+)/documents", DocumentsPage, own),
        (r"/jobs", JobsPage, own),
        (r"/jobs/([^/]+)", JobPage, own),
        (r"/log", LogPage, own),
        (r"/configuration", ConfigurationPage, own),
        (r"/last-collected", LastCollectedPage, own),
        (r"/add", AddPage, own),
        (r"/events", EventsHandler, own),
        (r"/login", LoginPage, own),
        (r"/welcome", WelcomePage, own),
        (r"/account", AccountPage, own),
        (r"/static/([a-z_-]+\.(?:css|js|svg))", StaticHandler, {"path": _STATIC}),
    ]
