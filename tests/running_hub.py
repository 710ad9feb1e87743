"""A real hub in a process of its own, on a real database, for tests; and releases written by hand for it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psutil
import requests
from pymongo import MongoClient
from requests.auth import HTTPBasicAuth

from tests.command import MANIFEST, toml_value

FIRST, SECOND, THIRD = "2026-11-22T01:02:03Z", "2026-11-22T02:02:03Z", "2026-11-22T03:02:03Z"
_WAIT_SECONDS = 60.0


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """What ``condition`` returns, once that is true."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"in vain waited for: {what}")


def documents(count: int, name: str = "site", **fields: Any) -> list[dict[str, Any]]:
    return [{"_id": f"{name}_{number}", **fields} for number in range(count)]


# What the hub writes into the `_meta` of each live document.
_PROVENANCE = frozenset({"source", "release", "url", "first_seen", "last_seen"})


class RunningHub:
    """A hub with sources, a shared volume and an archive of its own below ``root``."""

    def __init__(self, root: Path, uri: str | None, database: str, **environment: str) -> None:
        self.shared = root / "shared"
        self.archive = root / "archive"
        self.sources = root / "sources"
        self.data = root / "data"
        self.log = root / "hub.log"
        for folder in (self.shared, self.sources, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.login: tuple[str, str] | None = None
        self.tokens: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("FLEET_")},
            "FLEET_DATA_DIR": str(self.data),
            "FLEET_SHARED_DIR": str(self.shared),
            "FLEET_ARCHIVE_DIR": str(self.archive),
            "FLEET_SOURCES_DIR": str(self.sources),
            "FLEET_HUB_PORT": str(self.port),
            "FLEET_MONGO_DATABASE": database,
            **({"FLEET_MONGO_URI": uri} if uri else {}),
            **environment,
        }
        self.client: MongoClient[dict[str, Any]] | None = MongoClient(uri) if uri else None
        self.database = database

    def auth(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Signs a request of the tests: by ``login`` where it is set, else as the ``fleet`` command on this machine does."""
        if self.login:
            return HTTPBasicAuth(*(part.encode() for part in self.login))(request)
        if (token := self.data / "local-token").exists():
            request.headers["Authorization"] = f"Bearer {token.read_text()}"
        return request

    def add_source(self, name: str, **fields: Any) -> None:
        """A source of that name; ``fields`` win over the manifest's usual ones."""
        manifest = {"name": name, "kind": "api", **MANIFEST, **fields}
        folder = self.sources / name
        folder.mkdir(exist_ok=True)
        lines = (f"{key} = {toml_value(value)}\n" for key, value in manifest.items())
        (folder / "source.toml").write_text("".join(lines))

    def publish(self, name: str, release: str, records: list[dict[str, Any]] | list[bytes]) -> Path:
        """Publish as a foreign crawler may: the pair and nothing else, renamed into place, data first."""
        folder = self.shared / f"{name}_crawled"
        folder.mkdir(exist_ok=True)
        self.publish_into(folder, release, records)
        return folder

    def publish_into(self, folder: Path, release: str, records: list[dict[str, Any]] | list[bytes]) -> None:
        """The same, in any folder."""
        lines = b"".join(record if isinstance(record, bytes) else orjson.dumps(record) + b"\n" for record in records)
        for file, content in (("data.ndjson", lines), ("release.txt", f"{release}\n".encode())):
            temporary = folder / f".{file}.new"
            temporary.write_bytes(content)
            temporary.chmod(0o444)
            temporary.replace(folder / file)

    def start(self) -> "RunningHub":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fleet", "hub"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers, f"the hub to answer; its log: {self.log.read_text()[-2000:]}")
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the hub by a signal; its exit code, once every child of it is gone too."""
        if self.process is None:
            return 0
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.send_signal(number)
        code = self.process.wait(_WAIT_SECONDS)
        self.process = None
        _, alive = psutil.wait_procs(children, _WAIT_SECONDS)
        assert not alive, f"left behind by the hub: {alive}"
        return code

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The ``fleet`` command, with this hub's environment."""
        return subprocess.run(
            [sys.executable, "-m", "fleet", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def status(self, name: str) -> dict[str, Any]:
        """How the source stands, as soon as the hub has read its manifest."""

        def find() -> dict[str, Any] | None:
            sources = requests.get(f"{self.url}/fleet/status", auth=self.auth, timeout=30).json()
            return next((source for source in sources if source["name"] == name), None)

        return wait_for(find, f"the hub to know the source {name}")

    def act(self, name: str, action: str, **parameters: str) -> requests.Response:
        url = f"{self.url}/fleet/sources/{name}/{action}"
        return requests.post(url, params=parameters, auth=self.auth, timeout=120)

    def archived(self, name: str) -> list[str]:
        """The releases in the archive, the earliest first."""
        return sorted(path.name for path in (self.archive / name).iterdir() if path.name[0].isdigit())

    def wait_until_live(self, name: str, release: str) -> dict[str, Any]:
        return wait_for(
            lambda: (status := self.status(name))["live"] == release and status["state"] == "live" and status,
            f"{name} to be live as {release}",
        )

    def wait_for_changes(self, name: str, release: str) -> dict[str, Any]:
        """What the archived release changed, once it is compared."""
        return wait_for(
            lambda: (it := self.status(name)["changes"]) and it["release"] == release and it,
            f"{release} to be compared",
        )

    def wait_for_state(self, name: str, state: str) -> dict[str, Any]:
        return wait_for(
            lambda: (status := self.status(name))["state"] == state and status, f"{name} to be in the state {state!r}"
        )

    def live(self, name: str) -> list[dict[str, Any]]:
        """The documents of the live collection, by ``_id``, without their provenance: what is left is what was published."""
        assert self.client
        documents = sorted(self.client[self.database][name].find(), key=lambda document: document["_id"])
        for document in documents:
            meta = {key: value for key, value in document.pop("_meta", {}).items() if key not in _PROVENANCE}
            document |= {"_meta": meta} if meta else {}
        return documents

    def provenance(self, name: str) -> dict[str, dict[str, Any]]:
        """``_meta`` of each live document, by ``_id``."""
        assert self.client
        return {document["_id"]: document["_meta"] for document in self.client[self.database][name].find()}

    def collections(self) -> list[str]:
        assert self.client
        return sorted(self.client[self.database].list_collection_names())

    def rejects(self, name: str, release: str) -> list[dict[str, Any]]:
        path = self.archive / name / release / "upload-rejects.ndjson"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, f"the hub ended: {self.log.read_text()[-2000:]}"
        try:
            requests.get(self.url, auth=self.auth, timeout=5)
        except requests.ConnectionError:
            return False
        return True
