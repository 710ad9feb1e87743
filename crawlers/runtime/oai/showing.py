"""How far a harvest is, for people: a line that is renewed on a terminal, a log line now and then in a container."""

import logging
import sys
import threading
import time

from crawlers.runtime.oai.planning import Planner
from crawlers.runtime.tally import Windows

logger = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 30.0
_SHOW_EVERY_SECONDS = 0.2


class HarvestProgress:
    """Tells how far a harvest is. ``planner``: that of the plan under way; ``records``: how many came so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._lock = threading.Lock()
        self.records = 0
        self.planner: Planner | None = None

    def add(self, records: int) -> None:
        """A page came with so many records; shows where we are, if it is time to."""
        with self._lock:
            self.records += records
            now = time.monotonic()
            if now - self._shown < (_SHOW_EVERY_SECONDS if self._terminal else _LOG_EVERY_SECONDS):
                return
            self._shown = now
        text = self.describe(now)
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        else:
            logger.info("%s", text)

    def windows(self) -> Windows:
        """How far the plan under way is."""
        if self.planner is None:
            return Windows(0, 0, self.records, None)
        return Windows(self.planner.done, self.planner.estimate(), self.records, self.planner.size)

    def describe(self, now: float) -> str:
        """E.g. ``zenodo_org: 3 of about 12 windows, 61,234 records, 812/s, about 4 min left``."""
        rate = self.records / max(now - self._started, 0.001)
        text = f"{self.records:,} records, {rate:,.0f}/s"
        if self.planner is None:
            return f"{self._name}: {text}"
        done, windows = self.planner.done, self.planner.estimate()
        size = self.planner.size
        share = min(self.records / size, 1.0) if size else done / max(windows, 1)
        left = ""
        if share > 0.01:
            seconds = (now - self._started) * (1 - share) / share
            left = f", about {seconds:.0f} s left" if seconds < 120 else f", about {seconds / 60:.0f} min left"
        return f"{self._name}: {done} of about {windows} windows, {text}{left}"

    def close(self) -> None:
        """Clear the line, so that what comes next starts a fresh one."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
