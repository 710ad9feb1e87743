"""The pages of one release: what it counts and how good it is, its rejects, and what changed from one to another."""

import asyncio
from typing import Annotated, Any

import msgspec

from crawlers.runtime.history import RunEntry
from crawlers.runtime.schema.profiles import PROFILES
from hub.api.release import RejectsQuery, find_live
from hub.books import open_books
from hub.dataload.archive import list_archived
from hub.looks import take_look
from hub.settings import HubSettings
from hub.views.rejects import RejectGroups, group_rejects, list_rejects
from hub.views.releases import ReleaseLook, look_at_release
from hub.views.runs import list_runs
from hub.web.formats import parse_moment
from hub.web.pages.look import LookPage

_FIELDS_SHOWN = 25
_RELEASES_OFFERED = 100
_EXAMPLES = 10


class DiffQuery(msgspec.Struct, forbid_unknown_fields=True):
    from_: Annotated[str, msgspec.Meta(max_length=64)] = msgspec.field(default="", name="from")
    to: Annotated[str, msgspec.Meta(max_length=64)] = ""


class ReleasePage(LookPage):
    """``GET /sources/NAME/releases/RELEASE``"""

    template = "release.html"

    async def get(self, name: str, release: str) -> None:
        settings = self.server.settings

        async def found() -> dict[str, Any]:
            live = await find_live(name)
            look = await asyncio.to_thread(look_at_release, settings, name, release, live)
            return await asyncio.to_thread(self._values, name, look, live)

        await self.answer(name, found)

    def _values(self, name: str, look: ReleaseLook, live: str | None) -> dict[str, Any]:
        settings = self.server.settings
        rejects: list[RejectGroups] = []
        if self.may("reader"):
            word = "held" if "held" in look.places else look.release
            rejects = [group_rejects(settings, name, word, of, live) for of in ("crawl", "upload")]
        description = look.description
        coverage = list(description.coverage.items()) if description else []
        return {
            "look": look,
            "description": description,
            "address": "held" if "held" in look.places else look.release,
            "others": _others(settings, name, look),
            "shown": coverage[:_FIELDS_SHOWN],
            "rest": coverage[_FIELDS_SHOWN:],
            "lost": [field for field, points in look.coverage_change.items() if field not in dict(coverage)],
            "upload_fault": _upload_fault(name, look.release),
            "rejects": [it for it in rejects if it.groups],
            "profiles": PROFILES,
            "run": _run_of(settings, name, look.release),
            "took": _seconds(description.started, description.finished) if description else None,
        }


class RejectsPage(LookPage):
    """``GET /sources/NAME/releases/RELEASE/rejects``: rejects whole, a group or all; ``unpublished`` stands for the last run without release."""

    template = "rejects.html"
    needs = "reader"

    async def get(self, name: str, release: str) -> None:
        query = self.read_parameters(RejectsQuery)
        asked = msgspec.structs.asdict(query)
        of = asked.pop("of")

        async def found() -> dict[str, Any]:
            live = await find_live(name)
            settings = self.server.settings
            groups = await take_look(group_rejects, settings, name, release, of, live)
            listed = await take_look(lambda: list_rejects(settings, name, release, of, live, **asked))
            return {"name": name, "address": release, "query": query, "groups": groups, "listed": listed}

        await self.answer(name, found)


class DiffPage(LookPage):
    """``GET /sources/NAME/diff?from=…&to=…``; made by a worker: until it is ready the page says so, and comes again by itself."""

    template = "diff.html"
    needs = "reader"

    async def get(self, name: str) -> None:
        query = self.read_parameters(DiffQuery)

        async def found() -> dict[str, Any]:
            live = await find_live(name)
            settings = self.server.settings
            looks = [
                await asyncio.to_thread(look_at_release, settings, name, it, live) for it in (query.from_, query.to)
            ]
            old, new = (it.release for it in looks)
            diff = await self.server.diffs.ask(name, old, new, _EXAMPLES, self.who)
            others = await asyncio.to_thread(_others, settings, name, None)
            return {"name": name, "old": looks[0], "new": looks[1], "diff": diff, "others": others}

        await self.answer(name, found)


def _others(settings: HubSettings, name: str, look: ReleaseLook | None) -> list[str]:
    """Releases that ``look`` can be compared with, the newest first."""
    texts = [it.release.text for it in list_archived(settings.archive_dir / name)][::-1][:_RELEASES_OFFERED]
    return [text for text in texts if look is None or text != look.release]


def _run_of(settings: HubSettings, name: str, release: str) -> RunEntry | None:
    """The run that made the release, if the history goes so far back."""
    return next((run for run in list_runs(settings, name, 200) if run.release == release and run.run), None)


def _upload_fault(name: str, release: str) -> str:
    """Why the last upload of the source failed, if it was of this release; else empty."""
    upload = open_books().find(name).get("upload", {}).get("jobs", {}).get(name, {})
    failed = upload.get("status") == "failed" and upload.get("release") == release
    return str(upload.get("err") or "") if failed else ""


def _seconds(start: str, end: str) -> float | None:
    started, ended = parse_moment(start), parse_moment(end)
    return (ended - started).total_seconds() if started and ended else None
