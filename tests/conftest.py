"""Fixtures that tests of every kind share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from crawlers.runtime.manifest import Manifest
from tests.command import MANIFEST, Fleet
from tests.site import Site, serve_site

# How fast a machine makes examples, or runs one, is no property of the code: tests assert nothing of time.
settings.register_profile("fleet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fleet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the long tests unless they are asked for."""
    if not os.environ.get("FLEET_SOAK"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: `make soak` runs it"))


@pytest.fixture
def manifest() -> Manifest:
    """The manifest of a source called ``little``."""
    return Manifest(name="little", kind="api", **MANIFEST)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """The real command, on sources and a shared volume of the test's own."""
    (tmp_path / "sources").mkdir()
    return Fleet(tmp_path / "sources", tmp_path / "shared")


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on loopback that can misbehave."""
    with serve_site() as site:
        yield site
