"""What tells the pages that something changed: one watcher for all of them, and events over HTTP (server-sent events).

https://html.spec.whatwg.org/multipage/server-sent-events.html. An event ``changed`` carries topics, parted by blanks: names of sources,
and ``jobs``. It says nothing of what changed: a page that is about a topic is fetched anew, by whoever may see it.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tornado.iostream import StreamClosedError

from hub.api.base import FleetHandler
from hub.signatures import sign_all

if TYPE_CHECKING:
    from hub.server import FleetHubServer

logger = logging.getLogger(__name__)

JOBS = "jobs"
_LOOK_SECONDS = 2.0
# Something is said now and then, so that proxies keep the connection; after a while the browser has to come, and log in, again.
_SILENCE_SECONDS = 25.0
_LONGEST_SECONDS = 600.0


class Listener:
    """A page that listens. ``topics``: what changed since it was told last."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self._wake = asyncio.Event()

    def tell(self, topics: Iterable[str]) -> None:
        self.topics.update(topics)
        self._wake.set()

    async def wait(self) -> set[str]:
        """The topics that changed; none after a silence."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), _SILENCE_SECONDS)
        self._wake.clear()
        topics, self.topics = self.topics, set()
        return topics


class Events:
    """``listen`` as long as a page is open; ``publish`` what changed, in the event loop's thread.

    As long as somebody listens, the files of all sources are looked at every other second: one look for all who listen, since the
    file system's own notifications don't come over NFS, and come for every line that a crawler writes.
    """

    def __init__(self, server: "FleetHubServer") -> None:
        self._server = server
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        listener = Listener()
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def publish(self, topics: Iterable[str]) -> None:
        """Tell everyone who listens that something of ``topics`` changed."""
        topics = list(topics)
        self._server.overviews.forget()
        for listener in self._listeners:
            listener.tell(topics)

    async def _watch(self) -> None:
        known = await self._look()
        while self._listeners:
            await asyncio.sleep(_LOOK_SECONDS)
            now = await self._look()
            changed = [name for name in now.keys() | known.keys() if now.get(name) != known.get(name)]
            known = now
            if changed:
                self.publish(changed)

    async def _look(self) -> dict[str, tuple[object, ...]]:
        """What would be different, by topic, if something changed."""
        names = [classes.source.name for classes in self._server.sources]
        files = await asyncio.to_thread(sign_all, self._server.settings, names)
        found: dict[str, tuple[object, ...]] = {
            name: (*files[name], *self._server.intake.under_way(name)) for name in names
        }
        found |= {fault.name: (fault.reason,) for fault in self._server.faults}
        found[JOBS] = self._server.worklist.signature()
        return found


class EventsHandler(FleetHandler):
    """``GET /events``"""

    needs = "visitor"
    is_live = True

    _listener: Listener | None = None

    def on_connection_close(self) -> None:
        if self._listener:
            self._listener.tell(())  # that it ends now, not after the next silence

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # a proxy that gathers answers would hold events back
        ends = asyncio.get_running_loop().time() + _LONGEST_SECONDS
        with suppress(StreamClosedError), self.server.events.listen() as listener:
            self._listener = listener
            self.write("retry: 3000\n\nevent: hello\ndata:\n\n")
            await self.flush()
            while asyncio.get_running_loop().time() < ends:
                topics = await listener.wait()
                self.write(f"event: changed\ndata: {' '.join(sorted(topics))}\n\n" if topics else ": nothing\n\n")
                await self.flush()
