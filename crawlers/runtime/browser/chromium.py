"""One headless Chromium, driven by Selenium: started, asked for pages, watched, and ended with all its processes."""

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import psutil
import urllib3.exceptions
from selenium.common.exceptions import (
    InvalidSessionIdException,
    NoSuchWindowException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.common.proxy import Proxy, ProxyType
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver

from crawlers.runtime import http
from crawlers.runtime.browser.errors import BrowserCrashedError, BrowserMissingError, NavigationError, StepError
from crawlers.runtime.browser.proxy import BROWSER_S_OWN
from crawlers.runtime.browser.rendering import Rendering
from crawlers.runtime.browser.sandbox import sandbox_options
from crawlers.runtime.browser.steps import StepTaker
from crawlers.runtime.temporary import BROWSER_FOLDER

logger = logging.getLogger(__name__)

CHROMIUM = "chromium"
CHROMEDRIVER = "chromedriver"
_DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
_CRASHED = re.compile(
    r"crash|not reachable|disconnected|unable to receive message|no such execution context|failed to check",
    re.IGNORECASE,
)
# How much longer than a page the driver may take to answer, before it counts as hanging.
_DRIVER_SECONDS = 15
_STARTS = 3  # the driver picks a port for IPv4, and ends if another process takes it for IPv6 before it does
_ASKS_BY_ITSELF = ("gaia-url", "google-base-url", "gcm-checkin-url", "gcm-registration-url", "search-provider-logo-url")
_LOOKS = 5  # a dialogue that opens meanwhile is dismissed, and makes nothing of the answer
_OPTIONS = (
    "--headless=new",
    # Chromium ends with its driver then, however that ended.
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--proxy-bypass-list=<-loopback>",
    # It asks its maker for nothing.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-client-side-phishing-detection",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--disable-features=MediaRouter,OptimizationHints,Translate,AutofillServerCommunication,InterestFeedContentSuggestions,"
    "CertificateTransparencyComponentUpdater,PreconnectToSearch,NetworkTimeServiceQuerying",
    *(f"--{switch}=http://{BROWSER_S_OWN}/" for switch in _ASKS_BY_ITSELF),
    "--mute-audio",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--window-size=1280,1600",
)
_PREFERENCES = {
    "download_restrictions": 3,  # none at all
    "credentials_enable_service": False,
    "net.network_prediction_options": 2,  # never
    "search.suggest_enabled": False,
    "signin.allowed": False,
    "profile.managed_default_content_settings.images": 2,  # none: they cost the site, and nobody looks at them
    "profile.default_content_setting_values": {"notifications": 2, "geolocation": 2, "media_stream": 2},
}
_LOADED = """
const entry = performance.getEntriesByType("navigation")[0];
return {url: document.URL, status: entry ? entry.responseStatus : 0, size: document.documentElement.outerHTML.length};
"""


@dataclass(frozen=True)
class Rendered:
    """A page as the browser shows it. ``url``: where it ended up, without fragment; ``status``: the HTTP status of the document."""

    url: str
    status: int
    html: str


class Chromium:
    """A browser. Not to be used by two threads at once; ``close`` may be called by any.

    :raises BrowserMissingError: Chromium or its driver is not there.
    :raises BrowserCrashedError: it does not start.
    """

    def __init__(
        self,
        *,
        proxy_port: int,
        user_agent: str,
        timeout_seconds: float,
        pause_seconds: float,
        trust_any: bool,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self.pages = 0
        self._timeout_seconds = timeout_seconds
        self._folder = Path(tempfile.mkdtemp(prefix=f"{BROWSER_FOLDER}{os.getpid()}-"))
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process, port = _start_driver(self._folder)
            options = _options(self._folder, proxy_port, user_agent, trust_any)
            self.driver = _connect(port, options, timeout_seconds)
            self.driver.set_page_load_timeout(timeout_seconds)
            self.driver.set_script_timeout(timeout_seconds)
        except (WebDriverException, urllib3.exceptions.HTTPError, OSError) as error:
            self.close()
            raise BrowserCrashedError(f"Chromium does not start: {_first_line(error)}") from error
        except BaseException:
            self.close()
            raise
        self._steps = StepTaker(self.driver, timeout_seconds, pause_seconds, on_step)

    def load(self, url: str) -> Rendered:
        """Load the page; ``html`` is empty as yet.

        :raises NavigationError: it can't be loaded. :raises TimeoutError: not in time. :raises BrowserCrashedError:
        """
        self.pages += 1
        with _told(url):
            self.driver.get(url)
            loaded = self._look()
        if not http.is_http_url(loaded.url):  # it is no page: a download, or one that led to what can't be loaded
            raise NavigationError(url, f"ERR_ABORTED, at {loaded.url[:100]}")
        return loaded

    def finish(self, rendering: Rendering, url: str) -> Rendered:
        """Take the steps in the loaded page, and read it.

        :raises StepError: it is not what the steps expect. :raises TimeoutError: :raises BrowserCrashedError:
        """
        with _told(url):
            self._steps.take(rendering)
            seen = self._look()
            return Rendered(seen.url, seen.status, self.driver.page_source)

    def leave(self) -> None:
        """Leave the page, so that its scripts end, and close the windows that it opened."""
        with _told("about:blank"):
            first, *others = self.driver.window_handles
            for handle in others:
                self.driver.switch_to.window(handle)
                self.driver.close()
            self.driver.switch_to.window(first)
            self.driver.get("about:blank")

    def _look(self) -> Rendered:
        found: dict[str, Any] | None = None
        for _ in range(_LOOKS):
            if found := self.driver.execute_script(_LOADED):
                break
        if not found:
            raise WebDriverException(
                f"the page gave nothing of itself, {_LOOKS} times: it opens one dialogue after another"
            )
        if found["size"] > http.MAX_PAGE_BYTES:
            raise http.TooLargeError(f"the rendered page is larger than {http.MAX_PAGE_BYTES >> 20} MiB")
        return Rendered(urldefrag(found["url"]).url, int(found["status"]) or 200, "")

    def photograph(self) -> tuple[bytes, str]:
        """A screenshot as PNG, and the page's source, as far as they can be had."""
        image, source = b"", ""
        try:
            source = self.driver.page_source[: http.MAX_PAGE_BYTES]
            image = self.driver.get_screenshot_as_png()
        except (WebDriverException, urllib3.exceptions.HTTPError, OSError) as error:
            logger.debug("no screenshot: %s", error)
        return image, source

    def memory_bytes(self) -> int:
        """What its processes take, without what they share."""
        total = 0
        for process in self.processes():
            try:
                memory = process.memory_info()
                total += memory.rss - getattr(memory, "shared", 0)
            except psutil.Error:
                continue
        return total

    def processes(self) -> list[psutil.Process]:
        """The driver and all that it started."""
        if self._process is None:
            return []
        try:
            driver = psutil.Process(self._process.pid)
            return [driver, *driver.children(recursive=True)]
        except psutil.Error:
            return []

    def close(self) -> None:
        """End it at once, with all its processes, and remove its files."""
        processes = self.processes()
        for process in processes:
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(processes, timeout=10)
        if self._process is not None:
            self._process.wait(10)
            if self._process.stdout:
                self._process.stdout.close()
        for _ in range(2):  # what was written while it was removed
            shutil.rmtree(self._folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the files of browsers whose crawl was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{BROWSER_FOLDER}*"):
        owner = folder.name.removeprefix(BROWSER_FOLDER).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Around calls of the driver: its errors become ours."""
    try:
        yield
    except TimeoutException as error:
        raise TimeoutError(f"{url}: the page did not load in time") from error
    except (InvalidSessionIdException, NoSuchWindowException) as error:
        raise BrowserCrashedError(f"the browser ended: {_first_line(error)}") from error
    except WebDriverException as error:
        said = _first_line(error)
        if found := re.search(r"net::(ERR_\w+)", said):
            raise NavigationError(url, found[1]) from error
        if _CRASHED.search(said):
            raise BrowserCrashedError(f"the browser crashed: {said}") from error
        raise StepError(said) from error
    except urllib3.exceptions.TimeoutError as error:
        raise TimeoutError(f"{url}: the browser hangs") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise BrowserCrashedError(f"the browser's driver does not answer: {_first_line(error)}") from error


def _start_driver(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """The driver's process, and the port that it listens on."""
    driver = shutil.which(CHROMEDRIVER)
    if driver is None or shutil.which(CHROMIUM) is None:
        raise BrowserMissingError(
            f"{CHROMIUM} or {CHROMEDRIVER} is not installed. On Debian: apt-get install chromium chromium-driver. "
            "In Docker a source with a browser is of the kind browser"
        )
    # It ends with us, also where we are killed. Its files, and those of Chromium, lie in one folder.
    command = [*_DIE_WITH_PARENT, driver, "--port=0"]
    environment = {**os.environ, "TMPDIR": str(folder), "HOME": str(folder)}
    for _ in range(_STARTS):
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        said = ""
        for line in process.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return process, int(found[1])
            said = line.strip() or said
        process.stdout.close()
        code = process.wait()
    raise OSError(f"{driver} ended with code {code}, {_STARTS} times; its last words: {said or 'none'}")


def _options(folder: Path, proxy_port: int, user_agent: str, trust_any: bool) -> Options:
    options = Options()
    options.binary_location = str(shutil.which(CHROMIUM))
    options.unhandled_prompt_behavior = "dismiss"
    for option in (
        *_OPTIONS,
        *sandbox_options(),
        f"--user-data-dir={folder / 'profile'}",
        f"--proxy-server=http://127.0.0.1:{proxy_port}",
        f"--user-agent={user_agent}",
        *(["--ignore-certificate-errors"] if trust_any else []),
    ):
        options.add_argument(option)
    options.add_experimental_option("prefs", _PREFERENCES)
    return options


def _connect(port: int, options: Options, timeout_seconds: float) -> WebDriver:
    config = ClientConfig(
        remote_server_addr=f"http://127.0.0.1:{port}",
        keep_alive=True,
        timeout=int(timeout_seconds + _DRIVER_SECONDS),
        proxy=Proxy(raw={"proxyType": ProxyType.DIRECT}),  # the environment's is not for our own driver
        # One that hangs is not asked three times more, each as long.
        init_args_for_pool_manager={"init_args_for_pool_manager": {"retries": False}},
    )
    return WebDriver(command_executor=RemoteConnection(client_config=config), options=options)


def _first_line(error: BaseException) -> str:
    return (str(getattr(error, "msg", None) or error).strip().splitlines() or [type(error).__name__])[0]
