"""``fleet due``, ``order``, ``pause`` and ``resume``, and what cron starts each minute, as they are called in a container."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime.history import read_history
from tests.command import Fleet

CHECKOUT = Path(__file__).resolve().parents[2]
ONE_RECORD = """
    def parse(api):
        yield {"_id": "1", "name": "One", "url": "http://site.invalid/1"}
"""
NOT_DUE = 7
NOWHERE = {"FLEET_HUB_PORT": "1"}


class Container:
    """What a container has, but for cron: a source, the scripts, and the note of the last look."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.note = folder / "next"
        self.starts = folder / "starts"
        # The command, which says each time that it was started: the point is how seldom it is.
        command = folder / "bin" / "fleet"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\necho "$1" >>{self.starts}\nexec {sys.executable} -m fleet "$@"\n')
        command.chmod(0o755)
        self.environment = {**fleet.environment(), "PATH": f"{command.parent}:{os.environ['PATH']}"}

    def tick(self) -> tuple[int, list[str]]:
        """What cron starts each minute: its exit code, and the commands that it started."""
        self.starts.write_text("")
        script = [CHECKOUT / "scripts" / "tick.sh", "little", str(self.note)]
        done = subprocess.run(script, env=self.environment, capture_output=True, text=True, timeout=60)
        return done.returncode, self.starts.read_text().split()

    def runs(self) -> list[tuple[str, str, str]]:
        return [(run.outcome, run.trigger, run.by) for run in read_history(self.fleet.folder("little"))]


@pytest.fixture
def container(fleet: Fleet, tmp_path: Path) -> Container:
    # run-spider.sh takes the checkout's own environment first, where there is one, so its `fleet` is not among the starts.
    fleet.write_source("little", "api", ONE_RECORD, schedule={"kind": "adaptive", "splay_minutes": 0})
    return Container(fleet, tmp_path)


def due(fleet: Fleet) -> tuple[int, str]:
    done = fleet.run("due", "little")
    return done.returncode, done.stdout.strip()


def test_what_is_due_is_crawled_and_then_python_is_not_even_started(container: Container) -> None:
    code, started = container.tick()
    assert (code, started[0]) == (0, "due")
    assert container.runs() == [("published", "schedule", "")]
    assert container.tick() == (NOT_DUE, ["due"])  # the run is newer than the note
    assert container.tick() == (NOT_DUE, [])
    again = int(container.note.read_text()) - time.time()
    assert 3500 < again <= 3600  # the next run is 115 minutes away: at the latest after an hour it looks again


def test_an_order_is_carried_out_by_the_next_tick(container: Container) -> None:
    container.tick()
    container.tick()
    assert container.fleet.run("order", "little", "--reason", "once more").returncode == 0
    status = json.loads(container.fleet.run("due", "little", "--json").stdout)
    assert (status["ordered"], "once more" in status["next_reason"]) == ("crawl", True)
    assert container.tick()[0] == 0
    outcome, trigger, by = container.runs()[-1]
    assert (outcome, trigger) == ("unchanged", "order")
    assert by
    assert container.tick() == (NOT_DUE, ["due"])


def test_a_paused_source_is_crawled_by_hand_and_by_order_only(container: Container) -> None:
    fleet = container.fleet
    paused = fleet.run("pause", "little", "--reason", "the site moves", "--until", "2w")
    assert paused.returncode == 0
    assert "the site moves" in paused.stdout
    assert container.tick() == (NOT_DUE, ["due"])
    assert container.tick() == (NOT_DUE, [])
    assert container.runs() == []
    by_hand = fleet.run("crawl", "little")
    assert by_hand.returncode == 0
    assert "paused since" in by_hand.stderr
    fleet.run("order", "little")
    assert container.tick()[0] == 0
    assert [trigger for _, trigger, _ in container.runs()] == ["hand", "order"]
    assert fleet.run("resume", "little").stdout == "little: resumed\n"
    assert fleet.run("resume", "little").stdout == "little was not paused\n"
    assert container.tick() == (NOT_DUE, ["due"])


