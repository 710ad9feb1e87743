"""The answers of an OAI-PMH server converted: those of a window under way in a thread beside it, while the server is asked for more,
and windows of which that was not done, or not by these converters, by processes."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from lxml import etree

from crawlers.runtime.coverage import shape_of
from crawlers.runtime.errors import FleetError
from crawlers.runtime.ndjson import UnwritableError, encode, encode_reject
from crawlers.runtime.oai.answer import Answer, AnswerError, OaiRecord, read_answer
from crawlers.runtime.oai.convert import ConversionError, convert
from crawlers.runtime.oai.converted import (
    DELETED,
    FOLDER,
    KEPT,
    REJECTED,
    Version,
    converted_path,
    is_converted,
    write_block,
    write_end,
)
from crawlers.runtime.oai.windows import WindowFileError, answered_records, read_frames
from crawlers.runtime.temporary import create_temporary, temporary_path

logger = logging.getLogger(__name__)

# Of some 80 MB each: the limit of a crawler's container is 512.
_PROCESSES_MAX = 3
# Below so many bytes of windows, other processes would take longer to start than this one to convert them.
_WORTH_PROCESSES_BYTES = 1 << 20
# How many answers may wait for the thread that converts them; each is held whole.
_WAITING_MAX = 2


class WindowConversion:
    """Converts the answers of one window, in a thread of its own, into a file that gets its name by ``finish``.

    It is a saving alone: where it fails, the window is converted when the release is built, and that fails for the same reason.

    :param folder: that of the windows; ``name``: what tells this one from others under way.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder / FOLDER
        self._name = name
        self._room = threading.Semaphore(_WAITING_MAX)
        self._thread = ThreadPoolExecutor(1, "oai-convert")  # begun by the first answer
        self._file: IO[bytes] | None = None
        self._failed = False

    def __enter__(self) -> "WindowConversion":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.close()
            temporary_path(self._folder, self._name).unlink(missing_ok=True)

    def add(self, body: bytes, answer: Answer | None = None) -> None:
        """Take an answer; waits where it comes faster than it can be converted. ``answer``: ``body``, if it was read already."""
        self._room.acquire()
        self._thread.submit(self._convert, body, answer).add_done_callback(self._note)

    def finish(self, made_of: os.stat_result, window: Path) -> None:
        """All answers of the file ``window``, which is as ``made_of`` says, were given."""
        self._thread.shutdown()
        if self._failed or self._file is None:
            return
        write_end(self._file, made_of)
        temporary_path(self._folder, self._name).replace(converted_path(window))

    def _convert(self, body: bytes, answer: Answer | None) -> None:
        if self._failed:
            return
        if self._file is None:
            self._folder.mkdir(exist_ok=True)
            self._file = create_temporary(self._folder, self._name)
        write_block(self._file, convert_answer(body, answer))

    def _note(self, done: "Future[None]") -> None:
        self._room.release()
        if not done.cancelled() and (error := done.exception()):
            self._failed = True
            logger.warning("%s is converted later: %s: %s", self._name, type(error).__name__, error)


def convert_windows(windows: Sequence[Path], step: Callable[[], None] = lambda: None) -> None:
    """Convert those of ``windows`` that aren't, by several processes where there is much to do. ``step`` is called for each.

    :raises WindowFileError: a window's file can't be read.
    :raises FleetError: a process was killed.
    """
    missing = [window for window in windows if not is_converted(window)]
    processes = min(processors(), len(missing))
    if processes < 2 or not _is_worth_processes(missing):
        for window in missing:
            step()
            convert_window(window)
        return
    logger.info("converting %d windows by %d processes", len(missing), processes)
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin)
    whole = False
    try:
        for _ in pool.map(convert_window, missing):
            step()
        whole = True
    except BrokenProcessPool as error:
        raise FleetError(
            "a process that converts records was killed: perhaps there is too little memory. Nothing was published; what was "
            "harvested is kept, and the next run converts it."
        ) from error
    finally:
        if not whole:
            # The pool itself would wait for ever for one that was just being started when another was killed.
            for process in list((pool._processes or {}).values()):
                process.kill()
        pool.shutdown(wait=whole, cancel_futures=True)


def convert_window(window: Path) -> None:
    """Convert the file of a window.

    :raises WindowFileError: it can't be read.
    """
    path = converted_path(window)
    path.parent.mkdir(exist_ok=True)
    try:
        made_of = window.stat()
    except OSError as error:
        raise WindowFileError(f"{window}: {error}") from error
    with create_temporary(path.parent, path.name) as file:
        try:
            for _, body in read_frames(window):
                write_block(file, convert_answer(body))
            write_end(file, made_of)
            temporary_path(path.parent, path.name).replace(path)
        finally:
            temporary_path(path.parent, path.name).unlink(missing_ok=True)


def convert_answer(body: bytes, answer: Answer | None = None) -> list[Version]:
    """The versions of records in the body of an answer; ``answer``: what was read of it, if it was already."""
    try:
        return [_version(record) for record in answered_records(answer or read_answer(body))]
    except AnswerError:  # kept for people: what it should have held was asked for in another way, or is a gap
        return []


def _is_worth_processes(windows: Sequence[Path]) -> bool:
    return sum(window.stat().st_size for window in windows if window.exists()) >= _WORTH_PROCESSES_BYTES


def processors() -> int:
    """How many processes are worth starting here."""
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _PROCESSES_MAX
    )


def as_it_came(record: OaiRecord) -> dict[str, Any]:
    """The record for the rejects, its metadata as XML."""
    metadata = record.metadata
    return {
        "_id": record.identifier,
        "datestamp": record.datestamp,
        "sets": list(record.set_specs),
        "metadata": None if metadata is None else etree.tostring(metadata, encoding="unicode", with_tail=False),
    }


def _version(record: OaiRecord) -> Version:
    if record.deleted:
        return Version(record.identifier, record.datestamp, DELETED, b"")
    try:
        made = convert(record)
        # A copy: what orjson gives (3.13) takes up to eight times the memory of its length, and as much time to get as to copy.
        line = bytes(memoryview(encode(made)))
        return Version(record.identifier, record.datestamp, KEPT, line, shape_of(made))
    except (ConversionError, UnwritableError) as error:
        content = encode_reject({"reason": str(error), "record": as_it_came(record)})
        return Version(record.identifier, record.datestamp, REJECTED, content)


def _begin() -> None:
    """Set up a process: it leaves signals from the terminal to its parent, and ends with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    # Not by prctl(2): the signal would come when the thread ends that started this process.
    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
