"""The watchdog of a crawl: a process of its own, which ends the crawl where nothing has moved for too long.

It hears from the crawl over a pipe until when something has to move. Python's own packages are all that it starts with, so that it
takes little. What it does when it hears nothing:

1. It has the crawl write down where its threads are, which works also where one of them holds the interpreter.
2. It says that the run is stuck, and where (``verdict.py``), in the run's log, and on stderr.
3. It tells the crawl to end, as ``docker stop`` does; one that can't is killed, and so is every process that it started.
4. Of one that was killed it removes the temporary files, and completes the history; unless the next crawl is faster.
"""

import json
import logging
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from crawlers.runtime.logs import as_json, as_text, format_moment, log_format
from crawlers.runtime.masking import mask
from crawlers.runtime.verdict import write_verdict

logger = logging.getLogger("crawlers.runtime.watchdog")

# How long a crawl may take to end by itself.
_GRACE_SECONDS = 15.0
_STACK_SECONDS = 2.0
_GONE_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_STACK_BYTES = 64 << 10
_FRAME = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<name>.*)')


class Watchdog:
    """``order``: what ``watch.py`` says; ``pipe``, ``place``, ``stacks`` are descriptors."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._process = int(order["process"])
        self._folder = Path(order["folder"])
        self._run = str(order["run"])
        self._log = Path(order["log"])
        self._limit_seconds = float(order["limit_seconds"])
        self._signal = int(order["signal"])
        self._pipe, self._place, self._stacks = int(order["pipe"]), int(order["place"]), int(order["stacks"])
        self._crawl = os.pidfd_open(self._process)

    def watch(self) -> bool:
        """Wait until the crawl is over, or stuck; returns whether it is stuck."""
        poll = select.poll()
        for descriptor in (self._pipe, self._crawl):
            poll.register(descriptor, select.POLLIN)
        look_seconds = min(_LOOK_SECONDS, self._limit_seconds / 5)
        deadline, looked = float("inf"), time.monotonic()
        while time.monotonic() < deadline:
            events = {descriptor for descriptor, _ in poll.poll(1000 * look_seconds)}
            now = time.monotonic()
            # We were not running, so neither was the crawl: the container was paused, or the machine.
            paused, looked = max(0.0, now - looked - 2 * look_seconds), now
            deadline += paused
            if self._crawl in events:
                return False
            if self._pipe in events:
                told = os.read(self._pipe, 1 << 16).split()
                if not told:  # closed: the crawl is over
                    return False
                deadline = float(told[-1])
        return True

    def end(self) -> None:
        """End the crawl, which is stuck, and say so."""
        descendants = find_descendants(self._process)
        stacks = self._take_stacks()
        message = self._describe(stacks)
        with suppress(OSError):
            write_verdict(self._folder, self._run, message)
        self._tell(message, stacks)
        self._send(self._crawl, signal.SIGTERM)
        grace_seconds = min(_GRACE_SECONDS, self._limit_seconds / 3)
        settle: Callable[[], None] = lambda: None  # noqa: E731
        if not _is_gone(self._crawl, grace_seconds):
            settle = self._prepare_to_settle()  # before it ends, as its container may end with it
            descendants |= find_descendants(self._process)
            self._send(self._crawl, signal.SIGKILL)
            _is_gone(self._crawl, _GONE_SECONDS)
        for process in descendants:
            _kill(process)
        settle()

    def _take_stacks(self) -> str:
        """Where the crawl's threads are, as faulthandler writes it; empty where it doesn't in time."""
        self._send(self._crawl, self._signal)
        deadline, content = time.monotonic() + _STACK_SECONDS, b""
        while time.monotonic() < deadline:
            time.sleep(0.1)
            before, content = content, os.pread(self._stacks, _STACK_BYTES, 0)
            if content and content == before:
                break
        return content.decode("utf-8", "replace")

    def _describe(self, stacks: str) -> str:
        place = os.pread(self._place, 4096, 0).decode("utf-8", "replace").strip() or "before its first request"
        beat: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            beat = json.loads((self._folder / "heartbeat.json").read_bytes())
        counts = ", ".join(f"{beat.get(name, 0)} {name}" for name in ("requests", "responses", "records"))
        under_way = [url for url in beat.get("under_way", []) if url not in place]
        also = f"; also under way: {', '.join(under_way)}" if under_way else ""
        where = describe_stack(stacks)
        limit = f"{self._limit_seconds / 60:.3g} min" if self._limit_seconds >= 60 else f"{self._limit_seconds:.3g} s"
        return mask(
            f"stuck: nothing moved for {limit} while {place}{also} ({counts}). "
            f"{f'The main thread was in {where}. ' if where else ''}Nothing was published. `fleet logs` shows the stack."
        )

    def _tell(self, message: str, stacks: str) -> None:
        source = self._folder.name.removesuffix("_crawled")
        event = {
            "at": format_moment(time.time()),
            "level": "ERROR",
            "logger": logger.name,
            "source": source,
            "run": self._run,
            "message": message,
            "trace": mask(stacks),
        }
        line = as_json(event).encode("utf-8", "backslashreplace") + b"\n"
        with suppress(OSError):
            parts = [self._log, *self._log.parent.glob(f"{self._log.stem}+*")]
            newest = max(parts, key=lambda path: path.stat().st_mtime_ns)
            descriptor = os.open(newest, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.write(descriptor, line)
            os.close(descriptor)
        if log_format() == "text":
            del event["trace"]  # of use to a person who looks closer, in the run's log
            line = as_text(event).encode("utf-8", "backslashreplace") + b"\n"
        with suppress(OSError):
            os.write(2, line)

    def _prepare_to_settle(self) -> Callable[[], None]:
        """What completes the history of the crawl, and removes what it left."""
        import shutil
        import site
        import tempfile

        site.main()  # what else is installed is needed only now
        from crawlers.runtime.history import settle_killed
        from crawlers.runtime.temporary import BROWSER_FOLDER

        def settle() -> None:
            settle_killed(self._folder)
            for folder in Path(tempfile.gettempdir()).glob(f"{BROWSER_FOLDER}{self._process}-*"):
                shutil.rmtree(folder, ignore_errors=True)

        return settle

    def _send(self, process: int, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)


def describe_stack(stacks: str) -> str:
    """Where the thread that took the signal is, the main one: its innermost frame, and who called it: a source's code, or ours."""
    current = re.search(r"^Current thread .*\n((?:\s+.*\n?)*)", stacks, re.MULTILINE)
    frames = [found for line in (current[1] if current else "").splitlines() if (found := _FRAME.match(line))]
    if not frames:
        return ""
    own = [frame for frame in frames if not re.search(r"/lib/python3|site-packages|^<", frame["file"])]
    sources = [frame for frame in own if "/crawlers/runtime/" not in frame["file"] and "/fleet/" not in frame["file"]]
    callers = [frame for frame in (sources or own)[:1] if frame is not frames[0]]
    return ", called by ".join(f"{it['name']} ({Path(it['file']).name}:{it['line']})" for it in [frames[0], *callers])


def find_descendants(process: int) -> set[int]:
    """Handles (pidfd) of all processes that ``process`` started, and those that they started, but for this one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(path.read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = set(), [process]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child != os.getpid():
                waiting.append(child)
                with suppress(OSError):
                    found.add(os.pidfd_open(child))
    return found


def _is_gone(process: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _kill(process: int) -> None:
    with suppress(OSError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


def main() -> None:
    """``python -m crawlers.runtime.watchdog ORDER``"""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the crawl: with that, we end
        signal.signal(number, signal.SIG_IGN)
    try:
        order = json.loads(sys.argv[1])
        watchdog = Watchdog(order)
    except ProcessLookupError:
        return
    if os.getppid() == order["process"] and watchdog.watch():
        watchdog.end()


if __name__ == "__main__":
    main()
