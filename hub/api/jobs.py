"""The endpoints of what the hub and its crawlers are doing, of the hub's log, and of how the hub is set up."""

import asyncio
from typing import Annotated, Any

import msgspec

from crawlers.runtime.errors import UsageError
from hub.api.base import FleetHandler
from hub.api.description import described
from hub.api.runs import Level
from hub.api.tail import TailHandler
from hub.books import open_books
from hub.log import HubLogPart, log_path, read_log
from hub.looks import take_look
from hub.views.configuration import Setting, list_settings
from hub.views.jobs import JobsLook, look_at_jobs
from hub.worklist import Job


class HistoryQuery(msgspec.Struct, forbid_unknown_fields=True):
    source: Annotated[str, msgspec.Meta(max_length=80, description="Of this source alone.")] = ""
    last: Annotated[int, msgspec.Meta(ge=1, le=1_000, description="So many, the latest.")] = 100


class LogQuery(msgspec.Struct, forbid_unknown_fields=True):
    level: Annotated[Level, msgspec.Meta(description="Lines of this level and above.")] = "INFO"
    text: Annotated[str, msgspec.Meta(max_length=300, description="With this text in them.")] = ""
    job: Annotated[str, msgspec.Meta(max_length=100, description="Of this job.")] = ""
    after: Annotated[str, msgspec.Meta(max_length=100, description="Those after this cursor.")] = ""
    last: Annotated[int, msgspec.Meta(ge=1, le=5_000, description="So many, the latest.")] = 500


class JobsHandler(FleetHandler):
    """``GET /fleet/jobs``"""

    needs = "visitor"

    @described("What is being done now, and what waits: jobs of the hub, crawls, orders; and the hub's processes.", answer=JobsLook)  # fmt: skip
    async def get(self) -> None:
        await self.respond(lambda: asyncio.to_thread(look, self.server))


class JobHistoryHandler(FleetHandler):
    """``GET /fleet/jobs/history``"""

    needs = "visitor"

    @described("Jobs of the hub that ended, the latest first.", parameters=HistoryQuery, answer=list[Job])
    async def get(self) -> None:
        query = self.read_parameters(HistoryQuery)
        await self.respond(lambda: asyncio.to_thread(list_history, query.source, query.last))


class JobHandler(FleetHandler):
    """``GET /fleet/jobs/JOB``"""

    needs = "visitor"

    @described("One job of the hub, under way or ended.", answer=Job)
    async def get(self, job: str) -> None:
        await self.respond(lambda: asyncio.to_thread(find_job, self.server, job))


class StopHandler(FleetHandler):
    """``POST /fleet/jobs/JOB/stop``"""

    needs = "operator"

    @described("Stop a job: one that waits, or an upload, which leaves the old collection live. 409 where that is not safe.", answer=Job)  # fmt: skip
    async def post(self, job: str) -> None:
        async def stopped() -> Job:
            return await asyncio.to_thread(self.server.worklist.stop, job, self.who)

        await self.respond(stopped)


class LogHandler(FleetHandler):
    """``GET /fleet/log``"""

    needs = "operator"

    @described("Lines of the hub's log, errors with their stack.", parameters=LogQuery, answer=HubLogPart)
    async def get(self) -> None:
        query = self.read_parameters(LogQuery)
        await self.respond(lambda: take_look(_read, self.server, query, query.after))


class LogTail(TailHandler):
    """``GET /fleet/log/events``"""

    needs = "operator"

    @described("Lines of the hub's log as they are written.", parameters=LogQuery, content="text/event-stream")
    async def get(self) -> None:
        query = self.read_parameters(LogQuery)
        cursor = self.last_event or query.after

        def more() -> tuple[list[Any], str]:
            nonlocal cursor
            part = _read(self.server, query, cursor)
            cursor = part.cursor
            return part.lines, cursor

        await self.follow(more)


class ConfigurationHandler(FleetHandler):
    """``GET /fleet/configuration``"""

    needs = "admin"

    @described("How the hub is set up; no secret is told.", answer=list[Setting])
    async def get(self) -> None:
        self.answer_json(list_settings(self.server.settings))


def look(server: Any) -> JobsLook:
    """What is being done now."""
    names = [classes.source.name for classes in server.sources]
    return look_at_jobs(server.settings.runtime.shared_dir, names, server.worklist.list_open())


def list_history(source: str, last: int) -> list[Job]:
    """The jobs that ended, as the books know them, the latest first."""
    return [msgspec.convert(entry, Job, strict=False) for entry in open_books().find_jobs(source, last)]


def find_job(server: Any, name: str) -> Job:
    """:raises UsageError: there is no such job."""
    jobs = [*server.worklist.list_open(), *server.worklist.list_ended()]
    job = next((job for job in jobs if job.job == name), None)
    if job is None and (entry := open_books().find_job(name)):
        job = msgspec.convert(entry, Job, strict=False)
    if job is None:
        raise UsageError(f"no job is called {name[:80]!r}. `fleet jobs` lists them")
    return job


def _read(server: Any, query: LogQuery, cursor: str) -> HubLogPart:
    path = log_path(server.settings)
    return read_log(path, cursor=cursor, level=query.level, text=query.text, job=query.job, last=query.last)
