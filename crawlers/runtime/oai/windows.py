"""Windows: a range of dates, and the file of all that a server answered for it.

A file is gzip over frames: a line of JSON that says where the answer came from (``Frame``), then the body as it was received,
decompressed, then a newline. Its name says which range it covers and how that went (see ``ledger``).
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from crawlers.runtime.errors import FleetError
from crawlers.runtime.oai.answer import Answer, AnswerError, OaiRecord, read_answer

DONE = "done"
EMPTY = "empty"
GAP = "gap"
MEND = "mend"
# Level 1: a third more bytes than level 6, at a fifth of its time.
_COMPRESSION = 1
_LINE_MAX_BYTES = 1 << 20


class Frame(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What precedes a body: the URL asked, when the answer came (ISO 8601, UTC), the size of the body, what was mended in it."""

    url: str
    when: str
    bytes: int
    status: int = 200
    repairs: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Window:
    """A window that came to an end. ``start`` and ``until``: seconds since 1970, both within it; ``state``: done, empty, gap or mend.

    ``run``: which of the harvests in this ledger wrote it, counted from 1.
    """

    path: Path
    start: int
    until: int
    state: str
    run: int


class WindowFileError(FleetError):
    """A window's file is not what this program wrote."""


class WindowWriter:
    """Writes frames to ``file``, which lies at ``path`` and stays open.

    ``on_answer`` is called with each body, and what was read of it, if it was. ``state`` and ``until``: what the window is going to be, and where it ends; whoever adds to it says so.
    """

    def __init__(
        self, file: IO[bytes], path: Path, until: int, on_answer: Callable[[bytes, Answer | None], None] | None = None
    ) -> None:
        self.until = until
        self.state = EMPTY
        self._path = path
        self._on_answer = on_answer
        self._buffer = io.BufferedWriter(file, 1 << 18)
        self._gzip = self._member()

    def add(self, frame: Frame, body: bytes, answer: Answer | None = None) -> None:
        """Add an answer; ``answer``: what was read of ``body``, if it was already."""
        self._gzip.write(msgspec.json.encode(frame) + b"\n")
        self._gzip.write(body)
        self._gzip.write(b"\n")
        if self._on_answer:
            self._on_answer(body, answer)

    def identifiers(self) -> set[str]:
        """Those of the records written so far."""
        self._gzip.close()
        self._buffer.flush()
        self._gzip = self._member()  # gzip files may follow one another in one
        return {record.identifier for record in read_window(self._path)}

    def finish(self) -> None:
        """Write what is buffered."""
        self._gzip.close()
        self._buffer.flush()
        self._buffer.detach()

    def _member(self) -> gzip.GzipFile:
        return gzip.GzipFile("", "wb", _COMPRESSION, self._buffer, mtime=0)


def read_frames(path: Path) -> Iterator[tuple[Frame, bytes]]:
    """The answers in a window's file, one after the other.

    :raises WindowFileError: it is cut off or was changed.
    """
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_LINE_MAX_BYTES):
                frame = msgspec.json.decode(line, type=Frame)
                body = file.read(frame.bytes)
                if len(body) != frame.bytes or file.read(1) != b"\n":
                    raise EOFError("a frame ends early")
                yield frame, body
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise WindowFileError(
            f"{path}: {error}. It was not written so by a harvest; remove the file, and the next one asks for its window again."
        ) from error


def read_window(path: Path) -> Iterator[OaiRecord]:
    """The records in a window's file, in the order in which they came; some may be there more than once.

    Of a list of identifiers only the deletions are records: of the others there is the answer to GetRecord, or a gap.

    :raises WindowFileError: it is cut off or was changed.
    """
    for _, body in read_frames(path):
        try:
            yield from answered_records(read_answer(body))
        except AnswerError:  # kept for people: what it should have held was asked for in another way, or is a gap
            continue


def answered_records(answer: Answer) -> list[OaiRecord]:
    """The records in an answer, as ``read_window`` says."""
    if answer.verb == "ListIdentifiers":
        return [record for record in answer.records() if record.deleted]
    return answer.records()
