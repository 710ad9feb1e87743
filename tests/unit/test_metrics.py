"""What Prometheus is told of sources: right, bounded, and without reading more than needed. Real hub: test_prometheus.py."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pymongo.errors import ServerSelectionTimeoutError

from crawlers.runtime.history import HISTORY, LAST_RUN, RunEntry
from crawlers.runtime.lock import source_lock
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import Counts, ErrorCount
from hub.metrics import database, disk, exposition, runs
from hub.metrics.database import DatabaseReader
from hub.metrics.disk import DiskCollector
from hub.metrics.exposition import Exposition
from hub.metrics.jobs import JobMetrics
from hub.metrics.runs import Runs
from hub.metrics.sources import SourceCollector
from tests.prometheus import promtool

AT = "2026-11-22T01:02:03Z"


def entry(number: int, outcome: str = "published", **fields: Any) -> RunEntry:
    run = RunEntry(
        source="little", release=AT, started=AT, ended="2026-11-22T01:03:33Z", run=f"run-{number}", outcome=outcome
    )
    run.counts = Counts(requests=10)
    return msgspec.structs.replace(run, **fields)


def write(folder: Path, *entries: RunEntry) -> None:
    """The runs as the end of the history, and the last of them as the last run."""
    folder.mkdir(exist_ok=True)
    with (folder / HISTORY).open("ab") as file:
        for it in entries:
            file.write(msgspec.json.encode(it) + b"\n")
    (folder / LAST_RUN).write_bytes(msgspec.json.encode(entries[-1]))


def collect(*collectors: Any) -> dict[str, float]:
    """The samples, by name and labels as the text has them."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    text = generate_latest(registry)
    promtool("check", "metrics", given=text)
    lines = [line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "little_crawled"


@pytest.fixture
def collector(tmp_path: Path, manifest: Manifest) -> SourceCollector:
    return SourceCollector(tmp_path, lambda: [manifest])


def test_a_source_that_was_never_crawled_is_there(collector: SourceCollector) -> None:
    found = collect(collector)
    assert found['fleet_source_state{source="little",state="never"}'] == 1
    assert found['fleet_source_readable{source="little"}'] == 1
    assert found['fleet_source_runs_total{outcome="published",source="little"}'] == 0
    assert not [name for name in found if "last_run" in name]


def test_the_last_run_is_told_by_outcome_counts_and_errors(collector: SourceCollector, folder: Path) -> None:
    errors = {"blocked": ErrorCount(count=3), "something new": ErrorCount(count=2), "else": ErrorCount(count=1)}
    counts = Counts(
        requests=30, responses=29, pages=20, failed_requests=6, items=14, records=12, rejected_items=2, rejects=8
    )
    write(folder, entry(1, "failed", errors=errors, counts=counts, bytes=77))
    found = collect(collector)
    of_run = {name.removeprefix("fleet_source_last_run_"): value for name, value in found.items() if "last_run" in name}
    source = '{source="little"}'
    assert of_run[f"duration_seconds{source}"] == 90
    assert (of_run[f"failed{source}"], of_run[f"bytes{source}"]) == (1, 77)
    assert (of_run[f"pages{source}"], of_run[f"failed_pages{source}"], of_run[f"rejects{source}"]) == (20, 6, 8)
    assert of_run['errors{class="blocked",source="little"}'] == 3
    assert of_run['errors{class="other",source="little"}'] == 3
    assert of_run['outcome{outcome="failed",source="little"}'] == 1
    assert sum(value for name, value in of_run.items() if name.startswith("outcome")) == 1
    assert found[f"fleet_source_failures{source}"] == 1


def test_whatever_lies_in_the_files_the_series_of_a_source_are_bounded(
    collector: SourceCollector, folder: Path
) -> None:
    write(folder, entry(1))
    before = len(collect(collector))
    for number in range(2, 22):
        errors = {f"kind {number} {other}": ErrorCount(count=1) for other in range(100)}
        coverage = {f"field {number} {other}": 1.0 for other in range(100)}
        write(folder, entry(number, f"outcome {number}", errors=errors, coverage=coverage))
    description = {
        "source": "little",
        "release": AT,
        "records": 1,
        "bytes": 1,
        "sha256": "",
        "coverage": {f"field {number}": 1.0 for number in range(300)},
    }
    (folder / "release.json").write_bytes(orjson.dumps(description))
    (folder / "release.txt").write_text(AT)
    found = collect(collector)
    assert found['fleet_source_runs_total{outcome="other",source="little"}'] == 20
    assert found['fleet_source_coverage_ratio{field="description",source="little"}'] == 0
    assert len(found) < before + 40


def test_a_crawl_under_way_is_told_by_its_heartbeat_and_the_run_before_it_stays(
    collector: SourceCollector, folder: Path
) -> None:
    write(folder, entry(1))
    (folder / LAST_RUN).write_bytes(msgspec.json.encode(entry(2, "running", ended="")))
    heartbeat = {"run": "run-2", "started": AT, "at": AT, "moved": AT, "requests": 7, "records": 5, "expected": 50}
    (folder / "heartbeat.json").write_bytes(orjson.dumps(heartbeat))
    with source_lock(folder):
        found = collect(collector)
    assert found['fleet_source_current_run_records{source="little"}'] == 5
    assert found['fleet_source_current_run_expected_records{source="little"}'] == 50
    assert found['fleet_source_last_run_outcome{outcome="published",source="little"}'] == 1
    assert not [name for name in collect(collector) if "current_run" in name]  # its lock is free: it was killed


def test_a_source_that_can_not_be_read_says_so_and_hides_no_other(
    tmp_path: Path, manifest: Manifest, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    (folder / "release.txt").write_text(AT)
    (folder / "release.json").write_text("{")
    (folder / LAST_RUN).write_text("[]")
    other = msgspec.structs.replace(manifest, name="other")
    collector = SourceCollector(tmp_path, lambda: [manifest, other])
    for _ in range(3):
        found = collect(collector)
    assert found['fleet_source_readable{source="little"}'] == 0
    assert found['fleet_source_readable{source="other"}'] == 1
    assert found['fleet_source_state{source="other",state="never"}'] == 1
    assert len([it for it in caplog.records if "can't be read" in it.message]) == 1


def test_a_source_that_is_gone_is_told_of_no_more(tmp_path: Path, manifest: Manifest) -> None:
    manifests = [manifest]
    collector = SourceCollector(tmp_path, lambda: manifests)
    assert collect(collector)
    manifests.clear()
    assert collect(collector) == {}


def test_runs_are_counted_from_the_first_look_on_each_once(folder: Path) -> None:
    write(folder, entry(1), entry(2, "failed"))
    seen = Runs()
    seen.look(folder)
    assert (seen.outcomes, seen.requests) == ({}, 0)
    assert seen.last and seen.last.run == "run-2"
    write(folder, entry(3), entry(4, "failed"), entry(5, "failed"))
    for _ in range(3):
        seen.look(folder)
    assert (seen.outcomes, seen.requests) == ({"published": 1, "failed": 2}, 30)


def test_the_first_runs_of_a_source_that_was_seen_before_are_counted(folder: Path) -> None:
    seen = Runs()
    seen.look(folder)
    write(folder, entry(1))
    seen.look(folder)
    assert seen.outcomes == {"published": 1}


def test_a_history_that_was_cut_in_half_counts_nothing_twice(folder: Path) -> None:
    write(folder, *map(entry, range(10)))
    seen = Runs()
    seen.look(folder)
    lines = (folder / HISTORY).read_bytes().splitlines(keepends=True)
    (folder / ".new").write_bytes(b"".join(lines[5:]))
    (folder / ".new").replace(folder / HISTORY)
    write(folder, entry(10, "failed"))
    seen.look(folder)
    assert seen.outcomes == {"failed": 1}


def test_of_a_long_history_the_end_alone_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_TAIL_BYTES", 2000)
    write(folder, *map(entry, range(200)))
    (folder / LAST_RUN).unlink()
    seen = Runs()
    seen.look(folder)
    assert seen.last and seen.last.run == "run-199"
    write(folder, entry(200, "failed"), entry(201, "failed"))
    with (folder / HISTORY).open("ab") as file:
        file.write(b'{"torn')
    seen.look(folder)
    assert seen.outcomes == {"failed": 2}
    assert seen.last.run == "run-201"


def test_what_a_person_did_with_a_held_release_is_an_outcome_and_no_crawl(folder: Path) -> None:
    write(folder, entry(1, "held"))
    seen = Runs()
    seen.look(folder)
    write(folder, entry(0, "approved", run=""))
    (folder / LAST_RUN).write_bytes(msgspec.json.encode(entry(1, "approved")))
    seen.look(folder)
    assert (seen.outcomes, seen.requests) == ({"approved": 1}, 0)
    assert seen.last and (seen.last.run, seen.last.outcome) == ("run-1", "approved")


def test_scrapes_at_once_collect_once_and_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "_FRESH_SECONDS", 0.0)
    registry, go, threads = CollectorRegistry(), threading.Event(), []

    class Slow:
        def collect(self) -> list[Any]:
            threads.append(threading.current_thread())
            go.wait(30)
            return []

        def describe(self) -> list[Any]:
            return []

    registry.register(Slow())
    asked = Exposition(registry)

    async def scrape() -> list[bytes]:
        scrapes = [asyncio.create_task(asked.expose()) for _ in range(20)]
        while not threads:  # the loop goes on meanwhile
            await asyncio.sleep(0.001)
        scrapes.pop().cancel()
        go.set()
        return await asyncio.gather(*scrapes)

    answers = asyncio.run(scrape())
    assert len(set(answers)) == 1
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


def test_what_a_source_takes_of_the_disk_is_measured_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_TURN_SECONDS", 0.0)
    names = ["one", "two", "three"]
    for number, name in enumerate(names, start=1):
        (tmp_path / f"{name}_crawled").mkdir()
        (tmp_path / f"{name}_crawled/data.ndjson").write_bytes(bytes(number))
    collector = DiskCollector(tmp_path, tmp_path / "archive", lambda: names)
    measured = [{key: value for key, value in collect(collector).items() if "release" in key} for _ in range(4)]
    assert [len(found) for found in measured] == [1, 2, 3, 3]
    assert measured[-1] == {
        f'fleet_source_disk_bytes{{part="release",source="{name}"}}': number
        for number, name in enumerate(names, start=1)
    }
    names.remove("two")
    assert len(collect(collector)) == 2 * len(disk._PARTS)


class SlowBooks:
    """A database that answers when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.error: Exception | None = None

    def read_all(self, seconds: float) -> tuple[dict, dict]:
        self.go.wait(30)
        if self.error:
            raise self.error
        return {}, {"little": {}}


def test_a_database_that_does_not_answer_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE_SECONDS", 0.01)
    books = SlowBooks()
    reader = DatabaseReader(books)  # type: ignore[arg-type]
    assert reader.read() is None
    books.go.set()
    monkeypatch.setattr(database, "_PATIENCE_SECONDS", 30)
    assert reader.read() == ({}, {"little": {}})
    books.error = ServerSelectionTimeoutError("refused")
    assert reader.read() is None
    books.error = None
    assert reader.read() is not None
    books.go.clear()
    monkeypatch.setattr(database, "_PATIENCE_SECONDS", 0.01)
    assert reader.read() is not None  # as it was a moment ago
    monkeypatch.setattr(database, "_READING_SECONDS", 0.0)
    assert reader.read() is None
    books.go.set()
    reader._executor.shutdown()


def test_jobs_are_counted_by_how_they_ended() -> None:
    registry = CollectorRegistry()
    jobs = JobMetrics(registry, ("upload",))
    answers: list[Any] = [{"documents": 3}, {"outcome": "nothing to do"}, ValueError("no")]

    async def upload(name: str, force: bool = False) -> dict[str, Any]:
        assert (name, force) == ("little", True)
        assert registry.get_sample_value("fleet_hub_jobs_in_progress", {"action": "upload"}) == 1
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    counted = jobs.counted("upload", upload)
    for _ in range(2):
        asyncio.run(counted("little", force=True))
    with pytest.raises(ValueError, match="no"):
        asyncio.run(counted("little", force=True))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"action": "upload", **labels})

    assert [value("fleet_hub_jobs_total", outcome=it) for it in ("done", "nothing", "failed")] == [1, 1, 1]
    assert value("fleet_hub_job_duration_seconds_count") == 2
    assert value("fleet_hub_jobs_in_progress") == 0
    assert registry.get_sample_value("fleet_hub_uploaded_documents_total") == 3