def test_due_says_when_and_why(fleet: Fleet) -> None:
    fleet.write_source("little", "api", ONE_RECORD, schedule={"kind": "adaptive"})
    assert due(fleet) == (0, "little: due now: never crawled")
    fleet.run("crawl", "little")
    code, words = due(fleet)
    assert code == NOT_DUE
    assert "not due before" in words
    assert "115 min after the last run (adaptive, 15 min × 7.692)" in words


@pytest.mark.parametrize("until", ["soon", "2020-01-01", "3m"])
def test_an_end_of_a_pause_that_can_not_be_meant_is_refused(fleet: Fleet, until: str) -> None:
    fleet.write_source("little", "api", ONE_RECORD)
    refused = fleet.run("pause", "little", "--reason", "why", "--until", until)
    assert refused.returncode == 2
    assert "expected" in refused.stderr


def test_a_check_can_not_be_ordered_where_there_is_none(fleet: Fleet) -> None:
    fleet.write_source("little", "api", ONE_RECORD)
    assert fleet.run("order", "little", "--check").returncode == 2


def test_a_scheduled_check_keeps_to_the_pause_and_one_by_hand_does_not(fleet: Fleet) -> None:
    fleet.write_source("little", "api", ONE_RECORD)
    fleet.run("pause", "little", "--reason", "the site moves")
    scheduled = fleet.run("check", "little", FLEET_TRIGGER="schedule")
    assert (scheduled.returncode, "not checked: paused since" in scheduled.stderr) == (NOT_DUE, True)
    by_hand = fleet.run("check", "little")
    assert (by_hand.returncode, "no [check] table" in by_hand.stderr) == (2, True)


def test_trying_out_and_transforming_move_no_schedule(fleet: Fleet) -> None:
    two = ONE_RECORD + '        yield {"_id": "2", "name": "Two", "url": "http://site.invalid/2"}\n'
    fleet.write_source("little", "api", two, schedule={"kind": "adaptive"})
    fleet.run("crawl", "little")
    before = due(fleet)
    assert fleet.run("crawl", "little", "--limit", "1").returncode == 5
    code, words = due(fleet)
    assert (code, words.partition(", in ")[0]) == (NOT_DUE, before[1].partition(", in ")[0])


def statuses(fleet: Fleet) -> dict[str, Any]:
    return {status["name"]: status for status in json.loads(fleet.run("status", "--json", **NOWHERE).stdout)}


def test_status_shows_what_needs_attention_first_and_why(fleet: Fleet) -> None:
    fleet.write_source("well", "api", ONE_RECORD)
    fleet.write_source("ill", "api", "def parse(api):\n    raise ValueError('odd')\n    yield\n")
    fleet.write_source("new", "api", ONE_RECORD)
    (fleet.sources / "bad").mkdir()
    (fleet.sources / "bad" / "source.toml").write_text("name = 1\n")
    fleet.run("crawl", "well")
    fleet.run("crawl", "ill")
    found = statuses(fleet)
    assert {name: (status["standing"] or {}).get("state") for name, status in found.items()} == {
        "bad": None,
        "ill": "failing",
        "new": "never",
        "well": "fresh",
    }
    table = fleet.run("status", **NOWHERE)
    assert table.returncode == 6
    rows = table.stdout.splitlines()
    assert [row.split()[0] for row in rows[1:5]] == ["bad", "ill", "new", "well"]
    assert "cron 0 4 * * 6" in rows[4]
    assert "4 sources: 2 failing, 1 never, 1 fresh" in table.stdout
    assert "ill: " in table.stdout
    assert "ValueError: odd" in table.stdout


def test_status_is_watched_until_ctrl_c(fleet: Fleet) -> None:
    fleet.write_source("little", "api", ONE_RECORD)
    with fleet.start("status", "--watch", "--every", "0.5", PYTHONUNBUFFERED="1", **NOWHERE) as process:
        assert process.stdout is not None
        while "1 sources: 1 never" not in (line := process.stdout.readline()):
            assert line, "it ended"
        process.send_signal(2)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert fleet.run("status", "--watch", "--json").returncode == 2
