"""What a request of a Scrapy crawl passes on its way out: the site's hosts, addresses, robots.txt, retries, and the base URL."""

import asyncio
import time
from typing import Any

from scrapy import Request, Spider
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.downloadermiddlewares.offsite import OffsiteMiddleware
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import CannotResolveHostError, IgnoreRequest
from scrapy.http import Response
from scrapy.resolver import CachingThreadedResolver

from crawlers.runtime import http
from crawlers.runtime.addresses import Addresses, ForbiddenAddressError, ForbiddenUrlError, Hosts, host_of
from crawlers.runtime.errors import PageError
from crawlers.runtime.scrapy_parts import RunCrawler, fail


class AddressMiddleware:
    """Downloader middleware: a request for a private address, or for what is no web page, is refused before it costs anything."""

    def __init__(self, crawler: RunCrawler) -> None:
        self._addresses = crawler.fleet_run.addresses

    @classmethod
    def from_crawler(cls, crawler: RunCrawler) -> "AddressMiddleware":
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """:raises ForbiddenSchemeError:
        :raises ForbiddenAddressError:
        """
        try:
            self._addresses.check_url(request.url)
        except ForbiddenUrlError as error:
            error.is_link = "redirect_urls" not in request.meta
            raise


class GuardedResolver(CachingThreadedResolver):
    """Scrapy's resolver, but without private addresses; the answer is what is connected to, so no later one counts."""

    def __init__(self, reactor: Any, cache_size: int, timeout: float, addresses: Addresses) -> None:
        super().__init__(reactor, cache_size, timeout)
        self._addresses = addresses

    @classmethod
    def from_crawler(cls, crawler: RunCrawler, reactor: Any) -> "GuardedResolver":  # type: ignore[override]
        settings = crawler.settings
        return cls(
            reactor,
            settings.getint("DNSCACHE_SIZE"),
            settings.getfloat("DNS_TIMEOUT"),
            crawler.fleet_run.addresses,
        )

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:
        return super().getHostByName(name, timeout).addCallback(self._checked, name)

    def _checked(self, address: str, name: str) -> str:
        self._addresses.check(name, address)
        return address


class CountingOffsiteMiddleware(OffsiteMiddleware):
    """Scrapy's filter of other hosts, but what it filters is counted; a page that is redirected to one has failed.

    A spider without ``allowed_domains`` is kept to the hosts of its start URLs and of the manifest: Scrapy would let it go anywhere.
    """

    def request_scheduled(self, request: Request, spider: Spider) -> None:
        try:
            super().request_scheduled(request, spider)
        except IgnoreRequest as filtered:
            redirected = IgnoreRequest(f"it is redirected to {request.url}, whose host allowed_domains leaves out")
            fail(request, redirected if request.meta.get("redirect_urls") else filtered)
            raise

    def should_follow(self, request: Request, spider: Spider) -> bool:
        try:
            self._addresses.check_url(request.url)
        except ForbiddenUrlError:
            return True  # AddressMiddleware refuses it, by its right name
        if request.meta.get("fleet_file") and host_of(request.url) in self._files:
            return True
        if getattr(spider, "allowed_domains", None):
            return super().should_follow(request, spider) or host_of(request.url) in self._more
        return host_of(request.url) in self._site

    def spider_opened(self, spider: Spider) -> None:
        super().spider_opened(spider)
        run = self.crawler.fleet_run  # type: ignore[attr-defined]  # it is a RunCrawler
        manifest, self._addresses = run.source.manifest, run.addresses
        starts = [manifest.url, *getattr(spider, "start_urls", ())]
        self._more = Hosts(manifest.hosts)
        self._files = Hosts(manifest.files.hosts if manifest.files else ())
        self._site = Hosts([*map(host_of, starts), *manifest.hosts])


class StrictRobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's robots.txt, but one that the server fails to give forbids all (RFC 9309, section 2.3.1.4)."""

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500:
            response = response.replace(body=b"User-agent: *\nDisallow: /\n")
        await super()._parse_robots(response, netloc, request)


class PoliteRetryMiddleware(RetryMiddleware):
    """Scrapy's retries, with growing pauses between them, or the pause that ``Retry-After`` asks for."""

    async def process_response(self, request: Request, response: Response, spider: Spider | None = None) -> Any:  # type: ignore[override]  # Scrapy awaits it
        result = super().process_response(request, response)
        if isinstance(result, Request):
            header = response.headers.get("Retry-After")
            asked = http.retry_after_seconds(header.decode("latin-1") if header else None, time.time())
            await self._pause(result, asked)
        return result

    async def process_exception(self, request: Request, exception: Exception, spider: Spider | None = None) -> Any:  # type: ignore[override]
        result = super().process_exception(request, exception)
        if isinstance(result, Request):
            await self._pause(result, None)
        return result

    async def _pause(self, request: Request, asked: float | None) -> None:
        run = self.crawler.fleet_run  # type: ignore[attr-defined]  # it is a RunCrawler
        pause = run.patience.pause_seconds(request.meta["retry_times"], asked)
        run.tally.wait(pause)
        await asyncio.sleep(pause)


class BaseUrlDownloadHandler(HTTP11DownloadHandler):
    """HTTP as Scrapy does it, but sent to the run's base URL; the spider sees the real URLs all the same."""

    renders = False

    def __init__(self, crawler: RunCrawler) -> None:
        super().__init__(crawler)
        self._base_url = crawler.fleet_run.base_url
        self._addresses = crawler.fleet_run.addresses
        # Twisted would send a request again by itself, uncounted and at once, when a kept connection was reset.
        self._pool.retryAutomatically = False

    async def download_request(self, request: Request) -> Response:
        if not self.renders and (request.meta.get("browser") or request.meta.get("rendering")):
            raise PageError(
                request.url,
                'it is to be rendered by a browser, which a source has whose manifest says kind = "browser"',
            )
        sent = request.replace(url=http.rebase(request.url, self._base_url))
        try:
            response = await super().download_request(sent)
        except CannotResolveHostError as error:
            if (host := host_of(sent.url)) in self._addresses.refused:  # Twisted drops what the resolver raised
                raise ForbiddenAddressError(
                    f"{host} resolves to a private address. If the site really is there, name it in the manifest's private_hosts"
                ) from error
            raise
        return response.replace(url=request.url)
