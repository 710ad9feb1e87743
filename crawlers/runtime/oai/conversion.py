"""The answers of an OAI-PMH server converted by other processes: ahead, while the server is asked for more, and what is left, after."""

import hashlib
import os
import pickle
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from lxml import etree

from crawlers.runtime.errors import FleetError
from crawlers.runtime.ndjson import UnwritableError, encode, encode_reject
from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.convert import ConversionError, convert
from crawlers.runtime.oai.windows import read_body

# Of some 80 MB each: the limit of a crawler's container is 512.
_PROCESSES_MAX = 3
# What waits, a process: enough that none is ever idle.
_AHEAD = 3
# Below so many bytes of answers, other processes would take longer to start than this one to convert them.
_WORTH_PROCESSES_BYTES = 4 << 20


class Version(NamedTuple):
    """A version of a record. ``content``: the record made of it, as JSON; empty if it is a deletion.

    ``reason``: why none could be made; ``content`` is the record as it came then.
    """

    identifier: str
    datestamp: str
    deleted: bool
    content: bytes
    reason: str = ""


class Converter:
    """Converts bodies of answers. As a context manager it holds the processes that do so, and what they did ahead.

    :param scratch: a folder for a temporary file, which takes as much as all records together.
    :param processes: how many; 1: this one alone. :param on_body: called for each body that is converted.
    """

    def __init__(self, scratch: Path, processes: int = 0, on_body: Callable[[], None] = lambda: None) -> None:
        self._scratch = scratch
        self._on_body = on_body
        self._processes = processes or processors()
        self._pool: ProcessPoolExecutor | None = None
        self._broken = False
        self._lock = threading.Lock()
        self._offered_bytes = 0
        self._under_way = 0
        self._made: dict[bytes, tuple[int, int]] = {}  # by digest of the body: where in the file, and how long

    def __enter__(self) -> "Converter":
        self._file = tempfile.TemporaryFile(dir=self._scratch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            if kind or self._broken:
                # The pool itself would wait for ever for one that was just being started when another was killed.
                for process in list((self._pool._processes or {}).values()):
                    process.kill()
            self._pool.shutdown(wait=kind is None, cancel_futures=True)
        with self._lock:
            self._file.close()

    def offer(self, body: bytes) -> None:
        """Convert ``body`` ahead, if a process is free for it; from any thread."""
        with self._lock:
            self._offered_bytes += len(body)
            if not self._is_worth_it(self._offered_bytes) or self._under_way >= _AHEAD * self._processes:
                return
            try:
                future = self._submit(body)
            except BrokenProcessPool:  # said when the rest is converted
                return
            self._under_way += 1
        digest = _digest(body)
        future.add_done_callback(lambda done: self._keep(digest, done))

    def convert_all(self, bodies: Iterable[bytes]) -> Iterator[list[Version]]:
        """The versions of records in each body, in order. Few bodies are in memory at a time.

        :raises FleetError: a process was killed.
        """
        waiting: deque[Future[bytes] | list[Version]] = deque()
        seen_bytes = 0
        try:
            for body in bodies:
                self._on_body()
                seen_bytes += len(body)
                if (made := self._take(body)) is not None:
                    waiting.append(made)
                elif self._pool or self._is_worth_it(seen_bytes):
                    waiting.append(self._submit(body))
                else:
                    waiting.append(convert_body(body))
                if len(waiting) >= _AHEAD * self._processes:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        except BrokenProcessPool as error:
            self._broken = True
            raise FleetError(
                "a process that converts records was killed: perhaps there is too little memory. Nothing was published; what was "
                "harvested is kept, and the next run converts it."
            ) from error

    def _is_worth_it(self, size: int) -> bool:
        return self._processes > 1 and size >= _WORTH_PROCESSES_BYTES

    def _submit(self, body: bytes) -> "Future[bytes]":
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes, get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
            )
        try:
            return self._pool.submit(_convert_and_pack, body)
        except OSError as error:  # the pool is being closed, since one of its processes was killed
            raise BrokenProcessPool(str(error)) from error

    def _keep(self, digest: bytes, done: "Future[bytes]") -> None:
        with self._lock:
            self._under_way -= 1
            if done.cancelled() or done.exception() or self._file.closed:
                return
            packed, start = done.result(), self._file.seek(0, os.SEEK_END)
            self._file.write(packed)
            self._made[digest] = (start, len(packed))

    def _take(self, body: bytes) -> list[Version] | None:
        if not self._made:
            return None
        digest = _digest(body)
        with self._lock:
            if digest not in self._made:
                return None
            start, size = self._made[digest]
            self._file.seek(start)
            return pickle.loads(self._file.read(size))  # noqa: S301 - our own file, without a name


def convert_body(body: bytes) -> list[Version]:
    """The records in the body of an answer."""
    return [_version(record) for record in read_body(body)]


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
        return Version(record.identifier, record.datestamp, True, b"")
    try:
        return Version(record.identifier, record.datestamp, False, encode(convert(record)))
    except (ConversionError, UnwritableError) as error:
        came = encode_reject(as_it_came(record))
        return Version(record.identifier, record.datestamp, False, came, str(error))


def _convert_and_pack(body: bytes) -> bytes:
    return pickle.dumps(convert_body(body), pickle.HIGHEST_PROTOCOL)


def _result(waiting: "Future[bytes] | list[Version]") -> list[Version]:
    return waiting if isinstance(waiting, list) else pickle.loads(waiting.result())  # noqa: S301 - from our own process


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _begin(parent: int) -> None:
    """Set up a process: it leaves signals from the terminal to its parent, and ends with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    # Not by prctl(2): the signal would come when the thread ends that started this process.
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
