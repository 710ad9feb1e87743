"""The fleet that the compose tests look at: the hub, its database, and three crawlers of the demonstration site.

``demo`` is crawled each minute; ``slow`` asks its site for a page in ten seconds, on a shared volume of its own, so that a crawl
is always under way; ``continuous`` sleeps for a minute after each crawl, on one of its own too. The sources of real sites are left alone.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.compose import CHECKOUT, Compose
from tests.running_hub import free_port

OVERRIDE = """\
services:
  demo:
    environment: {{ FLEET_SCHEDULE: "* * * * *" }}
  slow:
    extends: {{ file: {checkout}/crawlers/images/services.yml, service: scrapy }}
    build: {{ args: {{ SOURCE: demo }} }}
    volumes:
      - {folder}/slow:/shared-volume
      - {folder}/slow.toml:/app/crawlers/sources/demo/source.toml:ro
  continuous:
    extends: {{ file: {checkout}/crawlers/images/services.yml, service: scrapy }}
    build: {{ args: {{ SOURCE: demo }} }}
    volumes:
      - {folder}/continuous:/shared-volume
      - {folder}/continuous.toml:/app/crawlers/sources/demo/source.toml:ro
"""


def why_no_engine() -> str | None:
    """Why the compose tests can't run here; None where they can."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            return "there is no `docker` command on this machine"
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
            return f"`{' '.join(command)}` does not answer: {said}"
    return None


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared volumes lie: ``shared``, and those of ``slow`` and ``continuous``."""
    folder = tmp_path_factory.mktemp("e2e")
    (folder / "shared").mkdir()
    manifest = (CHECKOUT / "crawlers/sources/demo/source.toml").read_text()
    manifests = {
        "slow": re.sub(r"(?m)^(rate|concurrency) = .*\n", "", manifest) + "rate = 0.1\nconcurrency = 1\n",
        "continuous": re.sub(r"(?m)^schedule = .*\n", "", manifest)
        + '[schedule]\nkind = "continuous"\nmin_minutes = 1\nsplay_minutes = 0\n',
    }
    for name, text in manifests.items():
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
        (folder / f"{name}.toml").write_text(text)
        (folder / f"{name}.toml").chmod(0o644)
    (folder / "override.yml").write_text(OVERRIDE.format(checkout=CHECKOUT, folder=folder))
    return folder


@pytest.fixture(scope="session")
def compose(folder: Path, request: pytest.FixtureRequest) -> Iterator[Compose]:
    """The fleet, started from nothing."""
    reason = why_no_engine()
    if reason:
        pytest.skip(reason)
    ports = {f"FLEET_{name}_PORT": str(free_port()) for name in ("HUB", "PROMETHEUS", "GRAFANA")}
    settings = {"FLEET_VOLUME": str(folder / "shared"), **ports}
    compose = Compose(f"fleet-e2e-{os.getpid()}", folder / "override.yml", settings)
    try:
        compose.up("hub", "demo", "slow", "continuous")
        yield compose
    finally:
        if request.session.testsfailed or not request.session.testscollected:
            print(compose.run("logs", "--no-color", "--timestamps").stdout)
        compose.remove(folder)
