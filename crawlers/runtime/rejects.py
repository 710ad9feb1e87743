"""Rejects: what did not make it into a release, whole, with the reason, the field, the URL and the answer it came from.

A line of ``rejects.ndjson`` is

``{"reason", "kind", "field", "url", "record", "response"}``

- ``kind``: the error class, a key of ``tally.ADVICE``; ``field``: where the fault lies, empty where that is not known.
- ``record``: the record, whole; null for a page that gave none. ``"inexact": true`` beside it: JSON can't carry all that it held
  (NaN, a set, a lone surrogate …), and what it can't is written as Python would show it.
- ``response``: null, or ``{"url", "status", "content_type", "sha256", "callback", "cb_kwargs"}`` and ``"body"`` (text) or
  ``"base64"``. ``callback`` and ``cb_kwargs``: the spider's method that parses it, and what else that is given; null where there
  is none, or JSON can't carry it. The body stands at the first line with that ``sha256`` only; a line without any refers to
  it. ``"truncated": true``: the body was too large to be kept whole.
"""

import base64
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.ndjson import encode_reject, is_exact
from crawlers.runtime.tally import ADVICE

# Of an answer, at most so much is kept; of all answers of a run together, so much: a site that changes has a million pages.
MAX_BODY_BYTES = 1 << 20
_MAX_BODIES_BYTES = 256 << 20
# Of the bodies written so far, so many can be referred to, those used last. Writer and reader forget the same ones.
_REMEMBERED = 10_000
_MAX_LINE_BYTES = 256 << 20
# Of a method's arguments: they are noted with each record of the page.
_MAX_ARGUMENTS_BYTES = 16 << 10
_WHOLE, _TRUNCATED = (0, 0), (0, 1)


@dataclass(frozen=True)
class Answer:
    """An answer of a site, as the rejects keep it. ``callback``: the spider's method that parses it; empty where there is none."""

    url: str
    status: int = 200
    content_type: str = ""
    body: bytes = b""
    callback: str = ""
    cb_kwargs: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def head(self) -> dict[str, Any]:
        """All but the body, in the form of a reject's ``response``."""
        return {
            "url": self.url,
            "status": self.status,
            "content_type": self.content_type,
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "callback": self.callback or None,
            "cb_kwargs": self.cb_kwargs if _is_small(self.cb_kwargs) else None,
        }

    @cached_property
    def note(self) -> str:
        """``head`` as JSON, for where the answer itself can't be held."""
        return encode_reject(self.head).decode()


class RejectLines:
    """Makes the lines of a ``rejects.ndjson``, in flat memory. ``write`` is given each."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._bodies = _Remembered()
        self._left_bytes = _MAX_BODIES_BYTES

    def add(
        self,
        reason: str,
        *,
        kind: str = "",
        field: str = "",
        url: str = "",
        record: Any = None,
        response: Answer | dict[str, Any] | None = None,
    ) -> None:
        """Write a reject. ``kind``: taken from the beginning of the reason where it isn't given. ``response``: a dict is a head."""
        line = {
            "reason": reason,
            "kind": kind or kind_of(reason, record),
            "field": field,
            "url": url,
            "record": record,
            "response": self._response(response),
        }
        if not is_exact(record):
            line["inexact"] = True
        self._write(encode_reject(line))

    def _response(self, answer: Answer | dict[str, Any] | None) -> dict[str, Any] | None:
        if answer is None:
            return None
        head = answer if isinstance(answer, dict) else answer.head
        digest = head["sha256"]
        if (seen := self._bodies.get(digest)) is not None:
            return head | ({"truncated": True} if seen == _TRUNCATED else {})
        if isinstance(answer, dict):
            return head
        kept = min(len(answer.body), MAX_BODY_BYTES, self._left_bytes)
        self._left_bytes -= kept
        if kept < len(answer.body):
            self._bodies.put(digest, _TRUNCATED)
            return {**head, "body": answer.body[:kept].decode("utf-8", "replace"), "truncated": True}
        self._bodies.put(digest, _WHOLE)
        try:
            return {**head, "body": answer.body.decode("utf-8")}
        except UnicodeDecodeError:
            return {**head, "base64": base64.b64encode(answer.body).decode("ascii")}


