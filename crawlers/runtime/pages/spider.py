"""The spider that crawls any site that is described by ``pages.toml``. It knows no site."""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import orjson
import scrapy
from scrapy.exceptions import CloseSpider
from scrapy.http import Response, TextResponse
from w3lib.url import safe_url_string

from crawlers.runtime.errors import PageError
from crawlers.runtime.fields import filled
from crawlers.runtime.http import is_http_url
from crawlers.runtime.pages.checks import hosts_of
from crawlers.runtime.pages.definition import Definition, Links, Page, Selection
from crawlers.runtime.pages.pagers import PagerReader, Turn
from crawlers.runtime.pages.selecting import FieldFault, FieldReader, Scope, Selector, read_fields

logger = logging.getLogger(__name__)

PARSE = "parse_"


class Link(NamedTuple):
    """A link to follow: to which kind of page, its URL, and the fields that it gives to it."""

    page: str
    url: str
    fields: dict[str, Any]


class LinksReader:
    """Links to a kind of page, compiled."""

    def __init__(self, page: str, links: Links) -> None:
        self.page = page
        self._selector = Selector(links, of_link=True)
        self._matching = re.compile(links.matching) if links.matching else None

    def read(self, scope: Scope) -> Iterator[str]:
        """The absolute URLs, once each, also those that can't be followed."""
        seen = set()
        for value in self._selector.values(scope):
            try:
                url = scope.response.urljoin(str(value).strip())
            except ValueError:  # a broken IPv6 address, say
                url = str(value)
            if url not in seen and (not self._matching or self._matching.search(url)):
                seen.add(url)
                yield url


