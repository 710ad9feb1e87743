"""What a crawl tells of itself while it runs."""

import json
import time
from pathlib import Path

import pytest

from crawlers.runtime.heartbeat import HEARTBEAT, Heartbeat, read_heartbeat
from crawlers.runtime.lock import source_lock
from crawlers.runtime.oai.ledger import Plan
from crawlers.runtime.oai.planning import Planner
from crawlers.runtime.oai.showing import HarvestProgress
from crawlers.runtime.release import Counts
from crawlers.runtime.tally import Tally
from crawlers.runtime.verdict import read_verdict, remove_verdict, write_verdict
from crawlers.runtime.watch import Watch
from crawlers.runtime.watchdog import describe_stack, find_descendants

STACKS = """Thread 0x01 (most recent call first):
  File "/usr/lib/python3.12/threading.py", line 331 in wait

Current thread 0x02 (most recent call first):
  File "/usr/lib/python3.12/re/__init__.py", line 166 in match
  File "/app/crawlers/sources/demo/spider.py", line 12 in parse
  File "/app/crawlers/runtime/scrapy_run.py", line 60 in run_spider
"""


def beat_of(folder: Path, tally: Tally, counts: Counts, expected: int | None = None) -> Heartbeat:
    with source_lock(folder):
        watch = Watch(folder, folder, "20261122T010203.000000-7", tally, counts, 0)
        watch.expected = expected
        with watch:
            beat = read_heartbeat(folder)
    assert beat is not None
    return beat


def test_a_harvest_tells_its_windows_and_how_many_records_the_server_has(tmp_path: Path) -> None:
    plan = Plan(url="http://site.invalid/oai", prefix="oai_dc", set="", ranges=((0, 9),), now=10, granularity=1)
    progress, tally = HarvestProgress("little"), Tally()
    tally.windows = progress.windows
    progress.add(5)
    assert beat_of(tmp_path, tally, Counts()).expected_windows == 0
    progress.planner = Planner(plan, [(0, 4), (5, 9)], 1)
    progress.planner.size = 12
    assert progress.planner.take()
    progress.planner.finish((0, 4), 5)
    beat = beat_of(tmp_path, tally, Counts(), expected=99)
    assert (beat.harvested, beat.windows, beat.expected_windows) == (5, 1, 2)
    assert (beat.expected, beat.expected_by) == (12, "site")


def test_where_the_site_says_nothing_the_last_release_tells_what_to_expect(tmp_path: Path) -> None:
    counts = Counts(items=5, rejected_items=2, rejects=3)
    beat = beat_of(tmp_path, Tally(), counts, expected=99)
    assert (beat.records, beat.rejects, beat.expected, beat.expected_by) == (3, 3, 99, "last release")
    assert beat_of(tmp_path, Tally(), counts).expected is None
    assert not (tmp_path / HEARTBEAT).exists()


def test_a_heartbeat_that_nobody_keeps_up_is_none(tmp_path: Path) -> None:
    (tmp_path / HEARTBEAT).write_text('{"run": "x", "started": "", "at": ""}')
    assert read_heartbeat(tmp_path) is None
    with source_lock(tmp_path):
        assert read_heartbeat(tmp_path) is not None
        (tmp_path / HEARTBEAT).write_text("{")
        assert read_heartbeat(tmp_path) is None


def test_a_tally_knows_what_is_under_way_and_how_long_it_waits() -> None:
    tally, places = Tally(), []
    tally.on_place = places.append
    tally.ask("http://a/")
    tally.ask("http://a/")
    tally.ask("http://b/")
    tally.leave("http://a/")
    assert tally.under_way == {"http://b/": 1, "http://a/": 1}
    tally.leave("http://a/")
    tally.answer("http://b/")
    assert (tally.requests, tally.responses, list(tally.under_way)) == (3, 1, ["http://b/"])
    assert places[-2:] == ["asking for http://b/", "reading http://b/"]
    tally.wait(100)
    tally.wait(1)
    assert tally.patient_until > time.monotonic() + 50


def test_a_verdict_is_of_one_run(tmp_path: Path) -> None:
    assert read_verdict(tmp_path, "one") == ""
    write_verdict(tmp_path, "one", "stuck: there")
    assert (read_verdict(tmp_path, "one"), read_verdict(tmp_path, "two")) == ("stuck: there", "")
    (tmp_path / "stuck.json").write_text(json.dumps([1]))
    assert read_verdict(tmp_path, "one") == ""
    remove_verdict(tmp_path)
    remove_verdict(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stacks", "where"),
    [
        (STACKS, "match (__init__.py:166), called by parse (spider.py:12)"),
        (STACKS.replace('  File "/app/crawlers/sources/demo/spider.py", line 12 in parse\n', ""), "match (__init__.py:166), called by run_spider (scrapy_run.py:60)"),
        ("", ""),
        ("Current thread 0x02 (most recent call first):\n  <no Python frame>\n", ""),
    ],
)  # fmt: skip
def test_where_the_main_thread_is_is_told_by_its_innermost_frame_and_who_called_it(stacks: str, where: str) -> None:
    assert describe_stack(stacks) == where


def test_a_process_without_children_has_no_descendants() -> None:
    assert find_descendants(2**22 + 1) == set()
