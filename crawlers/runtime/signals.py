"""SIGTERM and SIGINT: a crawl that is told to stop ends at once, cleanly."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from crawlers.runtime.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether a signal asked us to stop. Further signals are ignored: the end is near, and clean.

    ``on_stop`` is called in the main thread when one does, within ``heeding`` only: elsewhere nothing may come between, say,
    a temporary file and the note that it has to be removed.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.on_stop: Callable[[], None] = _nothing
        self._is_late = False

    def check(self) -> None:
        """:raises Interrupted: we were asked to stop."""
        if self.signal_number is not None:
            name = signal.Signals(self.signal_number).name
            raise Interrupted(self.signal_number, f"stopped by {name}: nothing was published.")

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.signal_number is None and not self._is_late:
            self.signal_number = number
            self.on_stop()

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Within the block, a signal raises ``Interrupted`` in the main thread, wherever the program is, unless the block sets
        ``on_stop`` to something else.

        :raises Interrupted: we were asked to stop, before or within.
        """
        self.on_stop = self.check
        try:
            self.check()
            yield
        finally:
            self.on_stop = _nothing
        self.check()

    @contextmanager
    def too_late(self) -> Iterator[None]:
        """From here on a signal changes nothing any more: what is under way is done whole.

        No signal is blocked or ignored for that: the kernel may give one to any thread, and Python hands it over later.

        :raises Interrupted: we were asked to stop before.
        """
        self._is_late = True  # first, so that none comes between the check and this
        self.check()
        yield


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within the block, SIGTERM and SIGINT are handled as ``Stop`` says."""
    stop = Stop()
    before = {number: signal.signal(number, stop.handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing() -> None:
    pass
