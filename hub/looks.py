"""Threads for what people look at and what may take seconds: queries, samples, rejects, logs. They hold up no dump, no status and no other page."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from crawlers.runtime.errors import FleetError

_THREADS = 4
_MOST_WAITING = 40
_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="look")
_asked = 0

Parameters = ParamSpec("Parameters")
Found = TypeVar("Found")


async def take_look(
    find: Callable[Parameters, Found], *arguments: Parameters.args, **options: Parameters.kwargs
) -> Found:
    """What ``find`` gives, in one of these threads.

    :raises FleetError: too many wait for one already.
    """
    global _asked
    if _asked >= _THREADS + _MOST_WAITING:
        raise FleetError("too many look at documents, rejects and logs at this moment: try again in a few seconds")
    _asked += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, lambda: find(*arguments, **options))
    finally:
        _asked -= 1
