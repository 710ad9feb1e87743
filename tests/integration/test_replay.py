"""Rejects shown and run again through the real commands, and how what passes enters the next release."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import Fleet, read_ndjson
from tests.crash import Crasher, Outcome, start_crasher
from tests.protocol import memory_folder
from tests.site import Answer, Site

# Its second page has no <p>, for which the first form of the code is not prepared.
SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/list"]

        def parse(self, response):
            yield from response.follow_all(css="a", callback=self.parse_item, cb_kwargs={"of": "list"})

        async def parse_item(self, response, of):
            yield {"_id": response.url[-1], "name": response.css("p::text").getall()[0], "of": of}
            yield response.follow("/more/" + response.url[-1], self.parse_more)

        def parse_more(self, response):
            return []
"""
# Calls after which the disk is another than before.
CHANGING = {"write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir"}
MENDED = SPIDER.replace('css("p::text").getall()[0]', 'css("p::text, i::text").getall()[0]')
HARVESTER = """
    def parse(api):
        for item in api.get_json("http://site.invalid/items"):
            yield item
"""


@pytest.fixture
def spider(fleet: Fleet, site: Site) -> Fleet:
    """A source that was crawled: of its three pages one gave no record."""
    fleet.write_source("little", "scrapy", SPIDER, error_budget=0.5, shrink_budget=1)
    site.put("/list", "".join(f'<a href="/item/{number}">' for number in range(3)))
    for number in range(3):
        site.put(f"/item/{number}", "<i>one</i>\x1b]0;owned\x07" if number == 1 else f"<p>{number}</p>")
        site.put(f"/more/{number}", "more")
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    return fleet


def waiting(fleet: Fleet) -> list[dict[str, Any]]:
    """The records that wait for the next release."""
    files = sorted((fleet.shared / "little_state" / "replayed").glob("*.ndjson"))
    return [record for file in files for record in read_ndjson(file)]


def replay(fleet: Fleet, *options: str) -> dict[str, Any]:
    done = fleet.run("replay", "little", "--json", *options)
    outcome = json.loads(done.stdout)
    assert done.returncode == (0 if outcome["passed"] or not outcome["rejects"] else 1), done.stderr
    assert outcome["rejects"] == outcome["run_again"] + sum(outcome["not_replayable"].values())
    return outcome


def counted(fleet: Fleet) -> dict[str, int]:
    """The counts of the published release, which add up."""
    description = fleet.description("little")
    counts = description["counts"]
    assert counts["items"] == counts["records"] + counts["rejected_items"]
    assert description["records"] == counts["records"] + counts["replayed"] == len(fleet.records("little"))
    assert len(fleet.rejects("little")) == counts["rejects"]
    return counts


def test_a_page_that_is_run_again_after_its_spider_was_mended_enters_the_next_release_and_no_other(
    spider: Fleet, site: Site
) -> None:
    shown = spider.run("rejects", "little")
    assert shown.returncode == 0, shown.stderr
    assert "1 rejects of the published release" in shown.stdout
    assert "1 × parse: IndexError: list index out of range" in shown.stdout
    assert "http://site.invalid/item/1" in shown.stdout
    assert "record a case and correct the code" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "\\x1b]0;owned\\x07" in shown.stdout

    still = replay(spider)
    assert (still["passed"], still["run_again"]) == (0, 1)
    assert still["still_rejected"][0]["kind"] == "parse"
    assert waiting(spider) == []

    spider.write_source("little", "scrapy", MENDED, error_budget=0.5, shrink_budget=1)
    site.seen.clear()
    tried = replay(spider, "--dry-run")
    assert (tried["passed"], tried["kept"], waiting(spider)) == (1, "", [])
    passed = replay(spider)
    assert (passed["passed"], passed["follows"], site.seen) == (1, 1, [])
    [record] = waiting(spider)
    assert (record["_id"], record["name"], record["of"]) == ("little_1", "one", "list")

    site.put("/item/1", Answer(status=404))
    done = spider.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    assert counted(spider)["replayed"] == 1
    assert record in spider.records("little")
    assert waiting(spider) == []
    done = spider.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    assert counted(spider)["replayed"] == 0
    assert [record["_id"] for record in spider.records("little")] == ["little_0", "little_2"]


def test_a_record_that_the_crawl_makes_itself_wins_over_the_replayed_one(spider: Fleet, site: Site) -> None:
    spider.write_source("little", "scrapy", MENDED, error_budget=0.5)
    assert replay(spider)["passed"] == 1
    site.put("/item/1", "<p>of today</p>")
    done = spider.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    counts = counted(spider)
    assert (counts["records"], counts["replayed"], counts["duplicates"], counts["rejects"]) == (3, 0, 0, 0)
    assert [record["name"] for record in spider.records("little")] == ["0", "of today", "2"]
    assert waiting(spider) == []


