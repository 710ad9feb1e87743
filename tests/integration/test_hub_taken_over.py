"""What a crawler that was taken over leaves on the shared volume: the hub goes on, bounded, and follows nothing out of the volume.

Each source of one hub is such a crawler's, in a way of its own; beside them is one that means no harm.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.running_hub import FIRST, RunningHub, documents

RUN = {"source": "x", "release": FIRST, "started": FIRST, "run": "20261122T010203.000000-1", "outcome": "published"}
DESCRIBED = {"source": "x", "release": FIRST, "records": 1, "bytes": 1, "sha256": "0"}
PAUSE = {"by": "x", "since": FIRST, "reason": "x"}
CONTAINER = {"since": FIRST, "started": FIRST}
FIRST_MOMENT, LAST_MOMENT = "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"
HUGE_BYTES = 256 << 20
DEEP = "[" * 5_000 + "]" * 5_000
MOST_BYTES = 400 << 20

# By the name of the source: a file in its release folder, or below its state folder, and what it holds: bytes, JSON, or one of these.
PIPE, SPARSE = object(), object()
HOSTILE: dict[str, tuple[str, Any]] = {
    "release_pipe": ("release.txt", PIPE),
    "release_late": ("release.txt", LAST_MOMENT.encode()),
    "release_early": ("release.txt", FIRST_MOMENT.encode()),
    "description_pipe": ("release.json", PIPE),
    "description_sparse": ("release.json", SPARSE),
    "description_numbers": ("release.json", {**DESCRIBED, "records": 10**30, "bytes": 10**300}),
    "description_deep": ("release.json", json.dumps({**DESCRIBED, "gaps": []}).replace("[]", f"[{DEEP}]").encode()),
    "run_pipe": ("last-run.json", PIPE),
    "run_numbers": ("last-run.json", {**RUN, "counts": {"records": 10**400}}),
    "run_moments": ("last-run.json", {**RUN, "ended": LAST_MOMENT, "started": FIRST_MOMENT}),
    "run_pace": ("last-run.json", {**RUN, "pace": {"factor": 1e308, "failures": 1 << 63, "good": "x", "ended": "y"}}),
    "history_pipe": ("history.ndjson", PIPE),
    "history_sparse": ("history.ndjson", SPARSE),
    "history_numbers": ("history.ndjson", {**RUN, "counts": {"records": 10**30}}),
    "history_garbage": ("history.ndjson", b"x\n" * 1_000_000),
    "heartbeat_pipe": ("heartbeat.json", PIPE),
    "heartbeat_sparse": ("heartbeat.json", SPARSE),
    "rejects_pipe": ("rejects.ndjson", PIPE),
    "rejects_sparse": ("rejects.ndjson", SPARSE),
    "verdict_pipe": ("stuck.json", PIPE),
    "container_cron": ("orders/../container.json", {**CONTAINER, "cron": "nonsense"}),
    "container_never": ("orders/../container.json", {**CONTAINER, "cron": "0 0 30 2 *"}),
    "container_moment": ("orders/../container.json", {**CONTAINER, "since": LAST_MOMENT}),
    "pause_moment": ("orders/pause.json", {**PAUSE, "since": LAST_MOMENT, "until": FIRST_MOMENT}),
    "pause_pipe": ("orders/pause.json", PIPE),
    "order_moment": ("orders/crawl.json", {"command": "crawl", "by": "x", "at": LAST_MOMENT}),
}
# By the name of the source: which of its files, or folders, is a symbolic link.
LINKED = {
    "link_release": "release.txt",
    "link_description": "release.json",
    "link_run": "last-run.json",
    "link_history": "history.ndjson",
    "link_heartbeat": "heartbeat.json",
    "link_rejects": "rejects.ndjson",
    "link_lock": ".lock",
    "link_held": "held",
}


@pytest.fixture(scope="module")
def hub(make_module_hub: Callable[..., RunningHub], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    hub = make_module_hub()
    secret = tmp_path_factory.mktemp("outside") / "secret"
    secret.write_text("very-secret-token")
    for name in ("harmless", *HOSTILE, *LINKED):
        hub.add_source(name)
        hub.publish(name, FIRST, documents(1, name))
    for name, (file, content) in HOSTILE.items():
        folder = hub.shared / f"{name}_{'state' if '/' in file else 'crawled'}"
        _write(folder / file, content)
    for name, file in LINKED.items():
        path = hub.shared / f"{name}_crawled" / file
        path.unlink(missing_ok=True)
        path.symlink_to(secret if file != "held" else secret.parent)
    # Whose lock is a link has a run that seems to be under way: the lock tells whether it is.
    _write(hub.shared / "link_lock_crawled" / "last-run.json", {**RUN, "outcome": "running"})
    yield hub.start()


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content is PIPE:
        os.mkfifo(path)
    elif content is SPARSE:
        with path.open("wb") as file:
            file.truncate(HUGE_BYTES)
    else:
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def _get(hub: RunningHub, path: str) -> requests.Response:
    answer = requests.get(f"{hub.url}{path}", auth=hub.auth, headers={"Accept": "text/html"}, timeout=20)
    assert "very-secret-token" not in answer.text, path
    return answer


def test_no_page_of_all_sources_is_lost_by_one_of_them(hub: RunningHub) -> None:
    hub.wait_until_live("harmless", FIRST)
    for path in ("/", "/fleet/status", "/metrics", "/fleet/jobs", "/jobs", "/last-collected", "/fleet/last-collected"):
        assert _get(hub, path).status_code == 200, path
    assert _get(hub, "/sources/harmless").status_code == 200


@pytest.mark.parametrize("name", [*HOSTILE, *LINKED])
def test_what_can_be_told_of_such_a_source_is_told_and_else_why_not(hub: RunningHub, name: str) -> None:
    for path in (f"/sources/{name}", f"/fleet/sources/{name}"):
        assert _get(hub, path).status_code == 200, path
    for path in ("runs", "runs/last", "releases/published", "releases/archived/rejects", "releases/published/rejects"):
        assert _get(hub, f"/fleet/sources/{name}/{path}").status_code in (200, 404, 409), path


def test_the_hub_stays_small(hub: RunningHub) -> None:
    assert hub.process
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    assert peak < MOST_BYTES


def test_the_hub_writes_through_no_link(hub: RunningHub, tmp_path: Path) -> None:
    state = hub.shared / "harmless_state"
    state.mkdir()
    (state / "orders").symlink_to(tmp_path)
    answer = hub.act("harmless", "crawl")
    assert answer.status_code == 409
    assert "symbolic link" in answer.json()["error"]
    (tmp_path / "pause.json").write_text("not ours")
    assert hub.act("harmless", "resume").status_code == 409
    assert [path.name for path in tmp_path.iterdir()] == ["pause.json"]


def test_no_release_is_approved_or_discarded_through_a_link(hub: RunningHub, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    hub.publish_into(elsewhere, "2026-11-23T01:02:03Z", documents(1))
    _write(elsewhere / "release.json", {**DESCRIBED, "release": "2026-11-23T01:02:03Z"})
    held = hub.shared / "harmless_crawled" / "held"
    held.symlink_to(elsewhere)
    answer = hub.act("harmless", "approve")
    assert answer.status_code == 409
    assert "symbolic link" in answer.json()["error"]
    assert hub.act("harmless", "discard").status_code == 200
    assert not held.is_symlink()
    assert (elsewhere / "release.txt").exists()
