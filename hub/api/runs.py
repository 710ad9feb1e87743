"""The endpoints that tell of a source's runs, and give the log of one, as it is written."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec

from crawlers.runtime.history import RunEntry
from crawlers.runtime.release import state_folder
from crawlers.runtime.run_log import LogPart, read_run_log
from hub.api.base import SourceHandler
from hub.api.description import described
from hub.api.tail import TailHandler
from hub.views.runs import find_run, list_runs

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class RunsQuery(msgspec.Struct, forbid_unknown_fields=True):
    last: Annotated[int, msgspec.Meta(ge=1, le=1_000, description="So many, the newest.")] = 50


class RunLogQuery(msgspec.Struct, forbid_unknown_fields=True):
    after: Annotated[int, msgspec.Meta(ge=0, le=1 << 53, description="From this byte of the log on: the `next_byte` of the part before.")] = 0  # fmt: skip
    level: Annotated[Level, msgspec.Meta(description="Lines of this level and above.")] = "DEBUG"


class RunsHandler(SourceHandler):
    """``GET /fleet/sources/NAME/runs``"""

    needs = "visitor"

    @described("How the crawls of the source went, the newest first.", parameters=RunsQuery, answer=list[RunEntry])
    async def get(self, name: str) -> None:
        last = self.read_parameters(RunsQuery).last
        await self.answer(name, lambda: asyncio.to_thread(list_runs, self.server.settings, name, last))


class RunHandler(SourceHandler):
    """``GET /fleet/sources/NAME/runs/RUN``"""

    needs = "visitor"

    @described("How one crawl went; `last` is the newest.", answer=RunEntry)
    async def get(self, name: str, run: str) -> None:
        await self.answer(name, lambda: asyncio.to_thread(find_run, self.server.settings, name, run))


class RunLogHandler(SourceHandler):
    """``GET /fleet/sources/NAME/runs/RUN/log``"""

    needs = "reader"

    @described("Lines of the crawl's log, part after part.", parameters=RunLogQuery, answer=LogPart)
    async def get(self, name: str, run: str) -> None:
        query = self.read_parameters(RunLogQuery)
        folder = state_folder(self.server.settings.runtime.shared_dir, name)
        await self.answer(name, lambda: asyncio.to_thread(read_run_log, folder, run, query.after, level=query.level))


class RunLogTail(TailHandler):
    """``GET /fleet/sources/NAME/runs/RUN/log/events``"""

    needs = "reader"

    @described("Lines of the crawl's log as they are written.", parameters=RunLogQuery, content="text/event-stream")
    async def get(self, name: str, run: str) -> None:
        query = self.read_parameters(RunLogQuery)
        folder = state_folder(self.server.settings.runtime.shared_dir, name)
        at = query.after

        def more() -> tuple[list[Any], str]:
            nonlocal at
            part = read_run_log(folder, run, at, level=query.level)
            at = part.next_byte
            return part.lines, str(at)

        async def nothing() -> None:
            return None

        await self.answer(name, nothing)
        await self.follow(more)
