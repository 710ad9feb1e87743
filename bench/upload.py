"""Upload: our loading of a data file beside the SDK's stock ways, on a database that costs nothing (see ``sink.py``).

Prints documents per second of each, and the ratio, measured in turns in one run. Ours accounts for every line and notes in
each document where it comes from; the stock ways don't: they are what a hub author would otherwise pick. ``bare`` is ours
without that note.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from pymongo import InsertOne, MongoClient
from pymongo.collection import Collection

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.sink import sink
from hub.dataload.archive import books_of, list_archived
from hub.dataload.changes import note_changes
from hub.dataload.loading import load_file
from hub.dataload.provenance import stamping

DOCUMENTS = 100_000
RELEASES = ("2026-11-21T01:02:03Z", "2026-11-22T01:02:03Z")
ROUNDS = 5


def write_data(path: Path) -> None:
    """Records of about 2 KB in the shape of a dataset."""
    with path.open("wb") as file:
        for number in range(DOCUMENTS):
            record = {
                "_id": f"bench_{number:06}",
                "@type": "Dataset",
                "name": f"Dataset {number}",
                "description": "What was measured, on whom, and how. " * 36,
                "author": [
                    {"@type": "Person", "name": f"Author {n}", "affiliation": {"name": "Institute"}} for n in range(5)
                ],
                "keywords": [f"keyword {n}" for n in range(10)],
                "dateModified": "2026-01-02",
                "distribution": {"contentUrl": f"https://example.org/{number}", "size": number, "share": number / 7},
            }
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def load_data(path: Path) -> Iterator[dict[str, Any]]:
    """What the author of a hub's source writes."""
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def stock(path: Path, collection: Collection) -> None:
    """As the SDK's ``IgnoreDuplicatedStorage`` does: batches of 10,000 documents, unordered."""
    batch: list[InsertOne] = []
    for document in load_data(path):
        batch.append(InsertOne(document))
        if len(batch) == 10_000:
            collection.bulk_write(batch, ordered=False)
            batch = []
    if batch:
        collection.bulk_write(batch, ordered=False)


def bare(path: Path, collection: Collection) -> None:
    """What the hub would do without provenance."""
    loaded = load_file(path, path.with_name("rejects.ndjson"), collection)
    assert loaded.documents == DOCUMENTS, loaded


def ours(path: Path, collection: Collection) -> None:
    """What the hub does, once the release before was compared."""
    archived = list_archived(path.parents[1])[-1]
    with stamping("bench", archived, books_of(path.parents[1]), in_order=True) as stamp:
        loaded = load_file(path, path.with_name("rejects.ndjson"), collection, None, stamp)
    assert loaded.documents == DOCUMENTS, loaded


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder, sink() as uri, MongoClient(uri) as client:
        for release in RELEASES:
            path = Path(folder) / release / "data.ndjson"
            path.parent.mkdir()
            write_data(path)
        started = time.perf_counter()
        note_changes(Path(folder))
        compared = (time.perf_counter() - started) / len(RELEASES)
        ways: tuple[Callable[[Path, Collection], None], ...] = (stock, bare, ours)
        seconds: dict[str, list[float]] = {way.__name__: [] for way in ways}
        for _ in range(ROUNDS):
            for way in ways:
                started = time.perf_counter()
                way(path, client["bench"]["bench"])
                seconds[way.__name__].append(time.perf_counter() - started)
        print(
            f"upload of {DOCUMENTS} documents, {path.stat().st_size / DOCUMENTS:.0f} bytes each, {ROUNDS} rounds, medians"
        )
        for name, times in seconds.items():
            print(f"  {name:6} {DOCUMENTS / statistics.median(times):10.0f} documents/s")
        for other in ("stock", "bare"):
            ratios = [slow / fast for slow, fast in zip(seconds[other], seconds["ours"], strict=True)]
            span = f"from {min(ratios):.2f} to {max(ratios):.2f}"
            print(f"  ours is {statistics.median(ratios):.2f} times as fast as {other} ({span})")
        print(
            f"  comparing a release, once it is live, takes {compared / statistics.median(seconds['ours']):.2f} of that time"
        )


if __name__ == "__main__":
    main()
