"""Comparisons that people look at: each is made once, by a worker, while whoever asked may wait, or come again."""

import asyncio
from collections import OrderedDict
from typing import Any

from hub.keeper import Keeper

_REMEMBERED = 20
_WAIT_SECONDS = 0.2

Asked = tuple[str, str, str, int]


class Diffs:
    """``ask`` again for what was not ready: an archived release never changes, so what was found stays true."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._tasks: OrderedDict[Asked, asyncio.Task[dict[str, Any]]] = OrderedDict()

    async def ask(self, name: str, old: str, new: str, examples: int, by: str) -> dict[str, Any] | None:
        """What changed from the release ``old`` to ``new`` (release strings, or ``held``); None as long as that is being found out.

        :raises FleetError: it can't be; asking again tries again.
        """
        asked = (name, old, new, examples)
        task = self._tasks.get(asked)
        if task is None:
            task = self._tasks[asked] = asyncio.create_task(self._keeper.diff(name, (old, new), examples, by))
            task.add_done_callback(_look_at_error)
            while len(self._tasks) > _REMEMBERED:
                self._tasks.popitem(last=False)
        await asyncio.wait([task], timeout=_WAIT_SECONDS)
        if not task.done():
            return None
        if task.exception():
            del self._tasks[asked]
        return task.result()


def _look_at_error(task: "asyncio.Task[Any]") -> None:
    """What went wrong is told to who comes for it: nobody may."""
    if not task.cancelled():
        task.exception()
