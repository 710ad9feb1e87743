"""Harvesters in containers of their own, as many as one likes: `docker compose --profile scale`."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.e2e.compose import CHECKOUT, Compose, checked, wait_for
from tests.e2e.conftest import why_no_engine
from tests.e2e.stand_ins import provide

pytestmark = pytest.mark.timeout(1200)

RECORDS = 3_000
# A server to harvest, in a container beside the harvesters. It answers slowly, so that some are killed amid a window.
SERVE = f"""
import threading
from tests.oai_server import OaiServer, items, serve_oai
server = OaiServer(items({RECORDS}, every=60), page=50)
server.delay_seconds = 0.1
with serve_oai(server, ("0.0.0.0", 8080)):
    threading.Event().wait()
"""
OVERRIDE = """\
services:
  server:
    extends: {{ file: {checkout}/docker-compose.yml, service: harvester }}
    profiles: [scale]
    command: [python, -c, {command}]
    environment: {{ PYTHONPATH: /opt/server }}
    volumes: ["{checkout}/tests:/opt/server/tests:ro"]
    networks: [crawl]
"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Redis, three harvesters and a server."""
    reason = why_no_engine()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("scale")
    (folder / "shared").mkdir()
    (folder / "override.yml").write_text(OVERRIDE.format(checkout=CHECKOUT, command=json.dumps(SERVE)))
    compose = Compose(f"fleet-scale-{os.getpid()}", folder / "override.yml", {"FLEET_VOLUME": str(folder / "shared")})
    try:
        provide("redis:7")
        started = (
            "--profile",
            "scale",
            "up",
            "-d",
            "--build",
            "--wait",
            "--scale",
            "harvester=3",
            "harvester",
            "server",
        )
        checked(compose.run(*started, timeout=900))
        yield compose
    finally:
        compose.remove(folder)


def test_harvesters_that_are_killed_lose_nothing(scaled: Compose) -> None:
    url = ("http://server:8080/oai", "--metadata-prefix", "oai_dc", "--json")
    shared = ("--output", "/shared-volume/harvest", "--workers", "3")
    containers = scaled.containers("harvester")
    assert len(containers) == 3
    windows = ("sh", "-c", "find /shared-volume/harvest/oai_state -name '*.done.gz' | wc -l")

    def has_begun() -> bool:
        found = scaled.execute("harvester", *windows)
        return found.returncode == 0 and int(found.stdout) > 1

    with scaled.start("exec", "-T", "--index", "1", "harvester", "fleet", "harvest", *url, *shared) as harvest:
        try:
            wait_for("windows to be harvested", has_begun)
            checked(scaled.kill(containers[2]))
            said, errors = harvest.communicate(timeout=300)
        finally:
            harvest.kill()
    assert harvest.returncode == 0, errors
    outcome = json.loads(said)
    assert (outcome["records"], outcome["gaps"]) == (RECORDS, 0)
    alone = ("env", "-u", "FLEET_BROKER", "fleet", "harvest", *url, "--workers", "3", "--output", "/tmp/alone")
    assert json.loads(checked(scaled.execute("harvester", *alone)))["records"] == RECORDS
    same = scaled.execute("harvester", "cmp", "/tmp/alone/data.ndjson", "/shared-volume/harvest/data.ndjson")
    assert (same.returncode, same.stdout) == (0, "")


def test_a_harvester_reaches_neither_the_hub_nor_its_database(scaled: Compose) -> None:
    networks = scaled.inspect("redis")["NetworkSettings"]["Networks"]
    assert [name.removeprefix(f"{scaled.project}_") for name in networks] == ["scale"]
    assert scaled.inspect("harvester")["Config"]["User"] == "biothings"
