"""When each source was last collected: ``GET /fleet/last-collected``, for everybody. No reasons, which could tell what is nobody's business."""

import asyncio
from datetime import UTC, datetime

import msgspec

from hub.api.base import FleetHandler
from hub.api.description import described
from hub.web.overview import Overview


class LastCollected(msgspec.Struct, kw_only=True):
    """``collected``: when a crawl last saw the whole source, ISO 8601 in UTC; null: never. ``records``: of its published release."""

    name: str
    title: str
    url: str
    license_url: str
    collected: str | None
    age_seconds: int | None
    records: int | None


class LastCollectedHandler(FleetHandler):
    """``GET /fleet/last-collected``"""

    needs = None

    @described("When each source was last collected, for everybody.", answer=list[LastCollected])
    async def get(self) -> None:
        overview = await asyncio.to_thread(self.server.overviews.read)
        self.answer_json(msgspec.to_builtins(find_last_collected(overview, datetime.now(UTC))))


def find_last_collected(overview: Overview, now: datetime) -> list[LastCollected]:
    """Of each source that can be served, by name."""
    found = []
    for view in overview.sources:
        if view.manifest is None or view.standing is None:
            continue
        standing, manifest = view.standing, view.manifest
        at = datetime.fromisoformat(standing.collected) if standing.collected else None
        live = view.status["documents"] if view.status["live"] else None
        found.append(
            LastCollected(
                name=view.name,
                title=manifest.title,
                url=manifest.url,
                license_url=manifest.license_url,
                collected=standing.collected or None,
                age_seconds=int((now - at).total_seconds()) if at else None,
                records=standing.records if standing.records is not None else live,
            )
        )
    return sorted(found, key=lambda it: it.name)
