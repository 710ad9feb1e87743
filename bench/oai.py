"""How fast an OAI-PMH endpoint becomes a release, beside the Python clients that users would otherwise pick.

Usage: python bench/oai.py [RECORDS [PAGE_SIZE]] [--million]    (default: 20000 records, 500 a page)

All ways ask the same server on loopback, one after the other, three times; the best run of each counts. Ours keeps every answer,
converts each record, sorts, hashes and publishes. The others write JSON lines, once of the record that our converter makes of it, which
is the same work on both sides, and once of the dictionary that they make of a record themselves, which is less: nothing is converted.

With 100 ms an answer all wait for as long on one connection, and only what is done between two requests makes a difference. What a
client could reach that did nothing but wait is told beside it: with 500 records a page it would be 1.4 times as fast as one that takes
80 µs a record, so there it is measured with four times as many. ``--million``: the peak of memory at 1,000,000 records.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

RUNS = 3
WORKERS = 8
OURS, SEVERAL = "fleet harvest", f"fleet harvest --workers {WORKERS}"
PREFIX = "oai_dc"
IMPORTED = ("sickle", "oaipmh_scythe", "crawlers.runtime.oai.convert", "crawlers.runtime.oai.to_folder")


def fleet_harvest(url: str, folder: Path, workers: int = 1) -> int:
    from crawlers.runtime.oai.harvest import Wanted
    from crawlers.runtime.oai.to_folder import Access, harvest_to

    return harvest_to(folder, Access(url, obey_robots=False), Wanted(PREFIX, workers=workers)).records


def sickle(url: str, folder: Path, made: Callable[[Any], Any] | None = None) -> int:
    from sickle import Sickle

    return write_lines(folder, Sickle(url).ListRecords(metadataPrefix=PREFIX), made)


def scythe(url: str, folder: Path, made: Callable[[Any], Any] | None = None) -> int:
    from oaipmh_scythe import Scythe

    with Scythe(url) as client:
        return write_lines(folder, client.list_records(metadata_prefix=PREFIX), made)


def write_lines(folder: Path, records: Any, made: Callable[[Any], Any] | None) -> int:
    count = 0
    with (folder / "data.ndjson").open("w", encoding="utf-8") as file:
        for record in records:
            header = record.header
            line = (
                made(record)
                if made
                else {"_id": header.identifier, "datestamp": header.datestamp, "metadata": record.metadata}
            )
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    return count


def converted(record: Any) -> dict[str, Any]:
    from crawlers.runtime.oai.answer import OaiRecord
    from crawlers.runtime.oai.convert import convert

    header = record.header
    metadata = next(iter(record.xml.find("{*}metadata")))
    return convert(OaiRecord(header.identifier, header.datestamp, tuple(header.setSpecs), False, metadata))


WAYS: dict[str, Callable[[str, Path], int]] = {
    OURS: fleet_harvest,
    SEVERAL: lambda url, folder: fleet_harvest(url, folder, WORKERS),
    "oaipmh-scythe, JSON lines": scythe,
    "sickle, JSON lines": sickle,
    "oaipmh-scythe, converted": lambda url, folder: scythe(url, folder, converted),
    "sickle, converted": lambda url, folder: sickle(url, folder, converted),
}


@contextmanager
def endpoint(count: int, page_size: int, delay_seconds: float) -> Iterator[str]:
    """A server in a process of its own; gives its URL."""
    command = [sys.executable, __file__, "--serve", str(count), str(page_size), str(delay_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/oai"
        finally:
            process.terminate()


def measure(way: str, url: str, count: int) -> tuple[float, float, float]:
    """Records a second, the starting of the program left out; the microseconds of processor time that each takes, which others on the
    same machine change less; and the peak of memory in MiB of the largest process. In a process of its own."""
    result = subprocess.run([sys.executable, __file__, "--one", way, url], check=True, stdout=subprocess.PIPE)
    got, seconds, processor, peak = json.loads(result.stdout)
    assert got == count, f"{way}: {got} records, there are {count}"
    return count / seconds, processor / count * 1e6, peak


def measure_here(way: str, url: str) -> tuple[int, float, float, float]:
    for name in IMPORTED:  # that takes as long for ten records as for a million, and isn't measured
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        started, processor = time.perf_counter(), processor_seconds()
        count = WAYS[way](url, Path(folder))
        seconds, processor = time.perf_counter() - started, processor_seconds() - processor
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return count, seconds, processor, peak


def processor_seconds() -> float:
    """Those of this process, and of the processes that it started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def compare(count: int, page_size: int, delay_seconds: float, ways: list[str]) -> None:
    best: dict[str, tuple[float, float, float]] = {}
    with endpoint(count, page_size, delay_seconds) as url:
        for _ in range(RUNS):
            for way in ways:
                got = measure(way, url, count)
                best[way] = max(best.get(way, got), got)
    print(f"{count} records, {page_size} a page, {delay_seconds * 1000:.0f} ms an answer, best of {RUNS}:")
    ours = best[OURS][0]
    for way, (rate, processor, peak) in best.items():
        told = f"{rate / ours:.2f} times as fast as one" if way == SEVERAL else ""
        if way not in (OURS, SEVERAL):
            told = f"ours is {ours / rate:.2f} times as fast"
            if delay_seconds:
                told += f", of at most {count / rate / (-(-count // page_size) * delay_seconds):.2f}"
        print(f"  {way:28} {rate:9,.0f} records/s  {processor:6.0f} µs of processor  {peak:5.0f} MiB  {told}")


def main(arguments: list[str]) -> None:
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    count, page_size = (*numbers, *(20_000, 500)[len(numbers) :])
    one_at_a_time = [way for way in WAYS if way != SEVERAL]
    compare(count, page_size, 0, one_at_a_time)
    compare(count, 4 * page_size, 0.1, one_at_a_time)
    compare(count, min(page_size, 50), 0.1, [OURS, SEVERAL])
    if "--million" in arguments:
        with endpoint(1_000_000, 1000, 0) as url:
            rate, _, peak = measure(OURS, url, 1_000_000)
        print(f"1,000,000 records: {rate:,.0f} records/s, {peak:.0f} MiB at most")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure_here(*sys.argv[2:])))
    elif sys.argv[1:2] == ["--serve"]:
        from oai_endpoint import serve

        serve(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        main(sys.argv[1:])
