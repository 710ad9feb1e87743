"""While a source is crawled, its heartbeat tells how far it is and its log what happens; and ``fleet clean`` removes what is left of it."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from crawlers.runtime.heartbeat import HEARTBEAT, Heartbeat, read_heartbeat
from crawlers.runtime.history import read_last_run
from crawlers.runtime.run_log import list_run_logs
from tests.command import Fleet
from tests.site import Answer, Site

HARVESTER = """
    def parse(api):
        api.expect(7, 7)
        api.get("http://site.invalid/first")
        yield {"_id": "1", "name": "One", "url": "http://site.invalid/1"}
        yield {"name": "without _id"}
        api.get("http://site.invalid/second?api_key=hunter22", required=False)
"""
SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/first"]

        def parse(self, response):
            yield {"_id": "1", "name": "One", "url": response.url}
            yield response.follow("/second", self.fail)

        def fail(self, response):
            raise ValueError("odd")
"""


def wait_for_heartbeat(folder: Path, told: Callable[[Heartbeat], bool]) -> Heartbeat:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (beat := read_heartbeat(folder)) and told(beat):
            return beat
        time.sleep(0.05)
    raise AssertionError(f"no such heartbeat, only {beat}")


def test_the_heartbeat_tells_how_far_a_crawl_is_and_its_log_is_followed_to_its_end(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, reject_budget=1, error_budget=1)
    gate = threading.Event()
    site.put("/first", "<p>first")
    site.put("/second?api_key=hunter22", Answer("gone", 404, gate=gate))
    folder = fleet.folder("little")
    with fleet.start("crawl", "little", "--base-url", site.url) as crawl:
        try:
            beat = wait_for_heartbeat(folder, lambda it: bool(it.under_way and it.rejects))
            run = read_last_run(folder)
            assert run is not None and beat.run == run.run
            assert (beat.requests, beat.responses, beat.records, beat.rejects, beat.failed) == (3, 2, 1, 1, 0)
            assert (beat.expected, beat.expected_by) == (7, "site")
            assert beat.last_url == "http://site.invalid/first"
            assert beat.under_way == ["http://site.invalid/second?api_key=***"]
            assert beat.started <= beat.moved <= beat.at
            assert 1800 <= beat.stuck_seconds < 1801
            with fleet.start("logs", "little", "--follow") as follow:
                assert follow.stdout is not None
                assert "crawl started" in follow.stdout.readline()
                gate.set()
                crawl.communicate(timeout=60)
                said, err = follow.communicate(timeout=60)
        finally:
            gate.set()
    assert (crawl.returncode, follow.returncode) == (0, 0), err
    assert "not_found error: http://site.invalid/second?api_key=***: HTTP 404" in said
    assert "published" in said.splitlines()[-1]
    assert "hunter22" not in said
    assert read_heartbeat(folder) is None
    assert not (folder / HEARTBEAT).exists()


def test_a_log_holds_what_scrapy_says_and_tracebacks_in_a_line(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, error_budget=1)
    site.put("/first", "<p>first")
    site.put("/second", "<p>second")
    told = fleet.run("crawl", "little", "--base-url", site.url)
    assert told.returncode == 0, told.stderr
    assert "Spider opened" not in told.stderr
    lines = [json.loads(line) for line in fleet.run("logs", "little", "--json").stdout.splitlines()]
    assert any(line["logger"].startswith("scrapy.") and line["message"] == "Spider opened" for line in lines)
    assert {(line["source"], line["run"]) for line in lines} == {("little", lines[0]["run"])}
    [failed] = [line for line in lines if "ValueError: odd" in line.get("trace", "")]
    assert failed["level"] == "ERROR"
    assert [line for line in told.stderr.splitlines() if "Traceback" in line] == [
        line for line in told.stderr.splitlines() if "ValueError: odd" in line and " ERROR " in line
    ]
    errors = fleet.run("logs", "little", "--level", "warning", "--run", lines[0]["run"][:10])
    assert "ValueError: odd" in errors.stdout
    assert "Spider opened" not in errors.stdout
    listed = fleet.run("logs", "little", "--list").stdout.split()
    assert listed[0] == lines[0]["run"]


def test_logs_that_are_not_there_are_an_error_that_says_what_to_do(fleet: Fleet) -> None:
    fleet.write_source("little", "api", HARVESTER)
    none = fleet.run("logs", "little")
    assert (none.returncode, "no log of a crawl is kept" in none.stderr) == (1, True)
    (fleet.shared / "little_state" / "logs").mkdir(parents=True)
    (fleet.shared / "little_state" / "logs" / "20261122T010203.000000-7.ndjson").touch()
    assert fleet.run("logs", "little", "--run", "2025").returncode == 2


def test_in_json_each_line_that_a_command_says_is_an_event(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", "def parse(api):\n    raise ValueError('odd')\n    yield\n")
    told = fleet.run("crawl", "little", "--base-url", site.url, FLEET_LOG_FORMAT="json")
    lines = [json.loads(line) for line in told.stderr.splitlines()]
    assert told.returncode == 1
    assert lines[-1]["level"] == "ERROR"
    assert "the harvester failed after 0 records: ValueError: odd" in lines[-1]["message"]
    [run] = list_run_logs(fleet.shared / "little_state")
    assert {(line["source"], line["run"]) for line in lines} == {("little", run.run)}
    wrong = fleet.run("sources", FLEET_LOG_FORMAT="xml")
    assert (wrong.returncode, wrong.stderr.strip()) == (2, "fleet: FLEET_LOG_FORMAT is 'xml': expected is text or json")


def test_clean_lists_with_sizes_then_removes_what_needs_no_hub(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", "def parse(api):\n    yield {'_id': '1', 'name': 'One'}\n")
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    left = fleet.folder("little") / ".data.ndjson.elsewhere-1.tmp"
    left.write_bytes(b"x" * 1500)
    pages = fleet.shared / "little_state" / "pages"
    pages.mkdir()
    nowhere = {"FLEET_HUB_PORT": "1", "FLEET_DATA_DIR": str(fleet.shared.parent / "data")}
    listed = fleet.run("clean", "little", "--dry-run", **nowhere)
    assert listed.returncode == 6
    assert f"little: temporary {left} (1.5 kB) would be removed" in listed.stdout
    assert left.exists()
    found = json.loads(fleet.run("clean", "--all", "--json", **nowhere).stdout)
    assert [(it["source"], [them["what"] for them in it["removed"]]) for it in found] == [
        ("little", ["temporary", "pages"]),
        ("hub", []),
    ]
    assert not left.exists() and not pages.exists()
    assert fleet.run("clean", "--all", **nowhere).stdout == "nothing to remove\n"
    assert fleet.run("clean").returncode == fleet.run("clean", "little", "--all").returncode == 2
