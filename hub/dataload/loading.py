"""Loading a data file into a collection, in constant memory, with every line accounted for: it is a document or a reject."""

import base64
import contextlib
import gc
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from crawlers.runtime.errors import ReleaseError
from hub.dataload.documents import MAX_LINE_BYTES, RejectedLine, Stamp, Transform, encode_line
from hub.dataload.lines import read_lines
from hub.progress import tell

logger = logging.getLogger(__name__)

UPLOAD_REJECTS = "upload-rejects.ndjson"
_BATCH_DOCUMENTS = 1_000
_BATCH_BYTES = 8 * 1024 * 1024
_TELL_EVERY_LINES = 100_000
_DUPLICATE_KEY = 11000


@dataclass
class Loaded:
    """What became of a data file. ``lines`` = ``documents`` + ``rejects``, always; ``reasons``: rejects by reason."""

    lines: int = 0
    documents: int = 0
    rejects: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def check(self, source: str, rejects_path: Path, reject_budget: float, allow_empty: bool) -> None:
        """:raises ReleaseError: this must not go live: too many rejects, or nothing at all."""
        if self.rejects > reject_budget * self.lines:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in self.reasons.most_common(5))
            raise ReleaseError(
                f"{source}: {self.rejects} of {self.lines} lines were rejected, above the budget of {reject_budget:.2%} "
                f"(reject_budget in its source.toml): {reasons}. Each is in {rejects_path}; the collection stays as it was."
            )
        if not self.documents and not allow_empty:
            raise ReleaseError(
                f"{source}: the release holds no document, and its source.toml does not say allow_empty = true. "
                "The collection stays as it was."
            )


def load_file(
    data: Path,
    rejects_path: Path,
    collection: Collection[RawBSONDocument],
    transform: Transform | None = None,
    stamp: Stamp | None = None,
) -> Loaded:
    """Load each line of ``data`` into ``collection``; those that are no documents go to ``rejects_path``, which is replaced.

    A line of the rejects is ``{"file", "line", "reason", "text" or "base64"}``; ``line`` counts from 1. Of a line too long for
    any document only the beginning is kept, as ``excerpt``.
    """
    gc.freeze()  # what is there now stays: the collector needn't look at it for every thousand documents
    loaded = Loaded()
    size = data.stat().st_size
    with data.open("rb", buffering=1 << 20) as file, _replacing(rejects_path) as rejects:
        batch = _Batch(collection)
        told = 0
        for loaded.lines, line, whole in read_lines(file):
            try:
                if not whole:
                    raise RejectedLine(f"over 16 MB as a document: the line alone has over {MAX_LINE_BYTES} bytes")
                batch.add(loaded.lines, line, encode_line(line, transform, stamp, loaded.lines))
            except RejectedLine as reason:
                _reject(loaded, rejects, data, loaded.lines, line, str(reason), whole)
            if batch.is_full:
                _flush(loaded, batch, rejects, data)
                tell(file.tell(), size, loaded.documents, loaded.rejects)
                if loaded.lines >= told + _TELL_EVERY_LINES:
                    told = loaded.lines
                    logger.info("%s: %d documents, %d rejects so far", data, loaded.documents, loaded.rejects)
        _flush(loaded, batch, rejects, data)
    if loaded.lines != loaded.documents + loaded.rejects:
        raise ReleaseError(
            f"{data}: {loaded.lines} lines, but {loaded.documents} documents and {loaded.rejects} rejects: they must add up"
        )
    return loaded


class _Batch:
    def __init__(self, collection: Collection[RawBSONDocument]) -> None:
        self.collection = collection
        self.lines: list[tuple[int, bytes]] = []
        self.documents: list[InsertOne[RawBSONDocument]] = []
        self.size_bytes = 0

    def add(self, number: int, line: bytes, encoded: bytes) -> None:
        self.lines.append((number, line))
        self.documents.append(InsertOne(RawBSONDocument(encoded)))
        self.size_bytes += len(line)

    @property
    def is_full(self) -> bool:
        return len(self.documents) >= _BATCH_DOCUMENTS or self.size_bytes >= _BATCH_BYTES

    def insert(self) -> tuple[int, list[tuple[int, bytes]]]:
        """Insert what was added: how many documents were stored, and the lines whose ``_id`` was there before."""
        inserted, duplicates = 0, []
        if self.documents:
            try:
                inserted = self.collection.bulk_write(self.documents, ordered=False).inserted_count
            except BulkWriteError as error:
                faults = error.details["writeErrors"]
                if error.details["writeConcernErrors"] or any(fault["code"] != _DUPLICATE_KEY for fault in faults):
                    raise
                inserted = error.details["nInserted"]
                duplicates = [self.lines[fault["index"]] for fault in faults]
        self.lines, self.documents, self.size_bytes = [], [], 0
        return inserted, duplicates


def _flush(loaded: Loaded, batch: _Batch, rejects: BinaryIO, data: Path) -> None:
    inserted, duplicates = batch.insert()
    loaded.documents += inserted
    for number, line in duplicates:
        identifier = orjson.loads(line).get("_id")
        _reject(loaded, rejects, data, number, line, f"duplicate _id {identifier!r}: an earlier line has it", True)


def _reject(loaded: Loaded, rejects: BinaryIO, data: Path, number: int, line: bytes, reason: str, whole: bool) -> None:
    loaded.rejects += 1
    loaded.reasons[re.split(r"[:'\"]", reason, maxsplit=1)[0].strip()] += 1
    entry: dict[str, Any] = {"file": str(data), "line": number, "reason": reason}
    content = line.removesuffix(b"\n")
    try:
        entry["text" if whole else "excerpt"] = content.decode("utf-8", "strict" if whole else "replace")
    except UnicodeDecodeError:
        entry["base64"] = base64.b64encode(content).decode("ascii")
    rejects.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` once it is written whole."""
    temporary = path.with_name(f".{path.name}.new")  # one name, so that a killed upload leaves at most one
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
