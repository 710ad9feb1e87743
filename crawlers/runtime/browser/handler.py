"""The browser as a part of Scrapy: requests that want it are answered by the rendered page, all others as ever."""

import asyncio
import socket
import ssl
from typing import Any

from scrapy import Request
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
)
from scrapy.http import HtmlResponse, Response

from crawlers.runtime.addresses import Hosts, host_of
from crawlers.runtime.browser.errors import NavigationError
from crawlers.runtime.browser.pool import BrowserPool
from crawlers.runtime.browser.rendering import Rendering, rendering_of
from crawlers.runtime.release import state_folder
from crawlers.runtime.run import Run
from crawlers.runtime.scrapy_parts import RunCrawler
from crawlers.runtime.scrapy_requests import BaseUrlDownloadHandler


def browser_pool(run: Run, hosts: Hosts) -> BrowserPool:
    """The browsers of a crawl."""
    manifest = run.source.manifest
    return BrowserPool(
        manifest,
        hosts=hosts,
        addresses=run.addresses,
        base_url=run.base_url,
        contact=run.contact,
        patience=run.patience,
        failures_dir=state_folder(run.writer.folder.parent, manifest.name) / "browser-failures",
        on_step=run.tally.step,
    )


class BrowserDownloadHandler(BaseUrlDownloadHandler):
    """Download handler: after all middlewares, so robots.txt, rate, offsite rules and retries hold for rendered pages, too."""

    renders = True

    def __init__(self, crawler: RunCrawler) -> None:
        super().__init__(crawler)
        self._run = crawler.fleet_run
        self._crawler = crawler
        self._browser_pool: BrowserPool | None = None

    async def download_request(self, request: Request) -> Response:
        rendering = rendering_of(request)
        if rendering is None or request.method != "GET":
            return await super().download_request(request)
        return await self._render(request, rendering)

    async def _render(self, request: Request, rendering: Rendering) -> Response:
        try:
            if not self._base_url:
                await self._resolve(request.url)
            rendered = await self._browsers().render(request.url, rendering)
        except NavigationError as error:
            raise _known(error) from error
        except TimeoutError as error:
            raise DownloadTimeoutError(str(error)) from error
        if rendered.status == 302:  # Scrapy asks for that page, if it may
            return Response(request.url, 302, {"Location": rendered.url}, request=request)
        body = rendered.html.encode("utf-8", "replace")
        headers = {"Content-Type": "text/html; charset=utf-8"}
        return HtmlResponse(
            request.url, rendered.status, headers, body, flags=["rendered"], request=request, encoding="utf-8"
        )

    async def _resolve(self, url: str) -> None:
        """Look at the page's own address here, where an error tells more than the browser would.

        :raises ForbiddenAddressError: :raises CannotResolveHostError:
        """
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._run.addresses.resolve, host_of(url), 0)
        except socket.gaierror as error:
            raise CannotResolveHostError(str(error)) from error

    def _browsers(self) -> BrowserPool:
        if self._browser_pool is None:
            spider: Any = self._crawler.spider
            manifest = self._run.source.manifest
            site = [*getattr(spider, "allowed_domains", ()), *map(host_of, getattr(spider, "start_urls", ()))]
            hosts = Hosts([host_of(manifest.url), *site, *manifest.hosts, *manifest.browser.hosts])
            self._browser_pool = browser_pool(self._run, hosts)
            self._run.ending.append(self._end)
        return self._browser_pool

    def _end(self) -> None:
        """End the browsers, and count what they were kept from."""
        assert self._browser_pool is not None
        self._browser_pool.close()
        for (kind, host), count in sorted(self._browser_pool.proxy.refused.items()):
            self._run.tally.note(
                kind, f"//{host}/", "a rendered page asked for it (hosts in [browser] allows more)", count
            )


def _known(error: NavigationError) -> Exception:
    """The error that Scrapy, or what counts failures, knows: those of the network are tried again."""
    if "CERT" in error.reason or "SSL" in error.reason:
        return ssl.SSLError(str(error))
    if error.reason.startswith(("ERR_TOO_MANY_REDIRECTS", "ERR_ABORTED", "ERR_UNKNOWN_URL_SCHEME", "ERR_INVALID_URL")):
        return IgnoreRequest(str(error))
    return DownloadFailedError(str(error))