class PageReader:
    """A kind of page, compiled."""

    def __init__(self, definition: Definition, name: str) -> None:
        self.name = name
        self.page: Page = definition.pages[name]
        self.check = [
            Selector(condition) if isinstance(condition, Selection) else condition for condition in self.page.check
        ]
        self.each = Selector(self.page.each) if self.page.each else None
        self.fields = {key: FieldReader(key, field) for key, field in self.page.fields.items()}
        self.record = {key: FieldReader(key, field) for key, field in (self.page.record or {}).items()}
        for key, field in (self.page.record or {}).items():
            # What another page gave, the address too, doesn't tell that this one is what it should be.
            self.record[key].is_constant |= field.field is not None and field.field not in self.page.fields
        self.links = [LinksReader(child, links) for child, links in definition.links_from(name)]
        self.pager = PagerReader(self.page.pager) if self.page.pager else None
        self.starts = self.page.starts
        if not self.starts and not self.page.links and self.pager:
            self.starts = self.pager.first_urls()

    def require_checks(self, scope: Scope) -> None:
        """:raises PageError: something that must be there is not: the page is another, or the site refuses it."""
        for condition in self.check:
            if isinstance(condition, str):
                if isinstance(scope.response, TextResponse) and condition in scope.response.text:
                    continue
                what = f"the text {condition!r}"
            else:
                if condition.values(scope):
                    continue
                what = f"anything at {condition.place} {getattr(condition.selection, condition.place)!r}"
            raise PageError(
                scope.url, f"has not {what}: it is blocked, or the site has changed", f"check of {self.name}"
            )

    def items(self, scope: Scope) -> list[Scope]:
        return self.each.items(scope) if self.each else [scope]


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
        reader, turn = self._readers[page], turn or Turn(response.url)
        self._count(reader)
        if reader.page.pager and response.status in reader.page.pager.end_statuses and turn.number:
            if turn.planned:
                raise PageError(response.url, f"HTTP {response.status}, but the page must be there", "pager")
            return
        if reader.page.encoding and isinstance(response, TextResponse):
            response = response.replace(encoding=reader.page.encoding)
        scope = Scope(response, fields or {})
        try:
            reader.require_checks(scope)
            yield from self._read(reader, scope, turn)
        except PageError:
            if not turn.number and turn.first in reader.starts:
                self._start_failed(response.url)
            raise
        except ValueError as error:  # a processor of links or of a check
            raise PageError(response.url, str(error), page) from error

    def _read(self, reader: PageReader, scope: Scope, turn: Turn) -> Iterator[Any]:
        records: list[dict[str, Any]] = []
        links: dict[tuple[str, str], Link] = {}
        faults: list[FieldFault] = []
        for item in reader.items(scope):
            try:
                found = self._read_item(reader, item, records)
            except FieldFault as fault:
                faults.append(fault)
                continue
            for link in found:
                links.setdefault((link.page, link.url), link)
        if len(links) > reader.page.max_links:
            raise PageError(
                scope.url,
                f"has {len(links)} links; max_links allows {reader.page.max_links}. None was followed",
                "max_links",
            )
        yield from records
        followed = [link for link in links.values() if _can_be_followed(link.url)]
        for link in followed:
            yield self._request(link.url, link.page, link.fields, Turn(link.url))
        if len(followed) < len(links):
            self._unfollowable(scope.url, [link.url for link in links.values() if not _can_be_followed(link.url)])
        yield from self._turn_over(reader, scope, turn, records, list(links))
        if faults:
            raise PageError(scope.url, "; ".join(map(str, faults)), faults[0].field)

    def _read_item(self, reader: PageReader, item: Scope, records: list[dict[str, Any]]) -> list[Link]:
        """Adds the item's record to ``records``, and returns its links.

        :raises FieldFault: a field can't be had, or the item has neither a record nor a link.
        """
        own = filled({name: field.read(item) for name, field in reader.fields.items()})
        item.fields.update(own)
        handed_on = {**item.inherited, **own}
        if reader.record:
            record = read_fields(reader.record, item)
            if reader.page.whole:
                record = {**item.data, **record}
            if record:
                records.append(self._with_media(reader, record, item))
        links = [Link(links.page, url, handed_on) for links in reader.links for url in links.read(item)]
        if reader.each and not reader.record and not links and not reader.page.may_be_empty:
            raise FieldFault("links", f"an item of it leads nowhere: {item.text[:80]!r}")
        return links

    def _with_media(self, reader: PageReader, record: dict[str, Any], item: Scope) -> dict[str, Any]:
        """Images and files are another module's concern."""
        return record

    def _turn_over(
        self, reader: PageReader, scope: Scope, turn: Turn, records: list[dict[str, Any]], links: list[tuple[str, str]]
    ) -> Iterator[Any]:
        """Requests for the pages after this one; an empty page, and one that repeats an earlier one, may be the end."""
        pager, empty = reader.pager, not (records or links)
        if pager and not empty and self._repeats(reader, turn, records, links) and turn.number:
            if turn.planned:
                raise PageError(scope.url, "repeats an earlier page: the site has fewer pages than it says", "pager")
            return
        if pager and pager.ends_when_empty and turn.number and empty:
            return
        steps = 0
        for step in pager.after(scope, turn) if pager else ():
            steps += 1
            if step.turn.number >= pager.pager.max_pages:  # type: ignore[union-attr]
                raise CloseSpider(
                    f"more than {pager.pager.max_pages} pages: pages.{reader.name}.pager.max_pages, from {turn.first}"  # type: ignore[union-attr]
                )
            yield self._request(step.url, reader.name, scope.inherited, step.turn)
        if empty and not reader.page.may_be_empty and not (turn.number and pager and not turn.planned and not steps):
            what = " or ".join([*(["a record"] if reader.record else []), *(["a link"] if reader.links else [])])
            raise PageError(
                scope.url, f"has not {what}: has the site changed? (may_be_empty lets it pass)", reader.name
            )

    def _repeats(self, reader: PageReader, turn: Turn, records: list[Any], links: list[Any]) -> bool:
        held = self._held.setdefault((reader.name, turn.first), set())
        digest = hashlib.blake2b(orjson.dumps([records, links], default=str), digest_size=8).digest()
        known = digest in held
        held.add(digest)
        return known

    def _request(self, url: str, page: str, fields: dict[str, Any], turn: Turn) -> scrapy.Request:
        reader = self._readers[page]
        meta: dict[str, Any] = {}
        if reader.page.pager and reader.page.pager.end_statuses and turn.number:
            meta["handle_httpstatus_list"] = reader.page.pager.end_statuses
        if reader.page.refetch_days:
            meta["refetch_days"] = reader.page.refetch_days
        if reader.page.rendering:
            meta["rendering"] = reader.page.rendering
        return scrapy.Request(url, self.parse_page, cb_kwargs={"page": page, "fields": fields, "turn": turn}, meta=meta)

    def _count(self, reader: PageReader) -> None:
        self._counts[reader.name] += 1
        if self._counts[reader.name] > reader.page.max_pages:
            raise CloseSpider(f"more than {reader.page.max_pages} pages: pages.{reader.name}.max_pages")

    def _start_failed(self, url: str) -> None:
        if run := _run_of(self):
            run.tally.failed_starts.append(url)

    def _unfollowable(self, page_url: str, urls: list[str]) -> None:
        message = f"{len(urls)} links lead to no web page, e.g. {urls[0][:200]!r}"
        if run := _run_of(self):
            run.note_unfollowable(page_url, message)
        else:
            logger.warning("%s: %s", page_url, message)


def make_spider(name: str, definition: Definition) -> type[PagesSpider]:
    """The spider class of the source ``name``."""
    return type("DefinedSpider", (PagesSpider,), {"name": name, "definition": definition})


def _run_of(spider: scrapy.Spider) -> Any:
    """The run that the spider belongs to; None in a recorded case."""
    return getattr(spider.__dict__.get("crawler"), "fleet_run", None)


def _can_be_followed(url: str) -> bool:
    return is_http_url(safe_url_string(url)) if url.startswith(("http://", "https://")) else False
