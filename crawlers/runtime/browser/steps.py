"""The steps taken in a rendered page. All of them wait for elements, never for a time."""

import time
from collections.abc import Callable

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from crawlers.runtime.browser.errors import StepError
from crawlers.runtime.browser.rendering import Rendering, Step

_POLL_SECONDS = 0.05
_COUNT = "return document.querySelectorAll(arguments[0]).length"
# What a page shows anew after data came, it shows at the next frame.
_NEXT_FRAME = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"


class StepTaker:
    """Takes the steps of pages in one browser. ``pause_seconds``: between two clicks, at least, as each asks the site for more.

    ``on_step`` is called after each click: of a page with many, nothing else shows that it moves.
    """

    def __init__(
        self, driver: WebDriver, timeout_seconds: float, pause_seconds: float, on_step: Callable[[], None]
    ) -> None:
        self._on_step = on_step
        self._driver = driver
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds
        self._clicked_at = 0.0

    def take(self, rendering: Rendering) -> None:
        """Bring the loaded page into the state in which it is read.

        :raises StepError: an element that must be there is not, or a click has not the effect that it must have.
        """
        if rendering.wait_for:
            self._wait_for(rendering.wait_for)
        for step in rendering.steps:
            if step.click and not self._click_all(step.click, step):
                continue
            if step.wait_for and step.times == 1:
                self._wait_for(step.wait_for)

    def _wait_for(self, css: str) -> None:
        if not self._until(lambda: bool(self._driver.find_elements(By.CSS_SELECTOR, css))):
            raise StepError(f"no element {css!r} within {self._timeout_seconds:g} s")

    def _click_all(self, css: str, step: Step) -> bool:
        """Whether there was anything to click."""
        if self._visible(css) is None:
            if step.optional:
                return False
            if not self._until(lambda: self._visible(css) is not None):
                raise StepError(f"no element {css!r} to click within {self._timeout_seconds:g} s")
        if step.times == 1:
            self._click(css)
            return True
        for _ in range(step.times):
            before = self._count(step)
            self._click(css)
            if not self._until(lambda: self._count(step) > before):  # noqa: B023
                if self._visible(css) is None:
                    return True
                raise StepError(f"a click on {css!r} brought no more {step.wait_for or 'elements'}")
            self._driver.execute_async_script(_NEXT_FRAME)
            if self._visible(css) is None:
                return True
        raise StepError(f"{css!r} is still there after {step.times} clicks: raise `times`, if the page is that long")

    def _click(self, css: str) -> None:
        time.sleep(max(0.0, self._clicked_at + self._pause_seconds - time.monotonic()))
        for attempt in (1, 2, 3):
            element = self._visible(css)
            try:
                if element is None or not element.is_enabled():
                    raise StepError(f"{css!r} can't be clicked: it is disabled, or went away")
                element.click()
            except StaleElementReferenceException:
                if attempt == 3:
                    raise
                continue  # the page showed it anew
            except (ElementClickInterceptedException, ElementNotInteractableException) as error:
                raise StepError(f"{css!r} can't be clicked: {(error.msg or '').splitlines()[0]}") from error
            break
        self._clicked_at = time.monotonic()
        self._on_step()

    def _visible(self, css: str) -> WebElement | None:
        for element in self._driver.find_elements(By.CSS_SELECTOR, css):
            try:
                if element.is_displayed():
                    return element
            except StaleElementReferenceException:
                continue
        return None

    def _count(self, step: Step) -> int:
        return self._driver.execute_script(_COUNT, step.wait_for or "*")

    def _until(self, condition: object) -> bool:
        try:
            WebDriverWait(self._driver, self._timeout_seconds, _POLL_SECONDS).until(lambda _: condition())  # type: ignore[operator]
            return True
        except TimeoutException:
            return False
