"""The pages of what is being done: all jobs, one job with its log, the hub's log, and how the hub is set up."""

import asyncio
from functools import partial
from typing import Any

from hub.api.jobs import HistoryQuery, LogQuery, find_job, list_history, look
from hub.log import log_path, read_log
from hub.looks import take_look
from hub.views.configuration import list_settings
from hub.views.jobs import look_at_job
from hub.web.pages.look import LookPage
from hub.web.pages.page import PageHandler
from hub.web.states import outcome_tone
from hub.worklist import Job

_CRAWLS_SHOWN = 20
_LINES_SHOWN = 500
_TONES = {"done": "good", "failed": "bad", "running": "busy", "cancelled": "warn"}


class JobsPage(LookPage):
    """``GET /jobs``"""

    template = "jobs.html"
    here = "/jobs"

    async def get(self) -> None:
        query = self.read_parameters(HistoryQuery)

        async def found() -> dict[str, Any]:
            now, ended, overview = await asyncio.gather(
                asyncio.to_thread(look, self.server),
                asyncio.to_thread(list_history, query.source, min(query.last, 500)),
                asyncio.to_thread(self.server.overviews.read),
            )
            standings = [it.standing for it in overview.sources if it.standing and it.standing.run_ended]
            return {
                "look": now,
                "ended": ended,
                "crawls": sorted(standings, key=lambda it: it.run_ended, reverse=True)[:_CRAWLS_SHOWN],
                "outcome_tone": outcome_tone,
                "query": query,
                "tones": _TONES,
                "memory": sum(process.bytes for process in now.processes),
                "took": _took,
            }

        await self.respond(found)


class JobPage(LookPage):
    """``GET /jobs/JOB``"""

    template = "job.html"
    here = "/jobs"

    async def get(self, job: str) -> None:
        await self.respond(lambda: asyncio.to_thread(self._values, job))

    def _values(self, name: str) -> dict[str, Any]:
        job = find_job(self.server, name)
        part = None
        if self.may("operator"):
            part = read_log(log_path(self.server.settings), job=job.job, last=_LINES_SHOWN)
        return {"job": job, "look": look_at_job(job), "log": part, "tones": _TONES, "took": _took}


class LogPage(LookPage):
    """``GET /log``"""

    template = "log.html"
    here = "/jobs"
    needs = "operator"

    async def get(self) -> None:
        query = self.read_parameters(LogQuery)
        path = log_path(self.server.settings)

        async def found() -> dict[str, Any]:
            order = partial(read_log, path, level=query.level, text=query.text, job=query.job, last=query.last)
            return {"query": query, "log": await take_look(order)}

        await self.respond(found)


class ConfigurationPage(PageHandler):
    """``GET /configuration``"""

    here = "/jobs"
    needs = "admin"

    async def get(self) -> None:
        self.render_page("configuration.html", settings=list_settings(self.server.settings))


def _took(job: Job) -> float | None:
    """How many seconds it took."""
    return look_at_job(job).seconds
