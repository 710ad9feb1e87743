"""``GET /``: the fleet, one row a source, what needs attention first; every view of it has an address."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from crawlers.runtime.standing import Standing
from hub.api.handlers import IndexHandler
from hub.web.formats import ago, number, parse_moment, plain, span
from hub.web.overview import SourceView
from hub.web.pages.page import PageHandler
from hub.web.pictures import bar, sparkline
from hub.web.states import MEANINGS, ORDER, outcome_tone, tone_of

# So many rows are a page: more are read by nobody at a glance, and take browsers long to lay out.
ROWS = 100
CALLING = "attention"
_LONGEST_SEARCH = 200


def _moment_key(text: str) -> float:
    at = parse_moment(text)
    return at.timestamp() if at else 0.0


def _standing_key(name: str) -> Callable[[SourceView], Any]:
    return lambda it: getattr(it.standing, name, None) if it.standing else None


# What rows can be sorted by; what gives None comes last, whichever way.
SORTS: dict[str, Callable[[SourceView], Any]] = {
    CALLING: lambda it: (ORDER.index(it.state), -_moment_key(it.since) if it.is_calling else it.name),
    "name": lambda it: it.name,
    "crawl": lambda it: _moment_key(_standing_key("run_started")(it)) or None,
    "age": lambda it: _standing_key("age_seconds")(it),
    "release": lambda it: _moment_key(_standing_key("released")(it)) or None,
    "documents": lambda it: it.status["documents"],
    "change": lambda it: (
        (it.status["changes"] or {}).get("added", 0) - (it.status["changes"] or {}).get("removed", 0)
        if it.status["changes"]
        else None
    ),
    "size": lambda it: it.size_bytes,
    "next": lambda it: _moment_key(_standing_key("next_run")(it)) or None,
}


@dataclass(frozen=True)
class View:
    """What of the fleet is asked for: ``state`` (one of ``ORDER``, ``attention``, or empty: all), ``kind``, ``text`` to search for,
    ``sort`` (one of ``SORTS``, with ``-`` before it the other way round), and which ``page``, from 1.
    """

    state: str = ""
    kind: str = ""
    text: str = ""
    sort: str = CALLING
    page: int = 1

    def address(self, **changes: Any) -> str:
        """The query of this view with ``changes``; what goes without saying is left out. Another filter begins at page 1."""
        wanted = {"page": 1, **changes}
        found = {key: wanted.get(key, getattr(self, key)) for key in ("state", "kind", "text", "sort", "page")}
        query = urlencode({key: value for key, value in found.items() if value != getattr(View, key)})
        return f"?{query}" if query else "?"

    def sorted_by(self, key: str) -> str:
        """The address of this view sorted by ``key``; if it is that already, the other way round."""
        return self.address(sort=f"-{key}" if self.sort == key else key)

    def direction(self, key: str) -> str:
        """``ascending``, ``descending`` or ``none``, for ``aria-sort``."""
        return {key: "ascending", f"-{key}": "descending"}.get(self.sort, "none")

    def filter(self, sources: Iterable[SourceView], *, any_state: bool = False) -> list[SourceView]:
        words = self.text.casefold().split()
        return [
            it
            for it in sources
            if (any_state or not self.state or (it.is_calling if self.state == CALLING else it.state == self.state))
            and (not self.kind or (it.manifest and it.manifest.kind == self.kind))
            and all(word in _searched(it) for word in words)
        ]

    def arrange(self, sources: list[SourceView]) -> list[SourceView]:
        """``sources`` in the order asked for."""
        key = SORTS[self.sort.removeprefix("-")]
        known = [it for it in sources if key(it) is not None]
        rest = [it for it in sources if key(it) is None]
        return sorted(known, key=key, reverse=self.sort.startswith("-")) + sorted(rest, key=lambda it: it.name)


class FleetPage(PageHandler, IndexHandler):
    """``GET /``: the page for browsers, for programs where to look."""

    async def get(self) -> None:
        if "text/html" not in self.request.headers.get("Accept", ""):
            await super().get()
            return
        overview = await asyncio.to_thread(self.server.overviews.read)
        view = self._view()
        found = view.filter(overview.sources)
        pages = max(1, -(-len(found) // ROWS))
        first = (min(view.page, pages) - 1) * ROWS
        alike = view.filter(overview.sources, any_state=True)
        self.render_page(
            "fleet.html",
            overview=overview,
            view=view,
            found=found,
            rows=view.arrange(found)[first : first + ROWS],
            pages=pages,
            counts=Counter(it.state for it in alike),
            calling=sum(it.is_calling for it in alike),
            alike=len(alike),
            kinds=sorted({it.manifest.kind for it in overview.sources if it.manifest}),
            documents=sum(it.status["documents"] or 0 for it in overview.sources),
            states=ORDER,
            sorts=SORTS,
            tone_of=tone_of,
            outcome_tone=outcome_tone,
            meanings=MEANINGS,
            change=_change,
            next_crawl=_next_crawl,
            age_bar=_age_bar,
            trend=_trend,
        )

    def _view(self) -> View:
        sort = self._asked("sort")
        page = self._asked("page")
        state = self._asked("state")
        return View(
            state=state if state in (*ORDER, CALLING) else "",
            kind=self._asked("kind"),
            text=self._asked("text"),
            sort=sort if sort.removeprefix("-") in SORTS else CALLING,
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 and int(page) else 1,
        )

    def _asked(self, name: str) -> str:
        return str(self.get_query_argument(name, ""))[:_LONGEST_SEARCH]


def _searched(source: SourceView) -> str:
    manifest = source.manifest
    told = (manifest.title, manifest.description, manifest.maintainer, manifest.url) if manifest else ()
    return " ".join((source.name, *told, source.reason)).casefold()


def _trend(source: SourceView) -> str:
    """HTML: the sparkline of the records, with words for it."""
    records = source.records
    if not records:
        return ""
    first, last = number(records[0]), number(records[-1])
    return sparkline(records, plain(f"Records of the last {len(records)} releases: from {first} to {last}"))


def _age_bar(standing: Standing) -> str:
    """HTML: how much of the time within which it is expected has gone."""
    if not standing.expected_seconds or standing.age_seconds is None:
        return ""
    part = standing.age_seconds / standing.expected_seconds
    tone = "bad" if part > 1 else "warn" if standing.state == "due" else "good"
    return bar(
        part, f"collected {span(standing.age_seconds)} ago, expected within {span(standing.expected_seconds)}", tone
    )


def _next_crawl(source: SourceView, now: datetime) -> str:
    """HTML: when it is crawled next."""
    standing = source.standing
    if standing is None or standing.state == "running":
        return "–" if standing is None else "running"
    if standing.ordered:
        return "within a minute"
    at = parse_moment(standing.next_run)
    if at is None:
        return "paused" if standing.paused else "at once"
    return ago(at, now) if at > now else "due"


def _change(source: SourceView) -> str:
    """``+1,133 −2``: what the archived release added, removed and changed, where that is more than nothing."""
    changes = source.status["changes"]
    if not changes:
        return ""
    if changes["against"] is None:
        return "first release"
    told = [
        f"{sign}{changes[key]:,}" for sign, key in (("+", "added"), ("−", "removed"), ("~", "changed")) if changes[key]
    ]
    return " ".join(told) or "no change"
