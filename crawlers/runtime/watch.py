"""Watches over a crawl from within: tells the world how far it is, and the watchdog, a process of its own, that it still moves.

A thread looks at the crawl's counts. Whenever one has changed, it tells the watchdog until when the next must: where the crawl's process
hangs as a whole, the thread does, too, and the watchdog hears nothing. What came last, the crawl notes itself in a file that the watchdog
can read.
"""

import faulthandler
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from crawlers.runtime.heartbeat import Heartbeat, remove_heartbeat, write_heartbeat
from crawlers.runtime.http import Patience
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.masking import mask
from crawlers.runtime.release import Counts, format_release
from crawlers.runtime.run_log import LOGS, SUFFIX
from crawlers.runtime.settings import CHECKOUT
from crawlers.runtime.tally import Tally
from crawlers.runtime.verdict import read_verdict, remove_verdict

logger = logging.getLogger(__name__)

# The signal at which a crawl writes down where each of its threads is.
STACK_SIGNAL = signal.SIGRTMIN + 7
_LOOK_SECONDS = 1.0
# Before its first request a crawl loads its code, which takes a while on a machine that has other things to do.
_START_SECONDS = 60.0
_WRITE_SECONDS = 3.0
# Bytes that come count as a move by so many: a site that sends one now and then, to keep a connection open, doesn't.
_RECEIVED_BYTES = 64 << 10
_PLACE_BYTES = 1000
_SHOWN = 3
_LEAVE_SECONDS = 2.0


def stuck_seconds(manifest: Manifest, patience: Patience, minutes: float | None = None) -> float:
    """How long a crawl may show no move before it counts as stuck; 0: for ever.

    That is more than a request may take, and the pause that the manifest's rate asks for comes on top. Pauses before a request is tried
    again, and what a site asks for by Retry-After, don't count: see ``Tally.wait``.

    :param minutes: a person's word, which wins over the manifest's.
    """
    wanted = manifest.stuck_minutes * 60 if minutes is None else minutes * 60
    if not wanted:
        return 0.0
    return max(wanted, 2 * patience.timeout_seconds if minutes is None else 0.0) + 1 / manifest.rate


