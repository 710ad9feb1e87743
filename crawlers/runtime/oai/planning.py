"""Which windows come next: coarse ones, and smaller ones where there are many records."""

import threading
from collections import deque
from collections.abc import Sequence

from crawlers.runtime.oai.dates import floor_to
from crawlers.runtime.oai.ledger import Plan, Range
from crawlers.runtime.oai.list_checks import TooMany

# A window is meant to have about this many records: few windows for a quiet archive, little to repeat for a busy one.
WINDOW_RECORDS = 20_000
# From so many times that on it is cut into smaller ones.
_TOO_MANY = 3
# So many may come from a server that doesn't say how many there are.
_UNKNOWN_MAX = 100_000
_UNKNOWN_PARTS = 16
_SLICES_A_WORKER = 2


class Planner:
    """Hands out windows of ``ranges``, oldest first, to ``workers`` at once, and learns from each how large the next may be."""

    def __init__(self, plan: Plan, ranges: Sequence[Range], workers: int) -> None:
        self._granularity = plan.granularity
        self._workers = workers
        self._open = deque(ranges)
        self._running = 0
        self._span: int | None = None  # seconds; None: a whole range
        self._whole: Range | None = None  # not to be cut: it is thought to be empty
        self._target = WINDOW_RECORDS
        self._page = 1
        self._changed = threading.Condition()
        self._stopped = False
        self.size: int | None = None
        self.done = 0
        self.records = 0

    def take(self) -> tuple[Range, int | None, int | None] | None:
        """The next window, how many records it may announce, and how many it may have unannounced (None: any). None: no more."""
        with self._changed:
            while not self._stopped:
                if self._open:
                    window = self._cut(self._open.popleft())
                    self._running += 1
                    if window[1] - window[0] < self._granularity:
                        return window, None, None
                    many = _TOO_MANY * self._target
                    # With several workers it is worth a request to see what can be shared out.
                    first = self._span is None and self._workers > 1
                    return window, self._page if first else many, 0 if first else max(_UNKNOWN_MAX, many)
                if not self._running:
                    return None
                self._changed.wait(1.0)
            return None

    def finish(self, window: Range, records: int) -> None:
        """A window came to its end with so many records."""
        with self._changed:
            self._running -= 1
            self.done += 1
            self.records += records
            if self._span is not None:
                self._adapt(window, records)
            self._changed.notify_all()

    def split(self, window: Range, many: TooMany) -> None:
        """A window has too many records: it is handed out again in parts."""
        with self._changed:
            self._running -= 1
            start, until = window
            length = until - start + 1
            self._page = max(many.page, 1)
            if many.size is None:
                self._target = WINDOW_RECORDS
                self._span = length // (_UNKNOWN_PARTS if self._workers == 1 else 4 * self._workers)
            else:
                self.size = max(self.size or 0, self.records + many.size)
                self._target = self._fair_share()
                self._span = int(length * self._target / many.size)
            if many.dates and start < many.dates[0] <= until:
                # What is before the first record is one window, and how far apart records are is seen from the first of them.
                first, last = (floor_to(date, self._granularity) for date in many.dates)
                if last > first:
                    self._span = min(self._span, int((last - first) * self._target / self._page))
                self._open.appendleft((first, until))
                self._whole = (start, first - 1)
                self._open.appendleft(self._whole)
            else:
                self._open.appendleft(window)
            self._span = max(self._span, 1)
            self._changed.notify_all()

    def give_back(self, window: Range) -> None:
        """A window was not harvested: its place is open."""
        with self._changed:
            self._running -= 1
            self._open.appendleft(window)
            self._changed.notify_all()

    def drop_open(self) -> list[Range]:
        """Hand out nothing more; returns what is still open."""
        with self._changed:
            left, self._open = list(self._open), deque()
            self._changed.notify_all()
            return left

    def stop(self) -> None:
        """Hand out nothing more: the harvest ends."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def estimate(self) -> int:
        """About how many windows there are in all."""
        with self._changed:
            left = 0
            for start, until in self._open:
                left += 1 if self._span is None else max(1, -(-(until - start + 1) // max(self._span, 1)))
            return self.done + self._running + left

    def _cut(self, window: Range) -> Range:
        start, until = window
        if self._span is None or window == self._whole:
            return window
        step = self._granularity
        end = start - start % step + max(self._span // step, 1) * step - 1
        if end >= until:
            return window
        self._open.appendleft((end + 1, until))
        return start, end

    def _adapt(self, window: Range, records: int) -> None:
        assert self._span is not None
        span, share = self._span, self._fair_share()
        span = int(span * share / self._target)
        self._target = share
        if records > 2 * share:
            length = window[1] - window[0] + 1
            span = min(span, int(length * share / records))
        elif records * 2 < share and self._span // 2 <= window[1] - window[0] + 1 <= 2 * self._span:
            span *= 2 if records else 4
        self._span = max(span, 1)

    def _fair_share(self) -> int:
        """How many records a window should have: the fewer are left, the less, so that all workers end together."""
        if self._workers == 1 or self.size is None:
            return WINDOW_RECORDS
        left = max(self.size - self.records, 0)
        return max(2 * self._page, min(WINDOW_RECORDS, left // (_SLICES_A_WORKER * self._workers)), 1)