class Reject(NamedTuple):
    """A line of the rejects. ``exact``: whether ``record`` is what the source's code made, to the letter.

    ``body``: of the answer, None where it wasn't kept, ``truncated`` where only its beginning was.
    """

    reason: str
    kind: str
    field: str
    url: str
    record: Any
    response: dict[str, Any] | None
    exact: bool = True
    body: bytes | None = None
    truncated: bool = False


def read_rejects(path: Path, most_bytes: int = _MAX_LINE_BYTES) -> Iterator[Reject | None]:
    """The rejects in the file, one after the other, in flat memory; None for a line that is none, or longer than ``most_bytes``.

    :raises ReleaseError: the file can't be read.
    """
    bodies = _Remembered()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            start = 0
            while line := file.readline(most_bytes):
                yield _read_line(line, start, bodies, descriptor)
                start += len(line)
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {error}. It holds the rejects of a crawl.") from error


def read_upload_rejects(path: Path) -> Iterator[Reject | None]:
    """The same for what an upload of the hub rejected (``upload-rejects.ndjson``, see ``hub.dataload.loading``)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            while line := file.readline(_MAX_LINE_BYTES):
                entry = _loads(line)
                yield _upload_reject(entry) if isinstance(entry, dict) else None
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {error}. It holds the rejects of an upload.") from error


def _is_small(arguments: dict[str, Any]) -> bool:
    return is_exact(arguments) and len(encode_reject(arguments)) <= _MAX_ARGUMENTS_BYTES


def kind_of(reason: str, record: Any) -> str:
    """The error class of a reject, where it isn't said: the first word of its reason, if that is one."""
    word = reason.partition(":")[0]
    return word if word in ADVICE else "parse" if record is None else "refused"


class _Remembered:
    """The bodies met last, by SHA-256, and where in the file their line stands: its offset and length in bytes."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def put(self, digest: str, line: tuple[int, int]) -> None:
        self._lines[digest] = line
        if len(self._lines) > _REMEMBERED:
            self._lines.popitem(last=False)

    def get(self, digest: str) -> tuple[int, int] | None:
        line = self._lines.get(digest)
        if line is not None:
            self._lines.move_to_end(digest)
        return line


def _read_line(line: bytes, start: int, bodies: _Remembered, descriptor: int) -> Reject | None:
    entry = _loads(line)
    if not isinstance(entry, dict) or not isinstance(entry.get("reason"), str):
        return None
    response = entry.get("response")
    response = response if isinstance(response, dict) else None
    body, truncated = None, False
    if response is not None:
        digest, truncated = str(response.get("sha256")), bool(response.get("truncated"))
        body = _body(response)
        if body is not None:
            bodies.put(digest, (start, len(line)))
        elif (first := bodies.get(digest)) is not None:
            body = _body(orjson.loads(os.pread(descriptor, first[1], first[0]))["response"])
    record = entry.get("record")
    return Reject(
        entry["reason"],
        str(entry.get("kind") or kind_of(entry["reason"], record)),
        str(entry.get("field") or ""),
        str(entry.get("url") or ""),
        record,
        response,
        not entry.get("inexact"),
        body,
        truncated,
    )


def _body(response: dict[str, Any]) -> bytes | None:
    try:
        if isinstance(text := response.get("body"), str):
            return text.encode()
        return base64.b64decode(response["base64"]) if isinstance(response.get("base64"), str) else None
    except ValueError:
        return None


def _upload_reject(entry: dict[str, Any]) -> Reject:
    reason = str(entry.get("reason"))
    record = _loads(entry["text"].encode()) if isinstance(entry.get("text"), str) else None
    url = str(record.get("url") or "") if isinstance(record, dict) else ""
    kind = "duplicate" if reason.startswith("duplicate") else "schema"
    shown = record if record is not None else entry.get("text") or entry.get("excerpt") or entry.get("base64")
    return Reject(reason, kind, "", url or f"{entry.get('file')}:{entry.get('line')}", shown, None)


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
