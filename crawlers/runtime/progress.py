"""Progress for people: a line that is renewed on a terminal, a log line now and then in a container."""

import logging
import sys
import time

from crawlers.runtime.release import Counts
from crawlers.runtime.tally import Tally

logger = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 30.0
_SHOW_EVERY_SECONDS = 0.2


class Progress:
    """Tells how far a crawl is. ``tick`` may be called as often as anything happens."""

    def __init__(self, name: str, tally: Tally, counts: Counts) -> None:
        self._name = name
        self._tally = tally
        self._counts = counts
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def tick(self) -> None:
        """Show where we are, if it is time to."""
        now = time.monotonic()
        if now - self._shown < (_SHOW_EVERY_SECONDS if self._terminal else _LOG_EVERY_SECONDS):
            return
        self._shown = now
        text = (
            f"{self._name}: {self._tally.responses} answers, {self._counts.items} records, "
            f"{self._tally.failed_pages} failed pages, {now - self._started:.0f} s"
        )
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        else:
            logger.info("%s", text)

    def close(self) -> None:
        """Clear the line, so that what comes next starts a fresh one."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
