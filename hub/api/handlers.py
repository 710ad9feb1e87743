"""The hub's own REST endpoints, beside those of the SDK.

``GET /`` tells what this is, to a browser as a page of all sources; ``GET /fleet/status`` is the list that ``fleet status --json`` prints;
``POST /fleet/sources/NAME/dump`` and ``…/upload`` start or join one, and answer when it is done:
``{"source", "action", "outcome", "release", "reason"}``, where ``outcome`` is ``done``, ``nothing to do`` or ``failed`` (then
with status 409 and the reason). ``?force=1`` uploads also what is live already. In the same way, ``POST``

- ``…/rollback?release=…&reason=…&by=…`` pins an archived release and makes it live; ``…/pin?reason=…&by=…`` pins what is live;
- ``…/unpin`` takes the pin back, and the newest archived release goes live;
- ``…/clean`` removes the releases that the manifest lets go, and lists them as ``removed``; with ``?dry_run=1`` it only lists.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pymongo.errors import PyMongoError
from tornado.template import Loader
from tornado.web import RequestHandler

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import nearest
from hub.status import changes_in_short, reasons

if TYPE_CHECKING:
    from hub.server import FleetHubServer


_WEB = Path(__file__).parents[1] / "web"
_PAGES = Loader(str(_WEB))
_STYLE = (_WEB / "style.css").read_bytes()
ACTIONS = ("dump", "upload", "rollback", "pin", "unpin", "clean")
_BAD = {
    "dump failed",
    "upload failed",
    "faulty",
    "held",
    "failed",
    "empty",
    "partial",
    "killed",
    "stuck",
    "interrupted",
    "unknown",
}


class FleetHandler(RequestHandler):
    """A handler that knows the hub."""

    def initialize(self, server: "FleetHubServer") -> None:
        self.server = server

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"error": self._reason})

    async def read_status(self) -> bytes | None:
        """The status of all sources, as JSON; None where the database is away, which is answered then."""
        try:
            return await asyncio.to_thread(self.server.status)
        except PyMongoError as error:
            self.tell_database_is_away(error)
            return None

    def tell_database_is_away(self, error: PyMongoError) -> None:
        """Answer so."""
        self.set_status(503)
        self.finish({"error": f"the database can't be used: {type(error).__name__}: {str(error)[:500]}"})

    @property
    def login(self) -> str:
        """The user who asks; empty where there is no login."""
        return self.server.settings.user


class IndexHandler(FleetHandler):
    """``GET /``"""

    async def get(self) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            if (status := await self.read_status()) is None:
                return
            # What is shown comes from strangers' sites: nothing of it may run, whatever gets past the template's escaping.
            self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'")
            shown = {
                "sources": orjson.loads(status),
                "tone": _tone,
                "reasons": reasons,
                "changes_in_short": changes_in_short,
            }
            self.finish(_PAGES.load("index.html").generate(**shown))
            return
        self.finish(
            {
                "name": "Crawler Fleet hub",
                "sources": [classes.source.name for classes in self.server.sources],
                "look": {
                    "status": "/fleet/status",
                    "releases": "/fleet/sources/NAME/releases",
                    "diff": "/fleet/sources/NAME/diff?from=…&to=…",
                    "sources": "/sources",
                    "jobs": "/job_manager",
                },
                "do": {action: f"POST /fleet/sources/NAME/{action}" for action in ACTIONS},
                "routes": self.server.route_patterns,
            }
        )


class StyleHandler(FleetHandler):
    """``GET /style.css``"""

    def get(self) -> None:
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.finish(_STYLE)


class StatusHandler(FleetHandler):
    """``GET /fleet/status``"""

    async def get(self) -> None:
        if (status := await self.read_status()) is not None:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(status)


class SourceHandler(FleetHandler):
    """What is asked of one source."""

    async def answer(self, name: str, found: Callable[[], Awaitable[Any]]) -> None:
        """Answer with what ``found`` gives: 404 where there is no such source or release, 503 where the database is away."""
        names = [classes.source.name for classes in self.server.sources]
        faults = {fault.name: fault.reason for fault in self.server.faults}
        if name not in names:
            self.set_status(404)
            self.finish({"error": faults.get(name) or f"no source is called {name!r}.{nearest(name, names)}"})
            return
        try:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(orjson.dumps(await found()))
        except UsageError as error:
            self.set_status(404)
            self.finish({"error": str(error)})
        except (FleetError, OSError) as error:
            self.set_status(409)
            self.finish({"error": str(error)})
        except PyMongoError as error:
            self.tell_database_is_away(error)


class ActionHandler(SourceHandler):
    """``POST /fleet/sources/NAME/ACTION``"""

    async def post(self, name: str, action: str) -> None:
        async def act() -> dict[str, Any]:
            answer = {"source": name, "action": action, "outcome": "done", "release": None, "reason": None}
            try:
                # Shielded: it goes on when the client is gone.
                return answer | await asyncio.shield(asyncio.ensure_future(self._start(name, action)))
            except UsageError:
                raise
            except (FleetError, OSError) as error:
                self.set_status(409)
                return answer | {"outcome": "failed", "reason": str(error)}

        await self.answer(name, act)

    def _start(self, name: str, action: str) -> Awaitable[dict[str, Any]]:
        keeper = self.server.keeper
        by, reason = self._text("by") or self.login or "the API", self._text("reason")
        match action:
            case "rollback":
                return keeper.rollback(name, self._text("release"), by, reason)
            case "pin":
                return keeper.pin(name, by, reason)
            case "unpin":
                return keeper.unpin(name)
            case "clean":
                return keeper.clean(name, dry_run=self._text("dry_run") == "1")
        options = {"force": True} if action == "upload" and self._text("force") == "1" else {}
        return self.server.intake.start(action, name, **options)

    def _text(self, argument: str) -> str:
        return str(self.get_query_argument(argument, ""))


def _tone(word: str | None) -> str:
    return "bad" if word in _BAD else "good" if word in ("live", "published", "unchanged", "approved") else ""
