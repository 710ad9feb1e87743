"""Fixtures of the hub's tests: one database a session, and hubs on it.

The tests run on the embedded database. With FLEET_MONGO_URI set they run on that server instead, e.g. a real MongoDB.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pymongo import MongoClient

from hub.embedded import EmbeddedDatabase
from hub.settings import HubSettings
from tests.running_hub import RunningHub, free_port

MakeHub = Callable[..., RunningHub]


@pytest.fixture(scope="session")
def database_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a database server."""
    if os.environ.get("FLEET_MONGO_URI"):
        yield HubSettings.from_environment().database_uri()
        return
    environment = {"FLEET_DATA_DIR": str(tmp_path_factory.mktemp("database")), "FLEET_MONGO_PORT": str(free_port())}
    settings = HubSettings.from_environment(environment)
    with EmbeddedDatabase(settings):
        yield settings.database_uri()


@pytest.fixture
def make_hub(tmp_path: Path, database_uri: str) -> Iterator[MakeHub]:
    """Makes hubs, not started yet, each with folders and databases of its own; all end with the test."""
    yield from _hubs(tmp_path, database_uri)


@pytest.fixture(scope="module")
def make_module_hub(tmp_path_factory: pytest.TempPathFactory, database_uri: str) -> Iterator[MakeHub]:
    """The same, for a hub that the tests of a module share."""
    yield from _hubs(tmp_path_factory.mktemp("hubs"), database_uri)


def _hubs(root: Path, uri: str) -> Iterator[MakeHub]:
    hubs: list[RunningHub] = []

    def make(**environment: str) -> RunningHub:
        name = f"test_{uuid4().hex[:8]}"
        hub = RunningHub(root / name, uri, name, **environment)
        hubs.append(hub)
        return hub

    yield make
    with MongoClient(uri) as client:
        for hub in hubs:
            hub.stop()
            if hub.client:
                hub.client.close()
            for database in (hub.database, f"{hub.database}_hub"):
                client.drop_database(database)
