"""Releases that the publish gate holds back: held whole, approved, discarded, superseded; and what the history tells of it."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command import Fleet

PUBLISHED = ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]


def crawl(fleet: Fleet, records: int, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Crawl a source that has so many records."""
    code = f"""
        def parse(api):
            for number in range({records}):
                yield {{"_id": f"{{number}}", "name": "Name", "description": "Words" if number >= {settings.pop("bare", 0)} else ""}}
    """
    fleet.write_source("little", "api", code, **settings)
    return fleet.run("crawl", "little")


def outcomes(fleet: Fleet) -> list[str]:
    return [run["outcome"] for run in json.loads(fleet.run("history", "little", "--json").stdout)]


def held_files(fleet: Fleet) -> list[str]:
    return sorted(path.name for path in (fleet.folder("little") / "held").iterdir())


def test_a_source_that_shrank_is_held_whole_and_can_be_approved(fleet: Fleet) -> None:
    assert crawl(fleet, 100).returncode == 0
    before = (fleet.folder("little") / "data.ndjson").read_bytes()
    held = crawl(fleet, 50)
    assert held.returncode == 4
    assert "50 records, 50 fewer than the 100 of" in held.stderr
    assert "fleet approve little" in held.stderr
    assert (fleet.folder("little") / "data.ndjson").read_bytes() == before
    assert held_files(fleet) == PUBLISHED
    described = json.loads((fleet.folder("little") / "held" / "release.json").read_bytes())
    assert (described["outcome"], described["records"], len(described["reasons"])) == ("held", 50, 1)

    done = fleet.run("approve", "little", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["approved"]
    assert fleet.files("little") == PUBLISHED
    assert len(fleet.records("little")) == 50
    description = fleet.description("little")
    assert (description["outcome"], description["reasons"]) == ("published", described["reasons"])
    assert (fleet.folder("little") / "data.ndjson").stat().st_nlink == 1
    assert outcomes(fleet) == ["published", "held", "approved"]
    assert json.loads((fleet.folder("little") / "last-run.json").read_bytes())["outcome"] == "approved"
    again = fleet.run("approve", "little")
    assert again.returncode == 1
    assert "no release is held" in again.stderr


def test_a_held_release_can_be_discarded_and_the_published_one_stays(fleet: Fleet) -> None:
    assert crawl(fleet, 100).returncode == 0
    assert crawl(fleet, 100, bare=50).returncode == 4
    done = fleet.run("discard", "little")
    assert done.returncode == 0, done.stderr
    assert fleet.files("little") == PUBLISHED
    assert len(fleet.records("little")) == 100
    assert outcomes(fleet) == ["published", "held", "discarded"]
    assert fleet.run("discard", "little").returncode == 1


def test_the_next_good_crawl_supersedes_a_held_release_and_the_next_held_one_takes_its_place(fleet: Fleet) -> None:
    assert crawl(fleet, 100).returncode == 0
    assert crawl(fleet, 10).returncode == 4
    assert crawl(fleet, 20).returncode == 4
    assert json.loads((fleet.folder("little") / "held" / "release.json").read_bytes())["records"] == 20
    assert crawl(fleet, 110).returncode == 0
    assert fleet.files("little") == PUBLISHED
    assert crawl(fleet, 30).returncode == 4
    assert crawl(fleet, 110).returncode == 0  # the site is as it was: what it seemed in between is of no use
    assert fleet.files("little") == PUBLISHED
    assert outcomes(fleet) == ["published", "held", "held", "published", "held", "unchanged"]


def test_the_same_data_again_are_unchanged_and_publish_nothing(fleet: Fleet) -> None:
    assert crawl(fleet, 30).returncode == 0
    before = fleet.description("little")
    done = crawl(fleet, 30)
    assert done.returncode == 0
    assert f"30 records, unchanged since release {before['release']}" in done.stderr
    assert fleet.description("little") == before
    runs = json.loads(fleet.run("history", "little", "--json").stdout)
    assert [run["outcome"] for run in runs] == ["published", "unchanged"]
    assert runs[1]["started"] > runs[0]["started"]


def test_a_damaged_held_release_is_not_approved(fleet: Fleet) -> None:
    assert crawl(fleet, 100).returncode == 0
    assert crawl(fleet, 50).returncode == 4
    data = fleet.folder("little") / "held" / "data.ndjson"
    data.unlink()
    data.write_text('{"_id":"other"}\n')
    done = fleet.run("approve", "little")
    assert done.returncode == 1
    assert "is not what release.json beside it describes" in done.stderr
    assert len(fleet.records("little")) == 100


def test_drift_tells_which_fields_were_lost(fleet: Fleet) -> None:
    assert crawl(fleet, 100).returncode == 0
    assert crawl(fleet, 101).returncode == 0
    assert crawl(fleet, 100, bare=40).returncode == 4
    found = json.loads(fleet.run("drift", "little", "--json").stdout)
    assert (found["outcome"], found["records"], found["records_before"]) == ("held", 100, 100.5)
    assert found["fields"] == [{"field": "description", "share": 0.6, "before": 1.0, "points": -40.0}]
    shown = fleet.run("drift", "little").stdout
    assert "description" in shown
    assert "-40.00" in shown


def test_history_names_every_end_a_crawl_can_have(fleet: Fleet) -> None:
    assert crawl(fleet, 10).returncode == 0
    assert crawl(fleet, 0).returncode == 1
    fleet.write_source("little", "api", "def parse(api):\n    yield {'_id': '1'}\n    raise ValueError('odd')\n")
    assert fleet.run("crawl", "little").returncode == 1
    hangs = "import threading\n\ndef parse(api):\n    print('started', flush=True)\n    threading.Event().wait()\n    yield {}\n"
    fleet.write_source("little", "api", hangs)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with fleet.start("crawl", "little") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            if number == signal.SIGTERM:
                assert outcomes(fleet)[-1] == "running"
            process.send_signal(number)
            process.communicate(timeout=30)
    assert outcomes(fleet)[-1] == "killed"  # also before the next crawl writes its line
    assert crawl(fleet, 10).returncode == 0
    assert outcomes(fleet) == ["published", "empty", "failed", "interrupted", "killed", "unchanged"]
    lines = (fleet.folder("little") / "history.ndjson").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == outcomes(fleet)
    shown = fleet.run("history", "little").stdout
    assert "ValueError: odd" in shown
    assert "it was killed" in shown


def test_a_torn_line_of_the_history_costs_that_line_alone(fleet: Fleet) -> None:
    assert crawl(fleet, 10).returncode == 0
    path = fleet.folder("little") / "history.ndjson"
    with path.open("ab") as file:
        file.write(b'{"source":"little","rel')
    assert crawl(fleet, 11).returncode == 0
    assert outcomes(fleet) == ["published", "published"]


@pytest.mark.parametrize("command", ["approve", "discard"])
def test_a_source_never_crawled_has_nothing_to_approve(fleet: Fleet, command: str, tmp_path: Path) -> None:
    fleet.write_source("little", "api", "def parse(api):\n    yield {'_id': '1'}\n")
    done = fleet.run(command, "little")
    assert done.returncode == 1
    assert "was never crawled" in done.stderr
    assert not fleet.folder("little").exists()
