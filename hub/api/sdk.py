"""The SDK's endpoints that BioThings Studio calls for dump and upload, behind our guard.

Those that only tell something are the SDK's own. Those that change something are ours under the SDK's addresses, in its form of answers: so
that a dump that Studio asks for is a dump of ours. What reads files that a request names, or changes the configuration, is not there; the
terminal is, for admins, where FLEET_HUB_SHELL says so. https://docs.biothings.io/en/latest/doc/studio.html
"""

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from biothings import __version__ as sdk_version
from biothings.hub import config
from biothings.hub.api.handlers.base import GenericHandler
from biothings.hub.api.handlers.shell import ShellHandler

from crawlers.runtime.errors import FleetError
from hub.access.user import Role
from hub.api.base import FleetHandler, SourceHandler
from hub.books import open_books
from hub.views.configuration import list_settings

# The SDK's endpoints that only tell something.
TELLING = ("status", "sources", "source", "job_manager", "dump_manager", "upload_manager")
_LOG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
_LOG_BYTES = 1024 * 1024
_MAX_COMMANDS = 200


class Commands:
    """What was asked for by the SDK's endpoints, as Studio looks after it: each has a number, and at last a result."""

    def __init__(self) -> None:
        self.known: dict[int, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Future[Any]] = set()

    def begin(self, words: str, work: Awaitable[Any]) -> dict[str, Any]:
        """Begin ``work``; what Studio is told of it."""
        number = next(self._numbers)
        command = {"id": number, "cmd": words, "started_at": time.time(), "is_done": False}
        self.known[number] = command
        while len(self.known) > _MAX_COMMANDS:
            del self.known[next(iter(self.known))]
        task = asyncio.ensure_future(self._do(command, work))
        self._tasks.add(task)  # the loop itself keeps no task from being collected
        task.add_done_callback(self._tasks.discard)
        return dict(command)

    async def _do(self, command: dict[str, Any], work: Awaitable[Any]) -> None:
        try:
            command |= {"results": [await work], "failed": False}
        except Exception as error:  # whatever it is, Studio shows it
            command |= {"results": [str(error)], "failed": True}
        command |= {"is_done": True, "duration": f"{time.time() - command['started_at']:.1f}s"}


class SdkHandler(SourceHandler):
    """Answers in the SDK's form."""

    def answer_json(self, found: Any) -> None:
        super().answer_json({"result": msgspec.to_builtins(found), "status": "ok"})

    def tell(self, status: int, reason: str) -> None:
        self.told = reason
        self.set_status(status)
        self.finish({"error": reason, "status": "error", "code": status})


class SdkActionHandler(SdkHandler):
    """``PUT /source/NAME/dump`` and ``…/upload``: what they begin is told by ``/command/ID``."""

    needs = "operator"

    async def put(self, name: str, action: str) -> None:
        # What is uploaded is what was archived, and that is whole or is not: nothing else that Studio sends is heeded.
        body = self._read_json() if self.request.body else {}
        options = {"force": True} if action == "upload" and body.get("force") is True else {}
        self.asked = {key: str(value) for key, value in options.items()}
        source = name.partition(".")[0]  # Studio may say NAME.NAME, a source having one uploader of its own name

        async def begin() -> dict[str, Any]:
            work = self.server.intake.start(action, source, self.who, **options)
            return self.server.studio_commands.begin(f"{action}({source!r})", asyncio.shield(work))

        await self.answer(source, begin)


class MarkSuccessHandler(SdkHandler):
    """``PUT /source/NAME/mark_dump_success``: takes the note of a failed dump away. What is archived and live does not change."""

    needs = "operator"

    async def put(self, name: str) -> None:
        dry_run = (self._read_json() if self.request.body else {}).get("dry_run", True) is not False

        def mark() -> list[dict[str, Any]]:
            books = open_books()
            entry = books.find(name).get("download")
            if not entry:
                raise FleetError(f"{name}: no dump is noted that could be marked")
            marked = {key: value for key, value in entry.items() if key != "err"} | {"status": "success"}
            if not dry_run:
                books.note_dump(name, marked)
            return [{"_id": name, "download": {key: str(value) for key, value in marked.items()}}]

        await self.answer(name, lambda: asyncio.to_thread(mark))


class CommandsHandler(SdkHandler):
    """``GET /commands``"""

    needs = "visitor"

    def get(self) -> None:
        self.answer_json({str(number): command for number, command in self.server.studio_commands.known.items()})


