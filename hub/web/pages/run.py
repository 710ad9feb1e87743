"""``GET /sources/NAME/runs/RUN``: how one crawl went, why, and its log, as it is written."""

import asyncio
from typing import Any

from crawlers.runtime.errors import UsageError
from crawlers.runtime.heartbeat import read_heartbeat
from crawlers.runtime.release import release_folder, state_folder
from crawlers.runtime.run_log import LogPart, read_run_log
from hub.api.runs import RunLogQuery
from hub.views.runs import find_run
from hub.web.formats import parse_moment
from hub.web.pages.look import LookPage
from hub.web.states import outcome_tone

_LINES_SHOWN = 1_000
_BYTES_READ = 4 << 20


class RunPage(LookPage):
    template = "run.html"

    async def get(self, name: str, run: str) -> None:
        query = self.read_parameters(RunLogQuery)
        await self.answer(name, lambda: asyncio.to_thread(self._values, name, run, query))

    def _values(self, name: str, run: str, query: RunLogQuery) -> dict[str, Any]:
        shared_dir = self.server.settings.runtime.shared_dir
        entry = find_run(self.server.settings, name, run)
        heartbeat = read_heartbeat(release_folder(shared_dir, name))
        log = None
        if self.may("reader"):
            try:
                log = _read_to_end(name, shared_dir, entry.run, query)
            except UsageError:  # of a run before logs were kept, or so long ago that it is gone
                log = None
        started, ended = parse_moment(entry.started), parse_moment(entry.ended)
        return {
            "name": name,
            "run": entry,
            "took": (ended - started).total_seconds() if started and ended else None,
            "heartbeat": heartbeat if heartbeat and heartbeat.run == entry.run else None,
            "tone": outcome_tone(entry.outcome),
            "log": log,
            "query": query,
        }


def _read_to_end(name: str, shared_dir: Any, run: str, query: RunLogQuery) -> LogPart:
    """The last lines of the log, and where it ends."""
    folder = state_folder(shared_dir, name)
    whole = part = read_run_log(folder, run, query.after, _BYTES_READ, query.level)
    while part.more:
        part = read_run_log(folder, run, part.next_byte, _BYTES_READ, query.level)
        whole.lines = [*whole.lines, *part.lines][-_LINES_SHOWN:]
        whole.next_byte, whole.left_out = part.next_byte, whole.left_out + part.left_out
    whole.lines = whole.lines[-_LINES_SHOWN:]
    return whole
