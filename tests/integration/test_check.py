"""Checks of released records, through the real command, against a real server whose pages come and go."""

import json
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime.check import CheckReport
from crawlers.runtime.check import check as run_check
from crawlers.runtime.crawl import crawl as run_crawl
from crawlers.runtime.errors import FleetError, LockedError, UsageError
from crawlers.runtime.heartbeat import CHECKING, read_heartbeat
from crawlers.runtime.http import Patience
from crawlers.runtime.manifest import load_source
from tests.command import Fleet
from tests.running_hub import wait_for
from tests.site import Answer, Site

HARVESTER = """
    def parse(api):
        for name in api.get("http://site.invalid/list").text.split():
            yield {"_id": name, "url": f"http://site.invalid/item/{name}"}
"""
SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/list"]

        def parse(self, response):
            for name in response.text.split():
                yield response.follow(f"/item/{name}", self.parse_item)

        def parse_item(self, response):
            yield {"_id": response.url.rsplit("/", 1)[-1], "url": response.url}
"""
CHECK = {
    "reference_gone": "http://site.invalid/item/never-was",
    "reference_alive": "http://site.invalid/about",
    "gone_css": "div.withdrawn",
    "every_hours": 0,
}
PATIENCE = Patience(20, 0.01)
GONE = Answer("gone", status=410)
BANNER = Answer('<div class="withdrawn">This record was withdrawn.</div>')


def write(fleet: Fleet, code: str = HARVESTER, **check: Any) -> None:
    folder = fleet.write_source("little", "scrapy" if code == SPIDER else "api", code, error_budget=1)
    with (folder / "source.toml").open("a") as file:
        file.write("[check]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in {**CHECK, **check}.items()))


def put(site: Site, *names: str) -> None:
    site.put("/list", " ".join(names))
    site.put("/about", "<p>About us</p>")
    for name in names:
        site.put(f"/item/{name}", f"<p>{name}</p>")


def crawl(fleet: Fleet, site: Site) -> list[str]:
    """The records of the release that a crawl publishes, without the source's name. In this process where no reactor is needed."""
    source = load_source(fleet.sources / "little")
    if source.manifest.kind == "api":
        run_crawl(source, fleet.shared, base_url=site.url, patience=PATIENCE)
    else:
        done = fleet.run("crawl", "little", "--base-url", site.url)
        assert done.returncode == 0, done.stderr
    counts = fleet.description("little")["counts"]
    assert counts["items"] == counts["records"] + counts["rejected_items"] + counts["withdrawn"]
    return sorted(record["_id"].removeprefix("little_") for record in fleet.records("little"))


def check(fleet: Fleet, site: Site) -> CheckReport:
    return run_check(load_source(fleet.sources / "little"), fleet.shared, base_url=site.url, patience=PATIENCE)


def test_a_record_that_is_missing_twice_in_a_row_leaves_the_next_release_with_the_reason(
    fleet: Fleet, site: Site
) -> None:
    write(fleet)
    put(site, "a", "b", "c")
    assert crawl(fleet, site) == ["a", "b", "c"]
    site.put("/item/b", Answer(status=404))
    site.put("/item/c", Answer(status=404), Answer("<p>back</p>"))
    first = fleet.run("check", "little", "--base-url", site.url)
    assert (first.returncode, "withdrawn, and leaves" in first.stdout) == (0, False), first.stderr
    assert "1 alive, 2 missing. Withdrawn in all: 0" in first.stdout
    assert crawl(fleet, site) == ["a", "b", "c"]
    second = fleet.run("check", "little", "--base-url", site.url)
    assert "little_b is withdrawn, and leaves the next release" in second.stdout
    assert "Withdrawn in all: 1" in second.stdout
    assert crawl(fleet, site) == ["a", "c"]
    assert fleet.description("little")["counts"]["withdrawn"] == 1
    assert fleet.description("little")["counts"]["rejected_items"] == 0
    [reject] = fleet.rejects("little")
    assert reject["record"]["_id"] == "little_b"
    assert reject["reason"].startswith("withdrawn: http://site.invalid/item/b answered HTTP 404")
    assert crawl(fleet, site) == ["a", "c"]


