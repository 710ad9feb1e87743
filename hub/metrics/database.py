"""What the database tells, without waiting for it: one that is away must hold up no scrape."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from hub.dataload.live import LiveRelease

if TYPE_CHECKING:  # it brings the SDK, which wants a configuration
    from hub.books import Books

logger = logging.getLogger(__name__)

Found = tuple[dict[str, LiveRelease], dict[str, dict[str, Any]]]

# How long a reading may take, and how long it is waited for.
_READING_SECONDS = 4.0
_PATIENCE_SECONDS = 0.3


class DatabaseReader:
    """Reads all of ``books`` in a thread of its own. Not for two threads at once."""

    def __init__(self, books: "Books") -> None:
        self._books = books
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._reading: Future[Found] | None = None
        self._started = 0.0
        self._found: Found | None = None

    def read(self) -> Found | None:
        """What ``Books.read_all`` gave last; None while the database is away. A reading that takes longer is for the next time."""
        if self._reading is None:
            self._started = time.monotonic()
            self._reading = self._executor.submit(self._books.read_all, _READING_SECONDS)
        try:
            self._found = self._reading.result(_PATIENCE_SECONDS)
            self._reading = None
        except TimeoutError:
            if time.monotonic() - self._started > 2 * _READING_SECONDS:  # it hangs where no timeout reaches
                self._found = None
        except PyMongoError as error:
            if self._found:
                logger.warning("metrics: the database can't be read: %s: %s", type(error).__name__, str(error)[:200])
            self._found, self._reading = None, None
        return self._found
