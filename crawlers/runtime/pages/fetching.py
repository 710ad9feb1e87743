"""Between a crawl and its page store: which pages are taken from there, which the site is asked for, and how.

Nearest to the network of all downloader middlewares, so that what is stored is what was sent, redirects and robots.txt too, and goes
through all that an answer of the site goes through.
"""

import logging
import time

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes
from w3lib.http import headers_dict_to_raw, headers_raw_to_dict

from crawlers.runtime.errors import FleetError
from crawlers.runtime.pages.keeping import KeptPages
from crawlers.runtime.pages.store import StoredPage

logger = logging.getLogger(__name__)

_STORED = "stored"
_ASKED = "asked_if_changed"
_GONE = (404, 410)


class NotStored(IgnoreRequest):
    """A page is not in the store, and the site is not asked."""


class PageStoreMiddleware:
    """Downloader middleware: answers from the store, and keeps the answers of the site."""

    def __init__(self, crawler: Crawler) -> None:
        self._run = crawler.fleet_run  # type: ignore[attr-defined]  # it is a RunCrawler
        self._pages: KeptPages = self._run.pages
        assert crawler.request_fingerprinter is not None
        self._fingerprint = crawler.request_fingerprinter.fingerprint
        crawler.signals.connect(self._spider_failed, signal=signals.spider_error)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "PageStoreMiddleware":
        return cls(crawler)

    def process_request(self, request: Request, spider: Spider | None = None) -> Response | None:
        if request.meta.get("fleet_file"):  # images and files have a store of their own
            return None
        fingerprint = self._fingerprint(request)
        try:
            page = self._pages.store.get(fingerprint)
            if page and self._pages.is_current(page, request.meta.get("refetch_days", 0)):
                if self._pages.is_used_anew(page):
                    self._pages.store.use(fingerprint, self._pages.run)
                return _response(page, request)
        except FleetError as error:
            raise self._failed(error) from error
        if self._pages.refetch == "never":
            raise NotStored("it is not in the page store")
        if page and self._pages.refetch == "stale":
            self._ask_whether_changed(request, page)
        return None

    def process_response(self, request: Request, response: Response, spider: Spider | None = None) -> Response:
        if _STORED in response.flags or request.meta.get("fleet_file"):
            return response
        fingerprint, store = self._fingerprint(request), self._pages.store
        try:
            if response.status == 304 and request.meta.get(_ASKED):
                page = store.get(fingerprint)
                assert page is not None
                headers = Headers(headers_raw_to_dict(page.headers))
                for name in response.headers.keys() - {b"Content-Length", b"Content-Encoding", b"Content-Type"}:
                    headers[name] = response.headers.getlist(name)
                store.confirm(fingerprint, _raw(headers), time.time(), self._pages.run)
                return _response(page._replace(headers=_raw(headers)), request)
            if response.status < 400 or response.status in _GONE:
                store.put(
                    fingerprint,
                    url=response.url,
                    status=response.status,
                    headers=_raw(response.headers),
                    body=response.body,
                    encoded=b"Content-Encoding" in response.headers,
                    seconds=time.time(),
                    run=self._pages.run,
                )
        except FleetError as error:
            raise self._failed(error) from error
        return response

    def _ask_whether_changed(self, request: Request, page: StoredPage) -> None:
        headers = Headers(headers_raw_to_dict(page.headers))
        for asked, validator in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
            if value := headers.get(validator):
                request.headers[asked] = value
                request.meta[_ASKED] = True

    def _spider_failed(self, response: Response) -> None:
        """A page that can't be read is not taken for good when the crawl is gone on with."""
        request = getattr(response, "request", None)
        if request is not None and self._pages.refetch != "never":
            try:
                self._pages.store.doubt(self._fingerprint(request))
            except FleetError as error:
                self._failed(error)

    def _failed(self, error: FleetError) -> IgnoreRequest:
        """What can't be stored can't be gone on with: the crawl ends at once."""
        self._run.fail(error)
        return IgnoreRequest(str(error))


def _raw(headers: Headers) -> bytes:
    return headers_dict_to_raw(headers)


def _response(page: StoredPage, request: Request) -> Response:
    headers = Headers(headers_raw_to_dict(page.headers))
    kind = responsetypes.from_args(headers=headers, url=page.url, body=page.body)
    return kind(url=page.url, status=page.status, headers=headers, body=page.body, flags=[_STORED], request=request)
