"""What became of what people asked for on a page: kept by the hub, so that a page can tell it also once it has long gone on."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError

_MOST = 500
# Most things are done by then: the page shows it at once. An upload may take an hour: the page tells later.
_WAIT_SECONDS = 1.5
_DONE = {
    "dump": "Release {release} is archived.",
    "upload": "Release {release} is live: {documents:,} documents, {rejects:,} rejects.",
    "rollback": "Release {release} is live, and pinned.",
    "pin": "Release {release} is pinned: newer ones wait until it is unpinned.",
    "unpin": "It is unpinned; the newest archived release is live.",
    "clean": "Old releases were removed from the archive.",
    "crawl": "A crawl is ordered: the crawler’s container begins it within a minute.",
    "check": "A check is ordered: the crawler’s container begins it within a minute.",
    "withdraw": "The order is taken back.",
    "pause": "It is paused: it is crawled by hand and by order only.",
    "resume": "The pause has ended: it is crawled by its schedule again.",
    "approve": "Release {release} is published: the hub takes it up now.",
    "discard": "Release {release}, which was held, is removed.",
    "mark": "The failure of release {release} counts as settled.",
}
_NOTHING = {
    "dump": "Nothing to do: nothing is published that is not archived.",
    "upload": "Nothing to do: the release that is wanted is live. To load it again, force it.",
    "unpin": "Nothing to do: it is not pinned.",
    "resume": "Nothing to do: it is not paused.",
    "withdraw": "Nothing to do: no such order waits any more.",
    "mark": "Nothing to do: it has not failed.",
}


@dataclass
class Notice:
    """``tone``: ``good``, ``bad`` or ``busy``. ``who`` asked for it, and only they are told."""

    who: str
    source: str
    tone: str
    text: str


class Notices:
    def __init__(self) -> None:
        self._notices: OrderedDict[str, Notice] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(
        self,
        who: str,
        source: str,
        action: str,
        begin: Callable[[], Awaitable[Any]],
        changed: Callable[[], None],
    ) -> str:
        """Do what ``begin`` begins, and wait for it for a moment; the key of the notice. ``changed`` is called when it has ended."""
        key = secrets.token_urlsafe(12)
        notice = Notice(who, source, "busy", f"{action.capitalize()} is under way; this page tells how it ends.")
        self._notices[key] = notice
        while len(self._notices) > _MOST:
            self._notices.popitem(last=False)
        task = asyncio.create_task(_settle(notice, action, begin, changed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task], timeout=_WAIT_SECONDS)
        return key

    def find(self, key: str, who: str, source: str) -> Notice | None:
        """The notice of that key, if it is theirs, and of that source."""
        notice = self._notices.get(key)
        return notice if notice and (notice.who, notice.source) == (who, source) else None


async def _settle(
    notice: Notice, action: str, begin: Callable[[], Awaitable[Any]], changed: Callable[[], None]
) -> None:
    try:
        answer = await begin()
    except (FleetError, OSError, PyMongoError) as error:
        notice.tone, notice.text = "bad", f"{action.capitalize()} failed: {error}"
    else:
        told = answer if isinstance(answer, dict) else msgspec.to_builtins(answer)
        notice.tone = "good"
        if told.get("outcome") == "failed":
            notice.tone, notice.text = "bad", f"{action.capitalize()} failed: {told.get('reason')}"
        elif told.get("outcome") == "nothing to do":
            notice.text = _NOTHING.get(action, "Nothing to do.")
        else:
            notice.text = _DONE[action].format(**{"documents": 0, "rejects": 0, "release": "", **told})
    changed()
