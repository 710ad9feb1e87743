"""The parts that make a Scrapy crawl publish by the protocol: pipeline, extension, and what counts failures.

They reach the run that they belong to by the crawler (``RunCrawler.fleet_run``): Scrapy copies settings in depth.
"""

import functools
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urldefrag

from itemadapter import ItemAdapter
from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.base import BaseSpiderMiddleware
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from crawlers.runtime import http
from crawlers.runtime.addresses import ForbiddenUrlError
from crawlers.runtime.check import says_gone
from crawlers.runtime.errors import FleetError, LimitError, PageError
from crawlers.runtime.failures import failure_class, status_class
from crawlers.runtime.rejects import Answer
from crawlers.runtime.run import Run
from crawlers.runtime.schema.record import as_dict

# Some links are other names of one page. When so many lead to one, that is no page of theirs. Of so many pages that is counted.
_ALIASES = 10
_TARGETS = 10_000
# In a request's meta: the crawl starts with it.
_START = "fleet_start"

_PLAIN = frozenset((str, int, float, bool, type(None)))

# What marks an answer that was not fetched in this crawl.
_STORED = frozenset({"cached", "stored"})


class RunCrawler(Crawler):
    """A crawler that knows the run that it belongs to."""

    fleet_run: Run


class AlreadyFetched(IgnoreRequest):
    """A redirect leads to a page that was asked for before."""


class WallError(IgnoreRequest):
    """In place of pages, the site gives one and the same, mostly one to log in on."""


class ReleasePipeline:
    """Item pipeline: each item goes into the release, or into the rejects with the reason."""

    def __init__(self, crawler: RunCrawler) -> None:
        self._run = crawler.fleet_run

    @classmethod
    def from_crawler(cls, crawler: RunCrawler) -> "ReleasePipeline":
        return cls(crawler)

    def process_item(self, item: Any) -> Any:
        """Write the item: a model's record, a dict, or any type that itemadapter knows."""
        answer = self._run.origins.pop(id(item), None)
        try:
            self._run.accept(plain(item), response=answer)
        except FleetError:
            # Scrapy would crawl on, for hours, for nothing. The writer raises it again when it settles.
            self._run.halt()
        return item