class Watch:
    """As a context manager, it watches over the run ``run`` of a source, which writes to the release folder ``folder``.

    :param limit_seconds: how long nothing may move; 0: for ever. :param state_dir: where the run's log is, for the watchdog's word.
    ``expected``: how many records there will be, by the last release.
    """

    def __init__(
        self, folder: Path, state_dir: Path, run: str, tally: Tally, counts: Counts, limit_seconds: float
    ) -> None:
        self._folder = folder
        self._state_dir = state_dir
        self._run = run
        self._tally = tally
        self._counts = counts
        self._limit_seconds = limit_seconds
        self._look_seconds = min(_LOOK_SECONDS, limit_seconds / 5) if limit_seconds else _LOOK_SECONDS
        self._write_seconds = min(_WRITE_SECONDS, 2 * self._look_seconds)
        self.expected: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="watch", daemon=True)
        self._started = self._moved_at = datetime.now(UTC)
        self._moved = time.monotonic()
        self._written = self._told = float("-inf")
        self._seen: tuple[int, ...] = ()
        self._has_asked = False
        self._watchdog = 0
        self._pipe = -1

    def __enter__(self) -> "Watch":
        remove_verdict(self._folder)
        if self._limit_seconds:
            self._place = tempfile.TemporaryFile(buffering=0)
            self._stacks = tempfile.TemporaryFile(buffering=0)
            faulthandler.register(STACK_SIGNAL, file=self._stacks, all_threads=True)
            self._tally.on_place = self._note_place
            self._start_watchdog()
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._limit_seconds:
            self._tally.on_place = lambda place: None
            os.close(self._pipe)
            if not self.verdict():
                self._see_watchdog_off()
                faulthandler.unregister(STACK_SIGNAL)
            self._place.close()
            self._stacks.close()
        with suppress(OSError):
            remove_heartbeat(self._folder)

    def verdict(self) -> str:
        """Where the run hung, if the watchdog ended it as stuck; else empty."""
        return read_verdict(self._folder, self._run)

    def _keep_looking(self) -> None:
        # A signal that this thread took would not wake the main one, which may wait for an answer that never comes.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, STACK_SIGNAL})
        while not self._ended.wait(self._look_seconds):
            self._look()

    def _look(self) -> None:
        now, tally, counts = time.monotonic(), self._tally, self._counts
        received = tally.received_bytes // _RECEIVED_BYTES
        counted = (counts.items, counts.records, counts.replayed, counts.rejects)
        seen = (tally.requests, tally.responses, tally.pages, tally.failed_pages, tally.steps, received, *counted)
        if seen != self._seen:
            self._seen, self._moved, self._moved_at = seen, now, datetime.now(UTC)
        if self._limit_seconds:
            patient_until = tally.patient_until if self._has_asked else self._moved + _START_SECONDS
            self._tell(max(self._moved, patient_until) + self._limit_seconds)
        if now - self._written >= self._write_seconds:
            self._written = now
            try:
                write_heartbeat(self._folder, self._describe())
            except OSError as error:
                logger.debug("no heartbeat: %s", error)

    def _describe(self) -> Heartbeat:
        tally, counts = self._tally, self._counts
        windows = tally.windows() if tally.windows else None
        by_site = windows.size if windows and windows.size else tally.expected
        return Heartbeat(
            run=self._run,
            started=format_release(self._started),
            at=format_release(datetime.now(UTC)),
            moved=format_release(self._moved_at),
            stuck_seconds=self._limit_seconds,
            requests=tally.requests,
            responses=tally.responses,
            bytes=tally.received_bytes,
            records=max(counts.items - counts.rejected_items - counts.withdrawn, 0),
            rejects=counts.rejects,
            failed=tally.failed_pages,
            expected=self.expected if by_site is None else by_site,
            expected_by="site" if by_site is not None else "last release" if self.expected is not None else "",
            harvested=windows.records if windows else 0,
            windows=windows.done if windows else 0,
            expected_windows=windows.expected if windows else None,
            last_url=mask(tally.last_url),
            under_way=[mask(url) for url in list(tally.under_way)[:_SHOWN]],
        )

    def _note_place(self, place: str) -> None:
        if not self._has_asked:  # now, as the thread may not come to it: what comes may hold up all threads
            self._has_asked = True
            self._tell(time.monotonic() + self._limit_seconds)
        content = place.encode("utf-8", "backslashreplace")[:_PLACE_BYTES].ljust(_PLACE_BYTES)
        with suppress(OSError, ValueError):
            os.pwrite(self._place.fileno(), content, 0)

    def _tell(self, deadline: float) -> None:
        """Tell the watchdog until when something has to move, by the machine's monotonic clock."""
        if self._has_watchdog_ended() and not self.verdict():
            logger.warning("the watchdog of this crawl was killed: a new one is started")
            os.close(self._pipe)
            self._start_watchdog()
            self._told = float("-inf")
        if deadline != self._told:
            self._told = deadline
            with suppress(OSError):  # it ended just now
                os.write(self._pipe, f"{deadline}\n".encode())

    def _start_watchdog(self) -> None:
        order = {
            "process": os.getpid(),
            "folder": str(self._folder),
            "run": self._run,
            "log": str(self._state_dir / LOGS / f"{self._run}{SUFFIX}"),
            "limit_seconds": self._limit_seconds,
            "signal": int(STACK_SIGNAL),
        }
        theirs, self._pipe = os.pipe()
        shared = {"pipe": theirs, "place": self._place.fileno(), "stacks": self._stacks.fileno()}
        # No site packages: it starts at once, and takes little memory. -P: the folder of the module is not on the path.
        command = [sys.executable, "-P", "-S", "-m", "crawlers.runtime.watchdog", json.dumps(order | shared)]
        # Not subprocess: nobody may wait for it where the crawl is stuck, and that is as it should be.
        self._watchdog = os.posix_spawn(
            sys.executable,
            command,
            {**os.environ, "PYTHONPATH": str(CHECKOUT)},
            file_actions=[(os.POSIX_SPAWN_DUP2, number, number) for number in shared.values()],  # to be inherited
        )
        os.close(theirs)

    def _see_watchdog_off(self) -> None:
        """Wait for the watchdog to end, which takes a moment, but not where it has just found that the crawl is stuck."""
        deadline = time.monotonic() + _LEAVE_SECONDS
        while not self._has_watchdog_ended() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _has_watchdog_ended(self) -> bool:
        try:
            return os.waitpid(self._watchdog, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            return True
