"""A kind of page, compiled: takes records and links out of a page of it."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urldefrag

from scrapy.http import TextResponse
from w3lib.url import safe_url_string

from crawlers.runtime.errors import PageError
from crawlers.runtime.fields import filled
from crawlers.runtime.http import is_http_url
from crawlers.runtime.pages.definition import Definition, Links, Page, Selection
from crawlers.runtime.pages.pagers import PagerReader, Turn
from crawlers.runtime.pages.selecting import FieldFault, FieldReader, Scope, Selector, compile_xpath, read_fields


class Link(NamedTuple):
    """A link to follow: to which kind of page, its URL, and the fields that it gives to it."""

    page: str
    url: str
    fields: dict[str, Any]


class Found(NamedTuple):
    """What a page holds. ``faults``: of its items that could not be read."""

    records: list[dict[str, Any]]
    links: list[Link]
    faults: list[FieldFault]


class LinksReader:
    """Links to a kind of page, compiled."""

    def __init__(self, page: str, links: Links) -> None:
        self.page = page
        self._selector = Selector(links, of_link=True)
        self._matching = re.compile(links.matching) if links.matching else None

    def read(self, scope: Scope) -> Iterator[str]:
        """The absolute URLs, once each and without fragments, also those that can't be followed."""
        seen = set()
        for value in self._selector.values(scope):
            try:
                url = urldefrag(scope.response.urljoin(str(value).strip())).url
            except ValueError:  # a broken IPv6 address, say
                url = str(value)
            if url not in seen and (not self._matching or self._matching.search(url)):
                seen.add(url)
                yield url


class MediaReader:
    """Images or files of a record, compiled: their URLs stand in the field ``into``."""

    def __init__(self, into: str, selection: Selection) -> None:
        self.into = into
        self._selector = Selector(selection, of_link=True)

    def read(self, scope: Scope) -> Iterator[str]:
        """Their absolute URLs, once each."""
        urls = (scope.response.urljoin(str(value).strip()) for value in self._selector.values(scope))
        yield from dict.fromkeys(url for url in urls if can_be_followed(url))


class PageReader:
    """A kind of page, compiled."""

    def __init__(self, definition: Definition, name: str) -> None:
        self.name = name
        self.page: Page = definition.pages[name]
        self.check = [
            Selector(condition) if isinstance(condition, Selection) else condition for condition in self.page.check
        ]
        self.labelled = compile_xpath(self.page.labelled) if self.page.labelled else None
        self.each = Selector(self.page.each) if self.page.each else None
        self.fields = {key: FieldReader(key, field) for key, field in self.page.fields.items()}
        self.record = {key: FieldReader(key, field) for key, field in (self.page.record or {}).items()}
        for key, field in (self.page.record or {}).items():
            # What another page gave, the address too, doesn't tell that this one is what it should be.
            self.record[key].is_constant |= field.field is not None and field.field not in self.page.fields
        self.links = [LinksReader(child, links) for child, links in definition.links_from(name)]
        self.media = [
            MediaReader(into, selection)
            for into, selection in (("image_urls", self.page.images), ("file_urls", self.page.files))
            if selection
        ]
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

    def leads_on(self, turn: Turn) -> bool:
        """Whether pages that nobody knows of yet are lost with this page: it starts the crawl, or a pager goes on from it."""
        return not turn.planned and (self.pager is not None or turn.first in self.starts)

    def read(self, scope: Scope) -> Found:
        """The records and links of all items; the same link once, with the fields of the first item that has it."""
        records: list[dict[str, Any]] = []
        links: dict[tuple[str, str], Link] = {}
        faults: list[FieldFault] = []
        for item in self.each.items(scope) if self.each else [scope]:
            try:
                for link in self._read_item(item, records):
                    links.setdefault((link.page, link.url), link)
            except FieldFault as fault:
                faults.append(fault)
        return Found(records, list(links.values()), faults)

    def _read_item(self, item: Scope, records: list[dict[str, Any]]) -> list[Link]:
        """Adds the item's record to ``records``, and returns its links.

        :raises FieldFault: a field can't be had, or the item has neither a record nor a link.
        """
        own = filled({name: field.read(item) for name, field in self.fields.items()})
        item.fields.update(own)
        handed_on = {**item.inherited, **own}
        if self.record:
            record = read_fields(self.record, item)
            if self.page.whole:
                record = {**item.data, **record}
            if record:
                record.update({media.into: urls for media in self.media if (urls := list(media.read(item)))})
                records.append(record)
        links = [Link(links.page, url, handed_on) for links in self.links for url in links.read(item)]
        if self.each and not self.record and not links and not self.page.may_be_empty:
            raise FieldFault("links", f"an item of it leads nowhere: {item.text[:80]!r}")
        return links


def can_be_followed(url: str) -> bool:
    """Whether the absolute ``url`` leads to a web page."""
    try:
        return is_http_url(safe_url_string(url))
    except ValueError:
        return False
