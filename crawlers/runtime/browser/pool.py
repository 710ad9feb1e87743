"""The browsers of a crawl: a few, reused, and replaced before they grow too large and when they crash."""

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from crawlers.runtime.addresses import Addresses, Hosts
from crawlers.runtime.browser.chromium import Chromium, Rendered, remove_abandoned
from crawlers.runtime.browser.errors import BrowserCrashedError, StepError
from crawlers.runtime.browser.proxy import GuardProxy
from crawlers.runtime.browser.rendering import Rendering
from crawlers.runtime.http import Patience, user_agent
from crawlers.runtime.manifest import Manifest

logger = logging.getLogger(__name__)

# To look at what a browser takes costs as much as a small page.
_PAGES_PER_LOOK = 4
# Pages whose picture and source are kept, the latest ones.
FAILURES_KEPT = 20


class BrowserPool:
    """Renders pages, each in a thread, with at most ``manifest.browser.browsers`` browsers at once.

    :param hosts: those that the browser may reach. :param failures_dir: where a picture and the source of failed pages are kept.
    :param on_step: called after each click, by any thread.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        hosts: Hosts,
        addresses: Addresses,
        base_url: str = "",
        contact: str = "",
        patience: Patience,
        failures_dir: Path | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self.started = 0
        self.proxy = GuardProxy(addresses, hosts, base_url)
        self._wanted = manifest.browser
        self._options = {
            "proxy_port": self.proxy.port,
            "user_agent": user_agent(manifest, contact),
            "timeout_seconds": patience.timeout_seconds,
            "pause_seconds": 1 / manifest.rate,
            "trust_any": bool(base_url),  # our own proxy is all that it speaks to then
            "on_step": on_step,
        }
        self._failures_dir = failures_dir
        self._idle: list[Chromium] = []
        self._all: set[Chromium] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(manifest.browser.browsers, thread_name_prefix="browser")
        remove_abandoned()

    def __enter__(self) -> "BrowserPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def render(self, url: str, rendering: Rendering) -> Rendered:
        """The page as the browser shows it; where it was led to another URL, that one with status 302, unread.

        :raises NavigationError: it can't be loaded. :raises TimeoutError: not in time.
        :raises StepError: it is not what its steps expect: its picture is kept.
        :raises BrowserCrashedError: the browser is gone; the next page gets a new one.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.render_now, url, rendering)

    def render_now(self, url: str, rendering: Rendering) -> Rendered:
        """The same, in this thread."""
        browser = self._take()
        try:
            rendered = self._render(browser, url, rendering)
            browser.leave()
        except BrowserCrashedError as error:
            logger.warning("%s: %s; a new browser is started", url, error)
            self._drop(browser)
            raise
        except TimeoutError as error:
            self._keep_failure(browser, url, error)
            self._drop(browser)  # a page that hangs may hold it for good
            raise
        except Exception as error:
            if isinstance(error, StepError):
                self._keep_failure(browser, url, error)
            with contextlib.suppress(Exception):
                browser.leave()
            self._give_back(browser)
            raise
        except BaseException:
            self._drop(browser)
            raise
        self._give_back(browser)
        return rendered

    def close(self) -> None:
        """End all browsers at once, also those at work."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            browsers, self._all = self._all, set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for browser in browsers:
            browser.close()
        self._threads.shutdown(wait=True)
        self.proxy.close()

    def _render(self, browser: Chromium, url: str, rendering: Rendering) -> Rendered:
        loaded = browser.load(url)
        if loaded.url != url.partition("#")[0]:
            return Rendered(loaded.url, 302, "")
        if loaded.status >= 400:
            return Rendered(url, loaded.status, "")
        return browser.finish(rendering, url)

    def _take(self) -> Chromium:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        browser = Chromium(**self._options)  # type: ignore[arg-type]
        with self._lock:
            self.started += 1
            if not self._closed:
                self._all.add(browser)
                return browser
        browser.close()
        raise BrowserCrashedError("the crawl is ending")

    def _give_back(self, browser: Chromium) -> None:
        memory_mb = browser.memory_bytes() >> 20 if browser.pages % _PAGES_PER_LOOK == 0 else 0
        if browser.pages >= self._wanted.pages or memory_mb > self._wanted.memory_mb:
            logger.debug("a browser is replaced after %d pages, at %d MiB", browser.pages, memory_mb)
            self._drop(browser)
            return
        with self._lock:
            self._idle.append(browser)

    def _drop(self, browser: Chromium) -> None:
        with self._lock:
            self._all.discard(browser)
        browser.close()

    def _keep_failure(self, browser: Chromium, url: str, error: Exception) -> None:
        """Keep how the page looked, for a person, and say so in the error."""
        if self._failures_dir is None:
            return
        image, source = browser.photograph()
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        try:
            self._failures_dir.mkdir(parents=True, exist_ok=True)
            for suffix, content in ((".html", f"<!-- {url} -->\n{source}".encode("utf-8", "replace")), (".png", image)):
                if content:
                    (self._failures_dir / f"{name}{suffix}").write_bytes(content)
            kept = sorted(self._failures_dir.glob("*.html"), key=os.path.getmtime)
            for old in kept[:-FAILURES_KEPT]:
                old.unlink(missing_ok=True)
                old.with_suffix(".png").unlink(missing_ok=True)
        except OSError as problem:
            logger.warning("%s: its picture can't be kept: %s", url, problem)
            return
        error.args = (f"{error} (as it looked: {self._failures_dir / name}.png, .html)",)
