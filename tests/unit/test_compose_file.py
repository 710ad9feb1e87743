"""docker-compose.yml and the sources belong together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from crawlers.runtime.manifest import KINDS, Source, load_sources

CHECKOUT = Path(__file__).resolve().parents[2]
SERVICES_FILE = "crawlers/images/services.yml"
SOURCES, _ = load_sources(CHECKOUT / "crawlers" / "sources")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((CHECKOUT / name).read_text())


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_has_a_service_of_its_kind(source: Source) -> None:
    assert read("docker-compose.yml")["services"][source.name] == {
        "extends": {"file": SERVICES_FILE, "service": source.manifest.kind},
        "build": {"args": {"SOURCE": source.name}},
    }


def test_every_crawler_s_service_has_a_source() -> None:
    crawlers = {name for name, service in read("docker-compose.yml")["services"].items() if "extends" in service}
    assert crawlers == {source.name for source in SOURCES}


def test_every_kind_has_a_service_to_extend() -> None:
    assert set(KINDS) <= read(SERVICES_FILE)["services"].keys()


def test_the_file_ends_with_the_sources_where_a_new_one_is_added() -> None:
    compose = read("docker-compose.yml")
    assert list(compose)[-1] == "services"
    services = list(compose["services"])
    assert set(services[-len(SOURCES) :]) == {source.name for source in SOURCES}
