"""A real Chromium for tests of the hub's pages: it logs in, looks, measures, and takes pictures."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.running_hub import wait_for

needs_chromium = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed (apt-get install chromium chromium-driver)",
)
# Where pictures of pages are kept, for people to look at.
OUTPUT = Path(os.environ.get("FLEET_TEST_OUTPUT") or Path(__file__).parent / "output")
WIDTHS = {"wide": (1440, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
_LONGEST_PICTURE = 4000
# Before the page's own scripts run: what Chromium calls a layout shift is added up (https://web.dev/articles/cls).
_WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => { for (const it of list.getEntries()) if (!it.hadRecentInput) window.shifted += it.value; })
    .observe({type: "layout-shift", buffered: true});
"""


class Browser:
    """``url``: of the hub."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH_SHIFTS})
        self.show()

    def show(self, width: str = "wide", scheme: str = "light", height: int = 0) -> None:
        """Have the window be of that width, in that scheme of colours."""
        across, high = WIDTHS[width]
        self._width = across
        metrics = {"width": across, "height": height or high, "deviceScaleFactor": 1, "mobile": width == "phone"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def visit(self, path: str) -> None:
        self.driver.get(f"{self.url}{path}")

    def log_in(self, name: str, password: str, path: str = "/") -> None:
        """By the form, as people do; ends at ``path``."""
        self.log_out()
        self.visit(f"/login?next={path}")
        self.driver.find_element(By.NAME, "name").send_keys(name)
        self.driver.find_element(By.NAME, "password").send_keys(password, Keys.ENTER)
        wait_for(lambda: "/login" not in self.driver.current_url, f"the login of {name}")

    def log_out(self) -> None:
        self.driver.delete_all_cookies()

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def click(self, words: str) -> None:
        """The link or button with those words."""
        self.driver.find_element(
            By.XPATH, f"//main//*[self::a or self::button][starts-with(normalize-space(), '{words}')]"
        ).click()

    def text(self, css: str = "main") -> str:
        """What can be read there."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def wait_for_text(self, words: str, css: str = "main") -> str:
        return str(wait_for(lambda: words in (text := self.text(css)) and text, f"{words!r} to be read in {css}"))

    def wait_until_live(self) -> None:
        """Until the page listens to the hub, and has looked again once."""
        wait_for(
            lambda: self.text("#live") == "Live" or self.run("return live.dataset.state") == "live",
            "the page to be live",
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def shifted(self) -> float:
        """The sum of the layout shifts since the page was loaded."""
        return float(self.run("return window.shifted"))

    def complaints(self) -> list[str]:
        """What the browser said in its console since it was last asked, other than of answers that were errors."""
        return [
            it["message"] for it in self.driver.get_log("browser") if "Failed to load resource" not in it["message"]
        ]

    def find_faults(self) -> list[str]:
        """What axe-core finds of what keeps people with disabilities out, serious or worse."""
        if not self.run("return typeof axe !== 'undefined'"):
            self.run(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((it) => done(it.violations), (error) => done([{id: String(error), nodes: []}]))"
        )
        return [
            f"{it['id']}: {it.get('help')}: {[node['html'][:200] for node in it['nodes'][:3]]}"
            for it in found
            if it.get("impact") not in ("minor", "moderate")
        ]

    def overflows(self) -> bool:
        """Whether the page is wider than the window."""
        return bool(self.run("return document.documentElement.scrollWidth > arguments[0]", self._width))

    def in_each_look(self, name: str, check: Callable[[], None]) -> None:
        """Have ``check`` look at the page that is open at each width, in each scheme; a picture of each is kept."""
        OUTPUT.mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            for scheme in SCHEMES:
                self.show(width, scheme)
                check()
                height = min(int(self.run("return document.documentElement.scrollHeight")), _LONGEST_PICTURE)
                self.show(width, scheme, height)
                self.driver.save_screenshot(str(OUTPUT / f"{name}-{width}-{scheme}.png"))
        self.show()


@contextmanager
def open_browser(url: str) -> Iterator[Browser]:
    """A headless Chromium on the hub at ``url``."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = _start(options)
    try:
        yield Browser(driver, url)
    finally:
        driver.quit()


def _start(options: ChromeOptions) -> Chrome:
    # The driver picks a port for IPv4, and ends if another process takes it for IPv6 before it does.
    for _ in range(2):
        with suppress(WebDriverException):
            return Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
    return Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
