"""Which records a release lacks because their site withdrew them: its rejects say so (see ``crawlers.runtime.writer``)."""

from pathlib import Path

import msgspec

from crawlers.runtime.json_files import decode
from crawlers.runtime.release import REJECTS
from hub.dataload.documents import MAX_LINE_BYTES

_KIND = "withdrawn"


class _Record(msgspec.Struct):
    identifier: str = msgspec.field(name="_id", default="")


class _Reject(msgspec.Struct):
    kind: str = ""
    record: _Record | None = None


def find_withdrawn(folder: Path) -> frozenset[str]:
    """The ``_id`` of the records that the rejects of the release in ``folder`` name as withdrawn; empty where it has none.

    A foreign crawler's lines may be anything: those that say nothing of the kind are passed over.
    """
    found = set()
    try:
        with (folder / REJECTS).open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                if _KIND.encode() not in line:
                    continue
                try:
                    reject = decode(line, _Reject)
                except ValueError:
                    continue
                if reject.kind == _KIND and reject.record and reject.record.identifier:
                    found.add(reject.record.identifier)
    except FileNotFoundError:
        pass
    return frozenset(found)