class CommandHandler(SdkHandler):
    """``GET /command/ID``"""

    needs = "visitor"

    def get(self, number: str) -> None:
        command = self.server.studio_commands.known.get(int(number))
        if command is None:
            self.tell(404, f"no command {number} is known")
            return
        self.answer_json(command)


class ConfigHandler(SdkHandler):
    """``GET /config``: how the hub is set up, without its secrets. It is set up by its environment, not from here."""

    needs = "admin"

    def get(self) -> None:
        shown = {it.name: {"value": it.value, "section": it.of} for it in list_settings(self.server.settings)}
        self.answer_json({"scope": {"config": shown, "class": {}}, "_dirty": False, "allow_edits": False})


class LogsHandler(FleetHandler):
    """``GET /logs/`` lists the SDK's logs; ``filter``: names with one of these words, by commas."""

    needs = "operator"

    async def get(self) -> None:
        words = self.get_query_argument("filter", "").split(",")
        names = await asyncio.to_thread(_list_logs)
        self.answer_json([name for name in names if any(word in name for word in words)])


class LogHandler(FleetHandler):
    """``GET /log/NAME``: the last ``lines`` of a log."""

    needs: Role | None = "operator"

    async def get(self, name: str) -> None:
        lines = self.get_query_argument("lines", "1000")
        if name not in await asyncio.to_thread(_list_logs) or not (lines.isascii() and lines.isdigit()):
            self.tell(404, f"there is no log {name[:200]!r}, or lines is no number")
            return
        text = await asyncio.to_thread(_read_end, Path(config.LOG_FOLDER) / name)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("\n".join(text.splitlines()[-int(lines[:6]) :]))


def sdk_routes(server: Any) -> list[Any]:
    """The routes under the SDK's addresses: ours, then those of its own that may pass.

    It adds routes to those of its endpoints, which read any file of this machine: so only what is known passes.
    """
    own = {"server": server}
    ours = [
        (r"/source/([\w.-]+)/(dump|upload)", SdkActionHandler, own),
        (r"/source/([\w.-]+)/mark_dump_success", MarkSuccessHandler, own),
        (r"/commands", CommandsHandler, own),
        (r"/command/([0-9]{1,9})", CommandHandler, own),
        (r"/config", ConfigHandler, own),
        (r"/logs/", LogsHandler, own),
        (r"/log/([^/]+)", LogHandler, own),
    ]
    theirs = [route for route in server.routes if _may_pass(_handler(route))]
    for route in theirs:
        _set_needs(_handler(route), server.settings.access.shell)
    return [*ours, *theirs]


def pattern_of(route: Any) -> str:
    """What the path of ``route`` looks like, as a regular expression."""
    return route[0] if isinstance(route, tuple) else route.matcher.regex.pattern


def studio_root(features: list[str]) -> dict[str, Any]:
    """What Studio reads at ``/`` when it connects."""
    return {
        "name": config.HUB_NAME,
        "biothings_version": sdk_version,
        "app_version": None,
        "icon": None,
        "features": features,
        "login_required": True,
    }


def _may_pass(handler: type) -> bool:
    """Whether it serves one of the endpoints, or the websocket; not as a script, which any page on the web could load."""
    module = handler.__module__
    if module.endswith((".jsonp", ".htmlfile")):
        return False
    return issubclass(handler, GenericHandler) or module.startswith("sockjs.tornado.")


def _set_needs(handler: Any, shell: bool) -> None:
    """Which role a handler of the SDK needs (see ``hub.access.guard``)."""
    handler.needs = "visitor"
    if handler.__module__.startswith("sockjs.tornado."):
        # Its POST requests only carry what is said on the websocket, where nothing can be changed. What the terminal prints comes by it.
        handler.needs = handler.needs_to_change = "admin" if shell else "visitor"
        handler.needs_csrf, handler.in_read_only, handler.audited = False, True, False
    if issubclass(handler, ShellHandler):
        handler.needs = "admin"


def _handler(route: Any) -> type:
    return route[1] if isinstance(route, tuple) else route.handler_class


def _list_logs() -> list[str]:
    folder = Path(config.LOG_FOLDER)
    try:
        return sorted(
            it.name for it in folder.iterdir() if _LOG_NAME.fullmatch(it.name) and it.is_file() and not it.is_symlink()
        )
    except OSError:
        return []


def _read_end(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_BYTES))
        return file.read(_LOG_BYTES).decode("utf-8", "replace")
