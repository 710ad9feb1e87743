"""The spider that crawls any site that is described by ``pages.toml``. It knows no site."""

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import partial
from typing import Any

import orjson
import scrapy
from scrapy.http import Response, TextResponse

from crawlers.runtime.errors import LimitError, PageError
from crawlers.runtime.pages.checks import hosts_of
from crawlers.runtime.pages.definition import Definition
from crawlers.runtime.pages.page_reader import Link, PageReader, can_be_followed
from crawlers.runtime.pages.pagers import Turn
from crawlers.runtime.pages.selecting import Scope

logger = logging.getLogger(__name__)

PARSE = "parse_"


class PagesSpider(scrapy.Spider):
    """Follows a definition from its start pages, by links and pagers, and yields the records that it describes."""

    definition: Definition

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.allowed_domains = hosts_of(self.definition)
        self._readers = {name: PageReader(self.definition, name) for name in self.definition.pages}
        self._counts: Counter[str] = Counter()
        # Of each pager under way, by the URL of its first page: what its pages held.
        self._held: dict[tuple[str, str], set[bytes]] = {}

    async def start(self) -> AsyncIterator[Any]:
        for name, reader in self._readers.items():
            for url in reader.starts:
                # All that a list of values leads to are known from the start.
                planned = reader.page.starts != reader.starts and len(reader.starts) > 1
                yield self._request(url, name, {}, Turn(url, planned=planned))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """``parse_NAME`` parses a page of the kind NAME, for recorded cases that start there."""
        if name.startswith(PARSE) and name.removeprefix(PARSE) in self.definition.pages:
            return partial(self.parse_page, page=name.removeprefix(PARSE))
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def parse(self, response: Response, **_: Any) -> Iterator[Any]:
        """A page of the first kind."""
        yield from self.parse_page(response, next(iter(self.definition.pages)))

    def parse_page(
        self, response: Response, page: str, fields: dict[str, Any] | None = None, turn: Turn | None = None
    ) -> Iterator[Any]:
        """The records of a page, requests for the pages that it links to, and for those that its pager leads to."""
        reader, turn = self._readers[page], Turn(*turn) if turn else Turn(response.url)  # of a reject, it is a list
        self._count(reader, response.url)
        if reader.page.pager and response.status in reader.page.pager.end_statuses and turn.number:
            if turn.planned:
                raise PageError(response.url, f"HTTP {response.status}, but the page must be there", "pager")
            return
        if reader.page.encoding and isinstance(response, TextResponse):
            response = response.replace(encoding=reader.page.encoding)
        scope = Scope(response, fields or {}, reader.labelled)
        try:
            reader.require_checks(scope)
            fault = yield from self._read(reader, scope, turn)
        except (PageError, ValueError) as error:
            if reader.leads_on(turn):
                self._lost(response.url)
            if isinstance(error, PageError):
                raise
            raise PageError(response.url, str(error), page) from error  # a processor of links or of a check
        if fault:
            raise fault

    def _read(self, reader: PageReader, scope: Scope, turn: Turn) -> Generator[Any, None, PageError | None]:
        """Gives what the page holds and where it leads; returns what is wrong with it, where it led on all the same."""
        records, links, faults = reader.read(scope)
        if len(links) > reader.page.max_links:
            allowed = f"pages.{reader.name}.max_links allows {reader.page.max_links}"
            raise PageError(scope.url, f"has {len(links)} links; {allowed}. None was followed", "max_links")
        empty, held = not (records or links or faults), [records, [(link.page, link.url) for link in links]]
        if reader.pager and turn.number and self._is_end(reader, scope, turn, empty, held):
            return None
        yield from records
        yield from self._follow(scope.url, links)
        goes_on = False
        for request in self._next_pages(reader, scope, turn, held):
            goes_on = True
            yield request
        if faults:
            return PageError(scope.url, "; ".join(map(str, faults)), faults[0].field)
        if empty and not reader.page.may_be_empty and (turn.planned or not turn.number or goes_on):
            what = " or ".join([*(["a record"] if reader.record else []), *(["a link"] if reader.links else [])])
            error = PageError(
                scope.url, f"has not {what}: has the site changed? (may_be_empty lets it pass)", reader.name
            )
            if goes_on:
                return error
            raise error
        return None

    def _follow(self, page_url: str, links: list[Link]) -> Iterator[scrapy.Request]:
        """Requests for the links; those that are no web page's are counted."""
        unfollowable = []
        for link in links:
            if can_be_followed(link.url):
                yield self._request(link.url, link.page, link.fields, Turn(link.url))
            else:
                unfollowable.append(link.url)
        if unfollowable:
            message = f"{len(unfollowable)} links lead to no web page, e.g. {unfollowable[0][:200]!r}"
            if run := _run_of(self):
                run.note_unfollowable(page_url, message)
            else:
                logger.warning("%s: %s", page_url, message)

    def _is_end(self, reader: PageReader, scope: Scope, turn: Turn, empty: bool, held: list[Any]) -> bool:
        """Whether a page after the first is none of its pager's any more: empty, or an earlier one once more."""
        assert reader.pager is not None
        if empty:
            return reader.pager.ends_when_empty
        repeats = self._repeats(reader, turn, held)
        if repeats and turn.planned:
            raise PageError(scope.url, "repeats an earlier page: the site has fewer pages than it says", "pager")
        return repeats

    def _next_pages(self, reader: PageReader, scope: Scope, turn: Turn, held: list[Any]) -> Iterator[scrapy.Request]:
        if reader.pager is None:
            return
        if not turn.number:
            self._repeats(reader, turn, held)
        most = reader.pager.pager.max_pages
        for step in reader.pager.after(scope, turn):
            if step.turn.number >= most:
                raise LimitError(
                    scope.url,
                    f"its pager goes on after {most} pages from {turn.first}, all that pages.{reader.name}.pager.max_pages allows",
                    "max_pages",
                )
            yield self._request(step.url, reader.name, scope.inherited, step.turn)

    def _repeats(self, reader: PageReader, turn: Turn, held: list[Any]) -> bool:
        """Whether another page of the pager held the same records and links; from now on, this one did."""
        known = self._held.setdefault((reader.name, turn.first), set())
        digest = hashlib.blake2b(orjson.dumps(held, default=str), digest_size=8).digest()
        if digest in known:
            return True
        known.add(digest)
        return False

    def _request(self, url: str, page: str, fields: dict[str, Any], turn: Turn) -> scrapy.Request:
        reader = self._readers[page]
        meta: dict[str, Any] = {"leads_on": reader.leads_on(turn)}
        if reader.page.pager and reader.page.pager.end_statuses and turn.number:
            meta["handle_httpstatus_list"] = reader.page.pager.end_statuses
        if reader.page.refetch_days:
            meta["refetch_days"] = reader.page.refetch_days
        if reader.page.rendering:
            meta["rendering"] = reader.page.rendering
        return scrapy.Request(url, self.parse_page, cb_kwargs={"page": page, "fields": fields, "turn": turn}, meta=meta)

    def _count(self, reader: PageReader, url: str) -> None:
        self._counts[reader.name] += 1
        most = reader.page.max_pages
        if self._counts[reader.name] > most:
            raise LimitError(
                url, f"there are more pages than pages.{reader.name}.max_pages = {most} allows", "max_pages"
            )

    def _lost(self, url: str) -> None:
        """Nobody knows how much lies beyond the page that failed, so nothing can be published without it."""
        if run := _run_of(self):
            run.tally.failed_starts.append(url)


def make_spider(name: str, definition: Definition) -> type[PagesSpider]:
    """The spider class of the source ``name``."""
    return type("DefinedSpider", (PagesSpider,), {"name": name, "definition": definition})


def _run_of(spider: scrapy.Spider) -> Any:
    """The run that the spider belongs to; None in a recorded case."""
    return getattr(spider.__dict__.get("crawler"), "fleet_run", None)