class RunExtension:
    """Extension: how the spider ended, what it sent, and errors in its code, counted."""

    def __init__(self, crawler: RunCrawler) -> None:
        self._run = crawler.fleet_run
        self._redirected: Counter[str] = Counter()
        for handler, signal in (
            (self.request_sent, signals.request_reached_downloader),
            (self.request_left, signals.request_left_downloader),
            (self.bytes_received, signals.bytes_received),
            (self.response_received, signals.response_received),
            (self.spider_failed, signals.spider_error),
            (self.item_failed, signals.item_error),
            (self.item_dropped, signals.item_dropped),
            (self.spider_closed, signals.spider_closed),
            (self.request_dropped, signals.request_dropped),
        ):
            crawler.signals.connect(handler, signal=signal)

    @classmethod
    def from_crawler(cls, crawler: RunCrawler) -> "RunExtension":
        return cls(crawler)

    def request_sent(self, request: Request) -> None:
        self._run.tally.ask(request.url)

    def request_left(self, request: Request) -> None:
        self._run.tally.leave(request.url)

    def bytes_received(self, data: bytes) -> None:
        self._run.tally.received_bytes += len(data)

    def response_received(self, response: Response) -> None:
        self._run.tally.answer(response.url)
        self._run.progress.tick()

    def spider_failed(self, failure: Failure, response: Response | Failure) -> None:
        """A callback raised: the page gave no record, or not all of them."""
        url = getattr(response, "url", "") or getattr(getattr(response, "request", None), "url", "")
        error = failure.value
        answer = as_answer(response) if isinstance(response, Response) else None
        if isinstance(error, LimitError):
            advice = "See whether the site has so many; if it has, allow more."
            self._run.fail(FleetError(f"{self._run.source.name}: {error}. Nothing was published. {advice}"))
        if isinstance(error, PageError):
            self._run.fail_page("parse", error.url, error.reason, error.field, answer)
        else:
            # Scrapy makes no request of a `javascript:` link: its error is one of the page, as the code that made it ends there.
            kind = "scheme" if str(error).startswith("Missing scheme in request url") else "parse"
            self._run.fail_page(kind, url, f"{type(error).__name__}: {error}", response=answer)

    def item_failed(self, item: Any, response: Response | None, failure: Failure) -> None:
        self._reject_item(item, response, f"{type(failure.value).__name__}: {failure.value}", "parse")

    def item_dropped(self, item: Any, response: Response | None, exception: Exception) -> None:
        self._reject_item(item, response, f"dropped: {exception}", "refused")

    def request_dropped(self, request: Request) -> None:
        """The scheduler knows the request already: no matter for a link, but for a redirect its page would vanish unseen."""
        urls = request.meta.get("redirect_urls", ())
        if request.url in urls:
            fail(request, IgnoreRequest("it is redirected in a circle"))
        elif urls:
            fail(request, self._redirected_to(request.url))

    def _redirected_to(self, url: str) -> IgnoreRequest:
        if url in self._redirected or len(self._redirected) < _TARGETS:
            self._redirected[url] += 1
        if self._redirected[url] > _ALIASES:
            return WallError(
                f"it is redirected to {url}, as are {_ALIASES} pages and more: a login wall, or an error page"
            )
        return AlreadyFetched(f"it is redirected to {url}, which is a page of this crawl already")

    def spider_closed(self, spider: Spider, reason: str) -> None:
        self._run.end_reason = reason

    def _reject_item(self, item: Any, response: Response | None, reason: str, kind: str) -> None:
        answer = self._run.origins.pop(id(item), None) or (as_answer(response) if response is not None else None)
        url = answer.url if answer else ""
        self._run.writer.reject(reason, kind=kind, url=url, record=as_dict(plain(item)), response=answer)


