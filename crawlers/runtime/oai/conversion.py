"""The answers of an OAI-PMH server converted, by as many processes as there are processors, in the order in which they came."""

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, NamedTuple

from lxml import etree

from crawlers.runtime.errors import FleetError
from crawlers.runtime.ndjson import UnwritableError, encode, encode_reject
from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.convert import ConversionError, convert
from crawlers.runtime.oai.windows import read_body

_PROCESSES_MAX = 4
# What waits, a process: enough that none is ever idle.
_AHEAD = 3


class Version(NamedTuple):
    """A version of a record. ``content``: the record made of it, as JSON; empty if it is a deletion.

    ``reason``: why none could be made; ``content`` is the record as it came then.
    """

    identifier: str
    datestamp: str
    deleted: bool
    content: bytes
    reason: str = ""


def convert_body(body: bytes) -> list[Version]:
    """The records in the body of an answer."""
    return [_version(record) for record in read_body(body)]


def convert_all(bodies: Iterable[bytes], processes: int) -> Iterator[list[Version]]:
    """``convert_body`` for each, in order. Few bodies are in memory at a time.

    :raises FleetError: a process was killed.
    """
    if processes < 2:
        yield from map(convert_body, bodies)
        return
    waiting: deque[Future[list[Version]]] = deque()
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)) as pool:
        try:
            for body in bodies:
                waiting.append(pool.submit(convert_body, body))
                if len(waiting) >= _AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise FleetError(
                "a process that converts records was killed: perhaps there is too little memory. Nothing was published; what was "
                "harvested is kept, and the next run converts it."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


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


def _begin(parent: int) -> None:
    """Set up a process: it leaves signals from the terminal to its parent, and ends with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
