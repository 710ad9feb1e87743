"""Windows harvested by several processes over a real Redis: killed at will, they lose no window, and do none twice."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from crawlers.runtime.errors import FleetError
from crawlers.runtime.oai.ledger import Ledger, Plan
from crawlers.runtime.oai.scale import WindowTask, harvest_window
from tests.command import Fleet
from tests.oai_server import OaiServer, items, serve_oai
from tests.running_hub import free_port

WORKERS = 3
KILLS = 40 if os.environ.get("FLEET_SOAK") else 3
pytestmark = pytest.mark.skipif(
    not shutil.which("redis-server"), reason="no redis-server: apt-get install redis-server"
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    (tmp_path / "redis").mkdir()
    command = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(tmp_path / "redis"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


class Harvesters:
    """Workers, each a process of its own; killed ones are replaced."""

    def __init__(self, fleet: Fleet, broker: str, log: Path) -> None:
        self._environment = fleet.environment() | {"FLEET_BROKER": broker, "FLEET_SHARED_DIR": str(fleet.shared)}
        self._log = log.open("w")
        self._running = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "fleet", "harvester"]
        return subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)

    def kill_one(self, number: int) -> None:
        self._running[number % WORKERS].kill()
        self._running[number % WORKERS].wait()
        self._running[number % WORKERS] = self._start()

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
def harvesters(fleet: Fleet, broker: str, tmp_path: Path) -> Iterator[Harvesters]:
    running = Harvesters(fleet, broker, tmp_path / "harvesters.log")
    yield running
    running.stop()


def start(fleet: Fleet, server: OaiServer, output: Path, broker: str) -> subprocess.Popen[str]:
    return fleet.start(
        "harvest",
        server.url,
        "--metadata-prefix",
        "oai_dc",
        "--output",
        str(output),
        "--workers",
        str(WORKERS),
        FLEET_BROKER=broker,
    )


def windows(output: Path) -> list[tuple[int, int]]:
    """The ranges of the windows that were harvested, sorted."""
    return sorted((window.start, window.until) for window in Ledger(output / "oai_state").windows())


def test_workers_that_are_killed_lose_no_window_and_do_none_twice(
    fleet: Fleet, broker: str, harvesters: Harvesters, tmp_path: Path
) -> None:
    with serve_oai(OaiServer(items(4_000, every=60), page=50)) as server:
        server.delay_seconds = 0.03
        output = fleet.shared / "out"
        with start(fleet, server, output, broker) as process:
            for number in range(KILLS):
                seen = server.requests
                while process.poll() is None and server.requests < seen + 10:
                    time.sleep(0.02)
                harvesters.kill_one(number)
            _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said + (tmp_path / "harvesters.log").read_text()[-3000:]
        server.delay_seconds = 0
        alone = fleet.run("harvest", server.url, "--metadata-prefix", "oai_dc", "--output", str(tmp_path / "alone"))
        assert alone.returncode == 0, alone.stderr
    assert (output / "data.ndjson").read_bytes() == (tmp_path / "alone" / "data.ndjson").read_bytes()
    ranges = windows(output)
    assert all(until < start for (_, until), (start, _) in pairwise(ranges)), "a window was harvested twice"
    assert len(ranges) > 2 * WORKERS
    assert list((output / "oai_state" / "tasks").iterdir()) == []


def test_a_harvest_into_a_folder_that_the_workers_do_not_share_is_refused(
    fleet: Fleet, broker: str, tmp_path: Path
) -> None:
    with serve_oai(OaiServer(items(10))) as server, start(fleet, server, tmp_path / "elsewhere", broker) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "which the harvesters share: choose a folder there, or unset FLEET_BROKER" in said


def test_a_task_for_a_folder_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_SHARED_DIR", str(tmp_path / "shared"))
    task = WindowTask(
        folder=str(tmp_path / "shared" / ".." / "elsewhere"),
        plan=Plan(url="http://127.0.0.1:1/oai", prefix="oai_dc"),
        window=(0, 1),
        limit=None,
        cap=None,
        user_agent="tests",
        rate=0,
        base_url="",
        post=False,
        learned={},
    )
    with pytest.raises(FleetError, match="it is not from this fleet"):
        harvest_window(msgspec.to_builtins(task))
