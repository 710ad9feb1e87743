"""The release protocol: what lies on the shared volume, under which names, in which form.

Crawlers and the hub meet only in these files. ``shared-volume/README.md`` is the protocol in short; ``writer.py`` publishes
after it, the hub's dumper takes up after it.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.json_files import read_json, read_plain
from crawlers.runtime.schema.summary import Validation

DATA = "data.ndjson"
RELEASE = "release.txt"
DESCRIPTION = "release.json"
REJECTS = "rejects.ndjson"
# The folder, beside the published release, of one that waits for a person's word.
HELD = "held"
# In the order in which they are renamed into place: readers look at release.txt, so it comes last.
PUBLISH_ORDER = (DATA, DESCRIPTION, REJECTS, RELEASE)

_RELEASE_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_RELEASE_MAX_BYTES = 64


@dataclass(frozen=True)
class Release:
    """A release string, exactly as published (it also names the folder in the archive), and the moment it stands for."""

    text: str
    at: datetime

    def __str__(self) -> str:
        return self.text


class ErrorCount(msgspec.Struct, kw_only=True):
    """How often errors of one class happened, one of them (``url`` and ``message``), and what to do about it (``action``)."""

    count: int = 0
    url: str = ""
    message: str = ""
    action: str = ""


class Counts(msgspec.Struct, kw_only=True):
    """What a crawl saw. ``items`` = ``records`` + rejected records + withdrawn ones, always.

    ``requests``: sent, retries included; ``responses``: received; ``pages``: distinct requests that came to an end, of which
    ``failed_requests`` were given up for good, or gave no record, or not all of them;
    ``items``: records that the source's code made; ``records``: those of them in the release; ``rejects``: lines of
    rejects.ndjson, which are rejected records (``rejected_items``, ``duplicates`` among them), those that the site withdrew
    (``withdrawn``), and pages that gave none.
    ``replayed``: records of an earlier run's rejects that are in the release besides, since they passed when they were replayed.
    """

    requests: int = 0
    responses: int = 0
    failed_requests: int = 0
    pages: int = 0
    items: int = 0
    records: int = 0
    replayed: int = 0
    rejected_items: int = 0
    duplicates: int = 0
    withdrawn: int = 0
    rejects: int = 0


class Description(msgspec.Struct, kw_only=True):
    """``release.json``. Times are ISO 8601 in UTC; ``bytes`` and ``sha256`` (hexadecimal) are those of ``data.ndjson``.

    ``sorted``: whether its lines are in the order of their ``_id``, compared as UTF-8 bytes.
    ``outcome``: ``published`` or ``held``; ``reasons``: why it was held, in words, also after it was approved; ``approved``: when.
    ``validation``: how its records meet the source's profile, and what was at fault in them.
    ``coverage``: by top-level field, the share (0 to 1) of records that say something in it (see ``coverage``).
    ``gaps``: what is known to be missing, as ``fleet gaps`` lists it; ``deleted``: records that the repository says are gone.

    A foreign crawler may leave the file out. Fields that we don't know are ignored, so that newer crawlers can add some.
    """

    source: str
    release: str
    records: int
    bytes: int
    sha256: str
    sorted: bool = False
    rejects: int = 0
    started: str = ""
    finished: str = ""
    outcome: str = "published"
    reasons: list[str] = msgspec.field(default_factory=list)
    approved: str = ""
    kind: str = ""
    code_version: str = ""
    counts: Counts = msgspec.field(default_factory=Counts)
    errors: dict[str, ErrorCount] = msgspec.field(default_factory=dict)
    coverage: dict[str, float] = msgspec.field(default_factory=dict)
    validation: Validation | None = None
    gaps: list[dict[str, Any]] = msgspec.field(default_factory=list)
    deleted: int = 0


def release_folder(shared_dir: Path, source: str) -> Path:
    """Where the releases of ``source`` are published."""
    return shared_dir / f"{source}_crawled"


def state_folder(shared_dir: Path, source: str) -> Path:
    """What a crawler of ``source`` keeps from crawl to crawl (stored pages, harvested windows): nothing that the hub reads.

    Only who holds the source's lock changes it.
    """
    return shared_dir / f"{source}_state"


def format_release(moment: datetime) -> str:
    """The release string of a crawl that started at ``moment`` (aware): UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_release(text: str, path: Path) -> Release:
    """The release that ``text``, the content of ``path``, stands for. One newline at the end is let pass.

    :raises ReleaseError: it is no ISO 8601 date and time with a time zone, so it could name any path in the archive.
    """
    string = text.removesuffix("\n").removesuffix("\r")
    try:
        if not _RELEASE_PATTERN.fullmatch(string):
            raise ValueError("not of the form YYYY-MM-DDTHH:MM:SSZ")
        return Release(string, datetime.fromisoformat(string))
    except ValueError as error:
        raise ReleaseError(
            f"{path} holds {text[:80]!r}: {error}. Expected is the start of the crawl as ISO 8601 with a time zone and nothing "
            "else, e.g. 2026-11-22T01:02:03Z. The release was refused; crawl the source again, or correct its crawler."
        ) from error


def read_release(folder: Path) -> Release | None:
    """The release published in ``folder``; None where nothing was published yet. A link is not followed: what it leads to would be
    told to whoever looks at the source.

    :raises ReleaseError: release.txt holds no release string, or can't be read.
    """
    path = folder / RELEASE
    try:
        content = read_plain(path, _RELEASE_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ReleaseError(
            f"{path} can't be read: {error}. Check that it is a file, no link, and that uid {os.geteuid()} may read it."
        ) from error
    return parse_release(content.decode("utf-8", "replace"), path)


def read_description(folder: Path) -> Description | None:
    """The ``release.json`` in ``folder``; None where a foreign crawler left it out.

    :raises ReleaseError: it is there, but can't be read, or is not of the expected form.
    """
    return read_json(
        folder / DESCRIPTION, Description, f"It must describe {DATA} beside it; a crawler may also leave it out."
    )


def checksum(path: Path) -> dict[str, Any]:
    """``{"sha256": hexadecimal, "bytes": size, "records": lines}`` of a data file, read once in constant memory."""
    digest = hashlib.sha256()
    size = lines = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
            lines += block.count(b"\n")
    return {"sha256": digest.hexdigest(), "bytes": size, "records": lines}