def test_a_page_that_says_so_withdraws_its_record_at_once(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/b", BANNER)
    assert check(fleet, site).withdrawn == ["little_b"]
    assert crawl(fleet, site) == ["a"]
    assert "gone_css 'div.withdrawn'" in fleet.rejects("little")[0]["reason"]


def test_what_the_checker_sees_alive_again_comes_back(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/b", BANNER)
    check(fleet, site)
    assert crawl(fleet, site) == ["a"]
    site.put("/item/b", "<p>b</p>")
    assert check(fleet, site).marked == 0
    assert crawl(fleet, site) == ["a", "b"]


def test_what_the_crawl_itself_sees_alive_comes_back_and_a_banner_is_not_alive(fleet: Fleet, site: Site) -> None:
    write(fleet, SPIDER)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/a", BANNER)
    site.put("/item/b", BANNER)
    assert check(fleet, site).marked == 2
    site.put("/item/a", "<p>a</p>")
    assert crawl(fleet, site) == ["a"]


@pytest.mark.parametrize("path", ["/about", "/item/never-was"], ids=["the page that is alive", "the page that is gone"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_checker_that_fails_its_own_test_marks_nothing(fleet: Fleet, site: Site, path: str, when: str) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/b", BANNER)
    good, bad = (Answer("alive"), GONE) if path == "/about" else (GONE, Answer("soft 404: nothing found"))
    site.put(path, bad) if when == "before" else site.put(path, good, bad)
    with pytest.raises(FleetError, match="failed its own test, so nothing was marked"):
        check(fleet, site)
    assert crawl(fleet, site) == ["a", "b"]
    if when == "before":
        assert "/item/b" not in site.paths()


def test_a_failure_that_says_nothing_of_the_record_changes_nothing(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    again = {"Retry-After": "0"}
    site.put("/item/b", Answer(status=404), *[Answer(status=503, headers=again)] * 5, Answer(status=404))
    assert check(fleet, site).visited == {"alive": 1, "missing": 1}
    assert check(fleet, site).visited == {"alive": 1, "unknown": 1}
    assert check(fleet, site).withdrawn == ["little_b"]


def test_a_check_visits_a_slice_and_the_next_one_the_rest(fleet: Fleet, site: Site) -> None:
    write(fleet, slice=2, every_hours=24)
    put(site, "a", "b", "c")
    crawl(fleet, site)
    assert [check(fleet, site).visited for _ in range(3)] == [{"alive": 2}, {"alive": 1}, {}]
    assert sorted(path for path in site.paths() if path.startswith("/item/") and "never" not in path) == [
        "/item/a",
        "/item/b",
        "/item/c",
    ]


def test_a_check_that_is_killed_leaves_the_state_as_it_was(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/a", BANNER)
    site.put("/item/b", Answer(fault="hang"))
    with fleet.start("check", "little", "--base-url", site.url) as process:
        site.wait_for("/item/b")
        with pytest.raises(LockedError, match="another check"):
            check(fleet, site)
        process.kill()
        process.communicate()
    assert crawl(fleet, site) == ["a", "b"]
    site.put("/item/b", "b")
    assert check(fleet, site).marked == 1


def test_a_check_that_hangs_tells_how_far_it_is_and_is_ended_and_the_next_one_runs(fleet: Fleet, site: Site) -> None:
    write(fleet, every_hours=24)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/b", Answer("<p>b</p>", fault="stall"))
    folder = fleet.shared / "little_state" / CHECKING
    with fleet.start("check", "little", "--base-url", site.url, FLEET_STUCK_MINUTES="0.05") as process:
        beat = wait_for(lambda: (it := read_heartbeat(folder)) and it.records and it, "the check to tell of itself")
        _, said = process.communicate(timeout=60)
    assert (beat.records, beat.expected) == (1, 2)
    assert process.returncode == 1
    assert (
        "stuck: nothing moved for 3 s" in said
        and "/item/b" in said
        and "fleet logs" not in said
        and "Current thread" in said
    )
    assert read_heartbeat(folder) is None
    site.put("/item/b", "<p>b</p>")
    assert check(fleet, site).visited == {"alive": 2}  # the slice counts whole, or not at all


def test_what_is_lacking_is_told(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "a")
    with pytest.raises(FleetError, match="no release was published yet"):
        check(fleet, site)
    crawl(fleet, site)
    path: Path = fleet.sources / "little/source.toml"
    path.write_text(path.read_text().partition("[check]")[0])
    with pytest.raises(UsageError, match=r"no \[check\] table"):
        check(fleet, site)