def test_a_record_enters_the_next_release_after_a_rule_of_the_manifest_was_lowered(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, require=["name", "license"], reject_budget=1)
    items = [{"_id": "1", "name": "x", "license": "y"}, {"_id": "2", "name": "z"}, {"_id": 3}]
    site.put("/items", json.dumps(items))
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    [kinds] = {tuple(sorted(reject["kind"] for reject in fleet.rejects("little")))}
    assert kinds == ("schema", "schema")
    assert replay(fleet)["passed"] == 0
    fleet.write_source("little", "api", HARVESTER, require=["name"], reject_budget=1)
    outcome = replay(fleet)
    assert (outcome["passed"], outcome["run_again"], len(outcome["still_rejected"])) == (1, 2, 1)
    site.put("/items", json.dumps(items[:1]))
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    assert counted(fleet)["replayed"] == 1
    assert [record["_id"] for record in fleet.records("little")] == ["little_1", "little_2"]


def test_what_can_not_be_run_again_is_said_with_the_reason_and_the_exit_code_is_1(fleet: Fleet, site: Site) -> None:
    code = """
        def parse(api):
            yield {"_id": "1"}
            yield {"_id": "1", "again": True}
            yield {"_id": "2", "share": float("nan")}
            api.reject({"_id": "3"}, "too old")
            api.get("http://site.invalid/missing", required=False)
    """
    fleet.write_source("little", "api", code, reject_budget=1, error_budget=1, duplicate_budget=1)
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    done = fleet.run("replay", "little")
    assert (done.returncode, done.stdout.count("1 can't be run again")) == (1, 4)
    for why in ("another record of that run", "JSON can't carry", "turned the record down", "only a spider's pages"):
        assert why in done.stdout
    [missing] = [reject for reject in fleet.rejects("little") if reject["kind"] == "not_found"]
    assert missing["response"]["status"] == 404
    assert missing["response"]["body"] == "There is no such page."
    assert waiting(fleet) == []


def test_rejects_of_a_crawl_that_failed_are_kept_shown_and_run_again(fleet: Fleet, site: Site) -> None:
    code = SPIDER.replace('callback=self.parse_item, cb_kwargs={"of": "list"}', "callback=self.parse_item")
    fleet.write_source("little", "scrapy", code.replace("response, of", 'response, of="x"'))
    site.put("/list", '<a href="/item/1">')
    site.put("/item/1", "<i>one</i>")
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert (done.returncode, fleet.files("little")) == (1, [])
    shown = fleet.run("rejects", "little", "--json")
    [one] = json.loads(shown.stdout)
    assert (one["of"], one["kind"], one["count"]) == ("unpublished", "parse", 1)
    assert fleet.run("rejects", "little", "--of", "published").stdout.startswith("little: there are no rejects")
    [line] = fleet.run("rejects", "little", "--lines", "--kind", "parse", "--reason", "INDEX").stdout.splitlines()
    assert json.loads(line)["response"]["body"] == "<i>one</i>"
    assert fleet.run("rejects", "little", "--lines", "--kind", "schema").stdout == ""
    fleet.write_source("little", "scrapy", MENDED.replace("response, of", 'response, of="x"'))
    assert replay(fleet)["passed"] == 1
    site.put("/list", '<a href="/item/2">')
    site.put("/item/2", "<p>two</p>")
    site.put("/more/2", "")
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    assert [record["_id"] for record in fleet.records("little")] == ["little_1", "little_2"]
    assert list((fleet.folder("little") / "unpublished").iterdir()) == []


