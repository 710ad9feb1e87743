"""What the hub's pages cost with a large fleet: time and memory, and what ten browsers take that watch while nothing happens.

Usage: python bench/web.py [SOURCES [RELEASES]]    (default: 500 sources with 20 releases each, that is 10,000)

The fleet is written as crawlers and hub leave it: manifests, histories, published and archived releases, live collections. Each page is
asked for again and again, with a pause in which what is known of the sources grows old. A fleet of a tenth comes first, to see what grows.
"""

import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil
import requests
from pymongo import MongoClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crawlers.runtime.history import HISTORY, LAST_RUN, RunEntry
from crawlers.runtime.release import Counts, Description, checksum, format_release
from hub.dataload.changes import Changes
from hub.embedded import EmbeddedDatabase
from hub.settings import HubSettings
from tests.running_hub import RunningHub, documents, free_port

TIMES = 8
# Longer than pages share one look at the sources.
PAUSE_SECONDS = 0.6
SETTLED_SECONDS = 300  # at most
WATCHERS = 10
WATCHED_SECONDS = 20
DATABASE = "bench"


def main(sources: int, releases: int) -> None:
    for count in (max(sources // 10, 1), sources):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), count, releases)


def measure(root: Path, sources: int, releases: int) -> None:
    settings = HubSettings.from_environment(
        {"FLEET_DATA_DIR": str(root / "database"), "FLEET_MONGO_PORT": str(free_port())}
    )
    with EmbeddedDatabase(settings):
        uri = settings.database_uri()
        hub = RunningHub(root, uri, DATABASE)
        write_fleet(hub, sources, releases, uri)
        hub.start()
        try:
            tell(hub, sources, releases)
        finally:
            hub.stop()
            if hub.client:
                hub.client.close()


def tell(hub: RunningHub, sources: int, releases: int) -> None:
    assert hub.process
    process = psutil.Process(hub.process.pid)
    print(f"{sources} sources, {sources * releases} releases; memory of the hub at first {_memory_mb(process):.0f} MB")
    print(f"  the fleet while the hub still starts: {_ask(hub, '/') * 1000:.0f} ms")
    _settle(process)
    middle = f"/sources/source_{sources // 2:04}"
    pages = (
        "/",
        "/?state=attention",
        "/?text=source_01&sort=-documents",
        middle,
        "/last-collected",
        "/add",
        "/jobs",
        "/log",
    )
    looks = ("releases/live", "documents", "documents?fields=true", f"documents?id={Path(middle).name}_1", "runs/last")
    for path in (*pages, *(f"{middle}/{look}" for look in looks)):
        found = []
        spent = 0.0
        for _ in range(TIMES):
            time.sleep(PAUSE_SECONDS)
            before = _cpu_seconds(process)
            found.append(_ask(hub, path) * 1000)
            spent += _cpu_seconds(process) - before
        each = f"median {statistics.median(found):4.0f} ms, longest {max(found):4.0f} ms"
        print(f"  {path:46} {each}, {spent / TIMES * 1000:3.0f} ms of a core")
    print(f"  memory of the hub then {_memory_mb(process):.0f} MB")
    alone = _share_of_a_core(process)
    stop = threading.Event()
    watchers = [threading.Thread(target=_watch, args=(hub, stop), daemon=True) for _ in range(WATCHERS)]
    for watcher in watchers:
        watcher.start()
    time.sleep(3)
    watched = _share_of_a_core(process)
    stop.set()
    print(
        f"  nothing happens: {alone:.1%} of a core without a browser, {watched - alone:.1%} more with {WATCHERS} that watch"
    )


def write_fleet(hub: RunningHub, sources: int, releases: int, uri: str) -> None:
    """All that there is of the fleet, the hub's books and the live collections too."""
    now = datetime.now(UTC).replace(microsecond=0)
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    with client:
        for number in range(sources):
            name = f"source_{number:04}"
            hub.add_source(name, title=f"Repository number {number}", schedule=f"{number % 60} {number % 24} * * *")
            runs = [_run(name, number, it, now - timedelta(days=releases - it, hours=-20)) for it in range(releases)]
            _write_crawled(hub, name, runs)
            for before, run in zip([None, *runs], runs, strict=False):
                _write_archived(hub, name, before, run)
            live = runs[-1]
            client[DATABASE][name].insert_many(documents(3, name))
            books = client[f"{DATABASE}_hub"]
            told = {"release": live.release, "documents": 3, "rejects": 0}
            books["live"].insert_one({"_id": name, "live": told, "next": None})
            done = {"status": "success", "release": live.release, "started_at": now, "err": None}
            jobs = {name: {**done, "step": name, "time_in_s": 3}}
            books["src_dump"].insert_one({"_id": name, "download": done, "upload": {"jobs": jobs}})


def _run(name: str, number: int, release: int, started: datetime) -> RunEntry:
    failed = release == 0 and number % 17 == 0
    records = 0 if failed else 1000 + number + 7 * release
    return RunEntry(
        source=name,
        release=format_release(started),
        started=format_release(started),
        ended=format_release(started + timedelta(minutes=5)),
        run=f"{started:%Y%m%dT%H%M%S.%f}-{release}",
        outcome="failed" if failed else "published",
        exit_code=1 if failed else 0,
        message="503 Service Unavailable for 17 of 20 pages" if failed else "",
        counts=Counts(records=records, items=records, pages=records, requests=records, responses=records),
        coverage={f"field{it}": 0.5 for it in range(20)},
    )


def _write_crawled(hub: RunningHub, name: str, runs: list[RunEntry]) -> None:
    folder = hub.publish(name, runs[-1].release, documents(3, name))
    (folder / HISTORY).write_bytes(b"".join(msgspec.json.encode(run) + b"\n" for run in runs))
    (folder / LAST_RUN).write_bytes(msgspec.json.encode(runs[-1]))
    _describe(folder, runs[-1])


def _write_archived(hub: RunningHub, name: str, before: RunEntry | None, run: RunEntry) -> None:
    archive = hub.archive / name
    folder = archive / run.release
    folder.mkdir(parents=True)
    published = hub.shared / f"{name}_crawled"
    for file in ("data.ndjson", "release.txt"):
        (folder / file).hardlink_to(published / file)
    _describe(folder, run)
    (archive / "books" / "changes").mkdir(parents=True, exist_ok=True)
    changes = Changes(
        release=run.release,
        against=before.release if before else None,
        added=7,
        removed=0,
        changed=12,
        unchanged=run.counts.records,
        paths={"name": 12},
        records=run.counts.records,
        malformed=0,
        duplicates=0,
    )
    (archive / "books" / "changes" / f"{run.release}.json").write_bytes(msgspec.json.encode(changes))


def _describe(folder: Path, run: RunEntry) -> None:
    found = checksum(folder / "data.ndjson")
    described = Description(source=run.source, release=run.release, coverage=run.coverage, counts=run.counts, **found)
    (folder / "release.json").write_bytes(msgspec.json.encode(described))


def _ask(hub: RunningHub, path: str) -> float:
    """Seconds until all of the page is here."""
    began = time.perf_counter()
    answer = requests.get(hub.url + path, headers={"Accept": "text/html"}, auth=hub.auth, timeout=60)
    spent = time.perf_counter() - began
    answer.raise_for_status()
    return spent


def _watch(hub: RunningHub, stop: threading.Event) -> None:
    """As a page does that is open: it listens, and asks for itself once a minute, and when it is told that something changed."""
    with (
        suppress(requests.RequestException),  # the hub is stopped while it listens
        requests.get(f"{hub.url}/events", auth=hub.auth, stream=True, timeout=60) as events,
    ):
        for line in events.iter_lines(chunk_size=1):
            if stop.is_set():
                return
            if line.startswith(b"data: ") and line[6:]:
                _ask(hub, "/")


def _share_of_a_core(process: psutil.Process) -> float:
    before = _cpu_seconds(process)
    time.sleep(WATCHED_SECONDS)
    return (_cpu_seconds(process) - before) / WATCHED_SECONDS


def _settle(process: psutil.Process) -> None:
    """Wait until the hub has compared what it found: that is done once, and not what an operator waits for."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < deadline:
        before = _cpu_seconds(process)
        time.sleep(5)
        if _cpu_seconds(process) - before < 0.2:
            return


def _cpu_seconds(process: psutil.Process) -> float:
    """What the hub has used of a core, told by the kernel in hundredths of a second."""
    return sum(process.cpu_times()[:2])


def _memory_mb(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], "500", "20"][:2]))
