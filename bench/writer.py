"""How fast records become a release, beside what Scrapy users would otherwise pick, and how much memory it takes.

Usage: python bench/writer.py [RECORDS [RECORDS_LARGE]]    (default: 100000 and 1000000 records of 2 KB)

Each way runs in a process of its own, one after the other, three times; the best run of each counts. The release writer checks
each record, finds duplicates, hashes, fsyncs and renames; the others only write lines.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scrapy.exporters import JsonLinesItemExporter

from crawlers.runtime.manifest import Manifest
from crawlers.runtime.writer import ReleaseWriter

RUNS = 3
MANIFEST = Manifest(
    name="bench",
    kind="api",
    title="Bench",
    description="What is measured.",
    url="https://example.org/",
    license_url="https://example.org/",
    contact="bench@example.org",
    maintainer="Crawler Fleet team",
    schedule="0 4 * * 6",
)
TEXT = "The immune response to a vaccine was measured in whole blood before and after. " * 20


def records(count: int) -> Iterator[dict[str, Any]]:
    """Records of about 2 KB, their identifiers in no order."""
    for number in range(count):
        yield {
            "_id": f"bench_{number * 7_654_321 % 1_000_000_007:010}",
            "@type": "Dataset",
            "name": f"Dataset {number}",
            "description": TEXT,
            "datePublished": None,
            "author": [{"@type": "Person", "name": "Łucja Ñáñez", "affiliation": {"name": "Institute of Examples"}}]
            * 2,
            "keywords": ["vaccination", "immunology", "whole blood"],
            "size": number / 7,
        }


def release_writer(folder: Path, count: int) -> None:
    with ReleaseWriter(folder, MANIFEST) as writer:
        for record in records(count):
            writer.write(record)
        assert writer.publish().records == count


def scrapy_exporter(folder: Path, count: int) -> None:
    with (folder / "data.jl").open("wb") as file:
        exporter = JsonLinesItemExporter(file)
        exporter.start_exporting()
        for record in records(count):
            exporter.export_item(record)
        exporter.finish_exporting()


def json_lines(folder: Path, count: int) -> None:
    with (folder / "data.ndjson").open("w", encoding="utf-8") as file:
        for record in records(count):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


WAYS: dict[str, Callable[[Path, int], None]] = {
    "release writer": release_writer,
    "Scrapy's JsonLinesItemExporter": scrapy_exporter,
    "json.dumps lines": json_lines,
}


def measure(way: str, count: int) -> tuple[float, float]:
    """Records a second, without the making of the records, and the peak of memory in MiB; in a process of its own."""
    result = subprocess.run([sys.executable, __file__, "--one", way, str(count)], check=True, capture_output=True)
    rate, peak = json.loads(result.stdout)
    return rate, peak


def measure_here(way: str, count: int) -> tuple[float, float]:
    started = time.perf_counter()
    for _ in records(count):
        pass
    making = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        WAYS[way](Path(folder), count)
        seconds = time.perf_counter() - started - making
    return count / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(count: int = 100_000, large: int = 1_000_000) -> None:
    best: dict[str, tuple[float, float]] = {}
    for _ in range(RUNS):
        for way in WAYS:
            got = measure(way, count)
            best[way] = max(best.get(way, got), got)
    print(f"{count} records of 2 KB, best of {RUNS}:")
    ours = best["release writer"][0]
    for way, (rate, peak) in best.items():
        print(f"  {way:32} {rate:10,.0f} records/s   {peak:6.0f} MiB   the writer is {ours / rate:5.2f} times as fast")
    rate, peak = measure("release writer", large)
    grown = peak / best["release writer"][1]
    print(f"{large} records: {rate:,.0f} records/s, {peak:.0f} MiB: {grown:.2f} times the memory for {large / count:.0f} times the records")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure_here(sys.argv[2], int(sys.argv[3]))))
    else:
        main(*map(int, sys.argv[1:]))
