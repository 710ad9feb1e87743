"""``GET /last-collected``: when each source was last collected, for everybody: nothing of reasons, people or machines."""

import asyncio
from typing import Any

from hub.web.overview import SourceView
from hub.web.pages.page import PageHandler


def _records_of(source: SourceView) -> int | None:
    """Records of the release that is published; of a foreign crawler's, which doesn't tell, the documents that are live."""
    standing, status = source.standing, source.status
    if standing and standing.records is not None:
        return standing.records
    return status["documents"] if status["live"] else None


_SORTS = {
    "name": lambda it: it.name,
    "age": lambda it: it.standing.collected,
    "records": lambda it: _records_of(it) or 0,
}


class LastCollectedPage(PageHandler):
    """``GET /last-collected``; ``?sort=``: ``name``, ``age`` or ``records``, with ``-`` before it the other way round."""

    needs = None
    here = "/last-collected"

    async def get(self) -> None:
        overview = await asyncio.to_thread(self.server.overviews.read)
        sort = str(self.get_query_argument("sort", "name"))
        key: Any = _SORTS.get(sort.removeprefix("-"), _SORTS["name"])
        served = [it for it in overview.sources if it.standing]
        rows = sorted(served, key=key, reverse=sort.startswith("-"))
        self.render_page("last_collected.html", rows=rows, sort=sort, records_of=_records_of)
