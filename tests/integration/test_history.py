"""How the last crawl went is told whatever its end, by a file that a later crawl replaces."""

import json
import signal
from pathlib import Path

import pytest

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.history import LAST_RUN, is_locked, read_last_run
from tests.command import Fleet
from tests.site import Site

ONE_RECORD = """
    def parse(api):
        yield {"_id": "1", "name": "One", "url": "http://site.invalid/1"}
"""
HANGS = """
    import threading

    def parse(api):
        print("started", flush=True)
        threading.Event().wait()
        yield {}
"""


def outcome(fleet: Fleet) -> str:
    run = read_last_run(fleet.folder("little"))
    assert run is not None
    return run.outcome


def test_a_source_never_crawled_has_no_last_run(tmp_path: Path) -> None:
    assert read_last_run(tmp_path / "nothing_crawled") is None


def test_a_crawl_that_published_says_so_with_its_counts(fleet: Fleet) -> None:
    fleet.write_source("little", "api", ONE_RECORD)
    assert fleet.run("crawl", "little").returncode == 0
    run = read_last_run(fleet.folder("little"))
    assert run is not None
    assert (run.outcome, run.exit_code, run.counts.records) == ("published", 0, 1)
    assert run.release == fleet.description("little")["release"]
    assert run.ended >= run.started


@pytest.mark.parametrize(
    ("code", "expected", "reason"),
    [
        ("def parse(api):\n    return iter(())\n", "empty", "no record was found"),
        ("def parse(api):\n    raise ValueError('odd')\n    yield\n", "failed", "ValueError: odd"),
        ("def parse(api):\n    yield {'name': 'without _id'}\n", "empty", "1 were rejected"),
    ],
)
def test_a_crawl_that_published_nothing_says_why(fleet: Fleet, code: str, expected: str, reason: str) -> None:
    fleet.write_source("little", "api", code)
    result = fleet.run("crawl", "little")
    run = read_last_run(fleet.folder("little"))
    assert run is not None
    assert (run.outcome, run.exit_code) == (expected, result.returncode)
    assert reason in run.message
    assert fleet.files("little") == []


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, "interrupted"), (signal.SIGINT, "interrupted"), (signal.SIGKILL, "killed")],
)
def test_a_crawl_that_is_stopped_is_told_from_one_that_was_killed(
    fleet: Fleet, number: signal.Signals, expected: str
) -> None:
    fleet.write_source("little", "api", HANGS)
    with fleet.start("crawl", "little") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        assert outcome(fleet) == "running"
        assert is_locked(fleet.folder("little"))
        process.send_signal(number)
        process.communicate(timeout=30)
    assert outcome(fleet) == expected
    fleet.write_source("little", "api", ONE_RECORD)
    assert fleet.run("crawl", "little").returncode == 0
    assert outcome(fleet) == "published"
    after = read_last_run(fleet.folder("little"))
    assert after is not None
    assert after.pace is not None  # what a person interrupted is no failure
    assert (after.pace.outcome, after.pace.failures) == (("killed", 1) if expected == "killed" else ("", 0))


def test_status_shows_a_failed_crawl_beside_the_release_that_stays(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", ONE_RECORD)
    assert fleet.run("crawl", "little").returncode == 0
    fleet.write_source("little", "api", "def parse(api):\n    raise ValueError('odd')\n    yield\n")
    assert fleet.run("crawl", "little").returncode == 1
    nowhere = {"FLEET_HUB_PORT": "1", "FLEET_DATA_DIR": str(fleet.shared.parent / "data")}
    [status] = json.loads(fleet.run("status", "--json", **nowhere).stdout)
    assert status["published"] == fleet.description("little")["release"]
    assert status["crawl"]["outcome"] == "failed"
    assert status["disk"]["release"] > 0 and status["disk"]["logs"] > 0
    assert "ValueError: odd" in status["crawl"]["reason"]


def test_a_word_that_can_not_be_read_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / LAST_RUN).write_text("{")
    with pytest.raises(ReleaseError, match=r"last-run.json: .* remove it"):
        read_last_run(tmp_path)