def test_a_source_without_rejects_has_nothing_to_do_and_an_unknown_one_is_bad_usage(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    done = fleet.run("replay", "little")
    assert (done.returncode, "nothing to do" in done.stdout) == (0, True)
    assert "there are no rejects" in fleet.run("rejects", "little").stdout
    for command in ("rejects", "replay"):
        done = fleet.run(command, "litle")
        assert (done.returncode, "Did you mean 'little'?" in done.stderr) == (2, True)


def test_a_replay_waits_for_no_crawl(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    site.put("/items", Answer(fault="hang"))
    with fleet.start("crawl", "little", "--base-url", site.url) as process:
        site.wait_for("/items")
        done = fleet.run("replay", "little")
        assert (done.returncode, "a crawl of this source is under way" in done.stderr) == (3, True)
        assert fleet.run("replay", "little", "--dry-run").returncode == 0
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def test_what_an_upload_rejected_is_shown_too(fleet: Fleet) -> None:
    fleet.write_source("little", "api", HARVESTER)
    folder = fleet.shared / "archive" / "little" / "2026-11-22T00:00:00Z"
    folder.mkdir(parents=True)
    lines = [
        {"file": "data.ndjson", "line": 1, "reason": "not JSON: \u202eabc", "text": "{"},
        {
            "file": "data.ndjson",
            "line": 2,
            "reason": "duplicate _id 'a': an earlier line has it",
            "text": '{"_id":"a"}',
        },
    ]
    (folder / "upload-rejects.ndjson").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = fleet.run("rejects", "little", FLEET_DATA_DIR=str(fleet.shared))
    assert "2 rejects of the upload of release 2026-11-22T00:00:00Z" in done.stdout
    assert "1 × duplicate: _id '…'" in done.stdout or "1 × duplicate: duplicate _id '…'" in done.stdout
    assert "\\u202eabc" in done.stdout
    assert "data.ndjson:1" in done.stdout


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    with start_crasher() as crasher:
        yield crasher


@pytest.mark.parametrize("fault", ["kill", "ENOSPC"])
def test_a_replay_disturbed_at_any_call_keeps_all_that_passed_or_nothing(
    crasher: Crasher, tmp_path: Path, fault: str
) -> None:
    with memory_folder(tmp_path) as folder:
        fleet = published_with_rejects(folder)
        state = fleet.shared / "little_state"
        arguments = ("tests.publishers:replay", str(fleet.shared), str(fleet.sources))
        calls = crasher.run(*arguments).calls
        changing = [at for at, call in enumerate(calls, start=1) if call.split(".")[-1] in CHANGING]
        assert len(changing) > 20
        for at in [*changing, 0]:
            for path in (state / "replayed").glob("*.ndjson"):  # what else is left lies in the way of the next
                path.unlink()
            outcome = crasher.run(*arguments, at=at, fault=fault)
            kept = waiting(fleet)
            assert [record["_id"] for record in kept] in ([], ["little_2"]), outcome
            assert kept or not outcome.well
        assert [path.name for path in (state / "replayed").iterdir()] == ["2026-11-22T00:00:00Z.ndjson"]
        assert [path.name for path in state.iterdir()] == ["replayed", "logs"]
        assert fleet.description("little")["counts"]["rejects"] == 1


def test_a_crawl_killed_at_any_call_neither_loses_what_was_replayed_nor_brings_it_back(
    crasher: Crasher, tmp_path: Path
) -> None:
    with memory_folder(tmp_path) as folder:
        fleet = published_with_rejects(folder)
        release_txt = fleet.folder("little") / "release.txt"
        arguments = (str(fleet.shared), str(fleet.sources))
        kept = fleet.shared / "little_state" / "replayed" / "2026-11-22T00:00:00Z.ndjson"
        kept.parent.mkdir(parents=True)
        before = after = 0

        def crawl(at: int = 0) -> Outcome:
            for left in (fleet.folder("little") / "last-run.json", *fleet.folder("little").glob(".*.tmp")):
                left.unlink(missing_ok=True)  # what a killed crawl leaves would be tidied up first, by calls of its own
            kept.write_text('{"_id":"little_2"}\n')
            release_txt.chmod(0o644)
            release_txt.write_text("2026-11-22T00:00:00Z")
            return crasher.run("tests.publishers:crawl", *arguments, at=at)

        calls = crawl().calls
        for at in [at for at, call in enumerate(calls, start=1) if call.split(".")[-1] in CHANGING]:
            assert crawl(at).killed
            if release_txt.read_text() == "2026-11-22T00:00:00Z":
                before += 1
                assert kept.exists()
                continue
            after += 1
            assert [record["_id"] for record in fleet.records("little")] == ["little_1", "little_2"]
            if after == 1:  # killed before it could tidy up: the next crawl must not add it once more
                assert kept.exists()
                release_txt.chmod(0o644)
                release_txt.write_text("2026-11-22T00:00:01Z")
                assert crasher.run("tests.publishers:crawl", *arguments).value == 0
                assert [record["_id"] for record in fleet.records("little")] == ["little_1"]
                assert not kept.exists()
        assert before > 5
        assert after > 1
        crawl()
        assert waiting(fleet) == []


def published_with_rejects(folder: Path) -> Fleet:
    """A source whose published release, of long ago, has a reject that passes today."""
    (folder / "sources").mkdir()
    fleet = Fleet(folder / "sources", folder / "shared")
    fleet.write_source(
        "little",
        "api",
        "def parse(api):\n    yield {'_id': '1'}\n",
        reject_budget=1,
        shrink_budget=1,
        coverage_budget=100,
    )
    assert fleet.run("crawl", "little").returncode == 0
    release = "2026-11-22T00:00:00Z"
    description = fleet.description("little")
    description["release"] = release
    description["counts"]["rejects"] = 1
    reject = {
        "reason": "too strict",
        "kind": "schema",
        "field": "",
        "url": "",
        "record": {"_id": "2"},
        "response": None,
    }
    for name, text in (
        ("release.txt", release),
        ("release.json", json.dumps(description)),
        ("rejects.ndjson", f"{json.dumps(reject)}\n"),
    ):
        (fleet.folder("little") / name).chmod(0o644)
        (fleet.folder("little") / name).write_text(text)
    return fleet
