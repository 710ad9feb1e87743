"""What goes wrong in a browser, each with the class of error that it counts as (``failures.failure_class``)."""

from crawlers.runtime.errors import FleetError


class BrowserMissingError(FleetError):
    """Chromium or its driver is not installed, or does not start."""


class BrowserCrashedError(FleetError):
    """The browser, or the page's own process, ended while it was at a page. It is replaced, and the page tried again."""


class StepError(FleetError):
    """A page is not what its steps expect."""


class NavigationError(FleetError):
    """The browser could not load the page. ``reason``: Chromium's own word, e.g. ``ERR_CONNECTION_RESET``."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.reason = reason