class FailureMiddleware(BaseSpiderMiddleware):
    """Spider middleware: each request that fails for good is counted by class and goes to the rejects; none is passed over.

    Scrapy has no signal for that. Its one place where all failures arrive (downloader, middlewares, HTTP statuses) is the
    request's errback, so each request gets one.
    """

    def __init__(self, crawler: RunCrawler) -> None:
        super().__init__(crawler)
        self._run = crawler.fleet_run
        self._last: tuple[Response, Answer] | None = None

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for thing in super().process_start(start):
                yield thing
        except (Exception, SystemExit) as error:
            # Scrapy logs it and goes on to end the spider as "finished".
            self._run.tally.failed_starts.append("the spider's start()")
            self._run.fail_page("parse", "", f"{type(error).__name__}: {error}")
            raise

    def get_processed_request(self, request: Request, response: Response | None) -> Request:
        """Count how the request ends, and keep the errback that the source's code gave it."""
        theirs = request.errback
        start = response is None  # not within: each request that waits would hold the page that it was found on

        def count(failure: Failure) -> Any:
            self._failed(failure, request, start=start)
            return theirs(failure) if theirs else None

        assert self.crawler.spider is not None
        request.meta.pop(_START, None)  # code may hand on the meta of a response
        if response is None:
            request.meta[_START] = True
        return request.replace(callback=_guarded(request.callback or self.crawler.spider._parse), errback=count)

    async def process_spider_output_async(
        self, response: Response | None, result: AsyncIterator[Any], spider: Spider | None = None
    ) -> AsyncIterator[Any]:
        gave = False
        with _no_exit():
            async for thing in super().process_spider_output_async(response, result):
                gave = True
                yield thing
        if not gave and response is not None and response.meta.get(_START):
            self._gave_nothing(response)

    def get_processed_item(self, item: Any, response: Response | None) -> Any:
        if response is not None:
            if self._run.withdrawn and self._is_alive(record := as_dict(plain(item)), response):
                self._run.see_alive(record)
            if self._last is None or self._last[0] is not response:  # a page may give a thousand items
                self._last = (response, as_answer(response))
            self._run.origins[id(item)] = self._last[1]
        return item

    def _is_alive(self, record: Any, response: Response) -> bool:
        """Whether ``response`` is the record's own page, fetched in this crawl, and does not say that the record is gone."""
        checking, url = self._run.source.manifest.check, record.get("url") if isinstance(record, dict) else None
        if checking is None or not isinstance(response, TextResponse) or _STORED & set(response.flags):
            return False
        is_its_own = isinstance(url, str) and urldefrag(url).url == urldefrag(response.url).url
        return is_its_own and response.status < 300 and not says_gone(checking, response.text)

    def process_spider_input(self, response: Response) -> None:
        """Each answer that comes to the source's code is a page.

        :raises WallError: it is one to log in on, in place of what was asked for.
        """
        asked = response.meta.get("redirect_urls", [response.url])[0]
        if http.leads_to_login(asked, response.url):
            raise WallError(f"it is redirected to a login page, {response.url}")
        self._run.tally.pages += 1
        self._run.tally.on_place(f"reading {response.url}")

    def _gave_nothing(self, response: Response) -> None:
        """A start page from which nothing comes is no small loss, even where other start pages are as they should be."""
        if not self._run.source.manifest.allow_empty:
            what = "the crawl starts here, but the page gave neither a record nor a link: an error page, a login wall, or a changed site"
            self._run.fail_page("parse", response.url, what, response=as_answer(response))

    def _failed(self, failure: Failure, request: Request, *, start: bool) -> None:
        error, answer = failure.value, None
        if isinstance(error, HttpError):
            answer = as_answer(error.response)
            kind, message = status_class(error.response.status), f"HTTP {error.response.status}"
        else:
            assert error is not None
            kind, message = failure_class(error), f"{type(error).__name__}: {error}"
            self._run.tally.pages += 1
        if start or (request.meta.get("leads_on") and kind != "redirected"):
            self._run.tally.failed_starts.append(request.url)
        harmless = isinstance(error, ForbiddenUrlError) and error.is_link and not start
        self._run.fail_page(kind, request.url, message, response=answer, harmless=harmless)


def as_answer(response: Response) -> Answer:
    """The response as the rejects keep it, with what parses it."""
    content_type = (response.headers.get("Content-Type") or b"").decode("latin-1")
    request = response.request
    # A function that is no method of the spider has a name that leads to nothing; who replays it says so.
    callback = getattr(request.callback, "__name__", "") if request and request.callback else "parse"
    kwargs = request.cb_kwargs if request else {}
    return Answer(response.url, response.status, content_type, response.body, callback, kwargs)


def fail(request: Request, error: IgnoreRequest) -> None:
    """Have ``request`` fail by ``error``, which Scrapy would pass over."""
    if request.errback:  # what FailureMiddleware gave it; robots.txt has none
        request.errback(Failure(error))


def _guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(callback):  # it runs later, and Scrapy looks at it to warn of values that it returns
        return callback

    @functools.wraps(callback)
    def call(*args: Any, **options: Any) -> Any:
        with _no_exit():
            return callback(*args, **options)

    return call


@contextmanager
def _no_exit() -> Iterator[None]:
    """Scrapy would wait for ever for a callback that left by ``sys.exit()``: it is an error in the source's code as any other."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(f"the source's code called sys.exit({error.code!r})") from error


def plain(value: Any) -> Any:
    """An item as plain data, items within it too. itemadapter would take longer for a dict than all the rest."""
    kind = type(value)
    if kind is dict:
        return {key: plain(member) for key, member in value.items()}
    if kind is list:
        return [plain(member) for member in value]
    return ItemAdapter(value).asdict() if kind not in _PLAIN and ItemAdapter.is_item(value) else value
