"""Logs as they are written: server-sent events, each a list of lines as JSON.

https://html.spec.whatwg.org/multipage/server-sent-events.html. The id of an event is from where to ask for what comes after it, which
a browser that has lost the connection does by itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import msgspec
from tornado.iostream import StreamClosedError

from crawlers.runtime.errors import FleetError
from hub.access.logins import Refusal
from hub.access.user import Role
from hub.api.base import FleetHandler, SourceHandler
from hub.looks import take_look

_LOOK_SECONDS = 1.0
# Something is said now and then, so that proxies keep the connection; after a while the browser has to come, and log in, again.
_SILENCE_SECONDS = 25.0
_LONGEST_SECONDS = 600.0
# Each reads its log every second.
_MOST_OPEN = 50


class TailHandler(SourceHandler):
    """Follows a log."""

    needs: Role | None = "operator"
    is_live = True

    def answer_json(self, found: Any) -> None:
        pass  # what is to be said comes as events

    @property
    def last_event(self) -> str:
        """From where a browser goes on that had lost the connection; empty at first."""
        return self.request.headers.get("Last-Event-ID", "")[:100]

    async def follow(self, more: Callable[[], tuple[list[Any], str]]) -> None:
        """Send what ``more`` gives, lines and the id of what comes after them, until the client is gone. Runs it in a thread."""
        if self._finished:  # there is no such source
            return
        if TailHandler._open >= _MOST_OPEN:
            self.set_header("Retry-After", "60")
            FleetHandler.tell(
                self, 503, f"{_MOST_OPEN} logs are being followed at this moment, which is the most: try again later"
            )
            return
        TailHandler._open += 1
        try:
            await self._follow(more)
        finally:
            TailHandler._open -= 1

    _open: ClassVar[int] = 0

    def _may_go_on(self) -> bool:
        """Whether who asked may still look: the session may have ended, the role have changed."""
        try:
            return self.server.logins.identify(self.request, is_live=True).can(self.needs)
        except Refusal:
            return False

    async def _follow(self, more: Callable[[], tuple[list[Any], str]]) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # a proxy that gathers answers would hold events back
        clock = asyncio.get_running_loop().time
        ends, said = clock() + _LONGEST_SECONDS, clock()
        with suppress(StreamClosedError):
            self.write("retry: 3000\n\n")
            await self.flush()
            while clock() < ends and self._may_go_on() and not self.request.connection.stream.closed():  # type: ignore[union-attr]
                try:
                    lines, after = await take_look(more)
                except (FleetError, OSError):  # it was removed meanwhile
                    return
                if lines:
                    self.write(f"id: {after}\nevent: lines\ndata: {msgspec.json.encode(lines).decode()}\n\n")
                elif clock() - said > _SILENCE_SECONDS:
                    self.write(": nothing\n\n")
                else:
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                said = clock()
                await self.flush()
                await asyncio.sleep(_LOOK_SECONDS)
