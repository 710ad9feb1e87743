"""A harvest that is killed at any moment, and run again each time, gives the release of one that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Fleet
from tests.oai_server import Fault, Item, OaiServer, items, serve_oai

KILLS = 200 if os.environ.get("FLEET_SOAK") else 10
COUNT = 3_000


@pytest.fixture
def server() -> Iterator[OaiServer]:
    found = items(COUNT, every=600)
    found[100::50] = [Item(item.identifier, item.at, deleted=True) for item in found[100::50]]
    with serve_oai(OaiServer(found, page=50)) as running:
        running.hostile = lambda arguments, page, times: (
            Fault(status=500, body=b"no")
            if arguments["verb"] != "ListIdentifiers" and any(item.identifier == "oai:test:001501" for item in page)
            else None
        )
        yield running


def start(fleet: Fleet, server: OaiServer, output: Path) -> subprocess.Popen[str]:
    return fleet.start(
        "harvest",
        server.url,
        "--metadata-prefix",
        "oai_dc",
        "--output",
        str(output),
        "--workers",
        "3",
        "--overlap-days",
        "0",
        "--json",
    )


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 5, err
    return json.loads(out)


@pytest.mark.timeout(300 if KILLS == 10 else 3600)
def test_a_killed_harvest_that_is_run_again_gives_the_same_release(
    server: OaiServer, fleet: Fleet, tmp_path: Path
) -> None:
    with start(fleet, server, tmp_path / "undisturbed") as process:
        began = time.monotonic()
        undisturbed = finish(process)
        seconds = time.monotonic() - began
    chance = random.Random(4)
    killed = 0
    while killed < KILLS:
        with start(fleet, server, tmp_path / "killed") as process:
            try:
                # The first half of the time goes into starting; only so can a kill strike at any step.
                process.wait(timeout=chance.uniform(0.2, 1.1) * seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.communicate()
    with start(fleet, server, tmp_path / "killed") as process:
        last = finish(process)
    assert (tmp_path / "killed" / "data.ndjson").read_bytes() == (tmp_path / "undisturbed" / "data.ndjson").read_bytes()
    for name in ("records", "deleted", "gaps"):
        assert last[name] == undisturbed[name]
    assert not list((tmp_path / "killed").rglob(".*.tmp"))
