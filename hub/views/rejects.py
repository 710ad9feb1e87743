"""What did not make it into a release: groups of alike rejects, and the rejects of a group, each with the place of its fault.

A page is no place for a million lines: so many are read, within a time, and the answer says when that was not all.
"""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from crawlers.runtime.errors import ReleaseError, UsageError
from crawlers.runtime.ndjson import encode_reject
from crawlers.runtime.reject_files import UNPUBLISHED, find_rejects
from crawlers.runtime.reject_groups import Group, excerpt, group, matches, normalise
from crawlers.runtime.rejects import Reject, read_rejects, read_upload_rejects
from crawlers.runtime.release import REJECTS, release_folder
from hub.settings import HubSettings
from hub.views.releases import UPLOAD_REJECTS, find_folder

MAX_REJECTS = 100
_MAX_BYTES = 8 << 20
_MAX_LINES = 100_000
# Unpacked, a line may take thirty times as much: more than the hub has to spare.
_MAX_LINE_BYTES = 4 << 20
_SECONDS = 3.0
_BODY_CHARACTERS = 20_000

Of = Literal["crawl", "upload"]


class RejectGroups(msgspec.Struct, kw_only=True):
    """``of``: whose rejects. ``looked_at``: lines read; ``cut_off``: whether there are more. ``groups``: the largest first."""

    source: str
    release: str
    of: Of
    looked_at: int
    cut_off: bool
    groups: list[Group]


class RejectLook(msgspec.Struct, kw_only=True):
    """A reject, whole: ``record`` is null for a page; ``excerpt``: what is at the fault; ``body``: of the answer, its beginning."""

    reason: str
    kind: str
    field: str
    url: str
    excerpt: str
    record: Any
    response: dict[str, Any] | None
    body: str


class _Reading:
    """Reads rejects as far as lines and time reach."""

    def __init__(self, path: Path, of: Of) -> None:
        self._rejects = read_upload_rejects(path) if of == "upload" else read_rejects(path, _MAX_LINE_BYTES)
        self.looked_at = 0
        self.cut_off = False

    def __iter__(self) -> Iterator[Reject | None]:
        deadline = time.monotonic() + _SECONDS
        for reject in self._rejects:
            if self.looked_at >= _MAX_LINES or time.monotonic() > deadline:
                self.cut_off = True
                return
            self.looked_at += 1
            yield reject


def group_rejects(
    settings: HubSettings, name: str, word: str, of: Of, live: str | None, examples: int = 1
) -> RejectGroups:
    """The rejects of a release, or of its upload, put together.

    :raises UsageError: there is no such release. :raises ReleaseError: its rejects can't be read.
    """
    release, path = _find_file(settings, name, word, of, live)
    reading = _Reading(path, of) if path else None
    groups = group(reading, examples) if reading else []
    return RejectGroups(
        source=name,
        release=release,
        of=of,
        looked_at=reading.looked_at if reading else 0,
        cut_off=bool(reading and reading.cut_off),
        groups=groups,
    )


def list_rejects(
    settings: HubSettings,
    name: str,
    word: str,
    of: Of,
    live: str | None,
    *,
    kind: str = "",
    reason: str = "",
    field: str = "",
    text: str = "",
    skip: int = 0,
    limit: int = 10,
) -> list[RejectLook]:
    """Rejects of a release, whole: those of the class ``kind``, of the group ``reason``, at or below ``field``, with ``text`` in
    their reason. At most some megabytes of them.
    """
    _, path = _find_file(settings, name, word, of, live)
    if path is None:
        return []
    found = (
        reject
        for reject in _Reading(path, of)
        if reject is not None
        and matches(reject, text, field, kind)
        and reason in ("", normalise(reject.reason, reject.kind))
    )
    listed: list[RejectLook] = []
    size_bytes = 0
    for reject in islice(found, skip, skip + min(limit, MAX_REJECTS)):
        size_bytes += len(encode_reject({"record": reject.record}))
        if listed and size_bytes > _MAX_BYTES:
            break
        listed.append(_look(reject))
    return listed


def _find_file(settings: HubSettings, name: str, word: str, of: Of, live: str | None) -> tuple[str, Path | None]:
    """The release, and the file of its rejects; None where it has none. ``unpublished``: of the last run that published nothing."""
    if word == UNPUBLISHED or of == "crawl":
        crawled = release_folder(settings.runtime.shared_dir, name)
        for file in find_rejects(crawled):
            if file.of == UNPUBLISHED and word in (UNPUBLISHED, file.release):
                return file.release, file.path
        if word == UNPUBLISHED:
            raise UsageError(f"{name}: no run that published nothing has left rejects")
    release, folder = find_folder(settings, name, word, live)
    path = folder / (UPLOAD_REJECTS if of == "upload" else REJECTS)
    try:
        return release, path if path.is_file() else None
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {error}") from error


def _look(reject: Reject) -> RejectLook:
    body = (reject.body or b"")[: 4 * _BODY_CHARACTERS].decode("utf-8", "replace")[:_BODY_CHARACTERS]
    response = reject.response and {
        key: value for key, value in reject.response.items() if key not in ("body", "base64")
    }
    return RejectLook(
        reason=reject.reason,
        kind=reject.kind,
        field=reject.field,
        url=reject.url,
        excerpt=excerpt(reject),
        record=reject.record,
        response=response or None,
        body=body,
    )
