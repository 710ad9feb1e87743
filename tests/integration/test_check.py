"""Checks of released records, through the real command, against a real server whose pages come and go."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command import Fleet
from tests.site import Answer, Site

SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/list"]

        def parse(self, response):
            for name in response.css("p::text").getall():
                if name.startswith("own-"):
                    yield response.follow(f"/item/{name}", self.parse_item)
                else:
                    yield {"_id": name, "url": f"http://site.invalid/item/{name}"}

        def parse_item(self, response):
            yield {"_id": response.url.rsplit("/", 1)[-1], "url": response.url}
"""
CHECK = {
    "reference_gone": "http://site.invalid/item/never-was",
    "reference_alive": "http://site.invalid/about",
    "gone_css": "div.withdrawn",
    "every_hours": 0,
}
GONE = Answer("gone", status=410)
BANNER = Answer('<div class="withdrawn">This record was withdrawn.</div>')


def write(fleet: Fleet, **check: Any) -> None:
    folder = fleet.write_source("little", "scrapy", SPIDER, error_budget=1)
    with (folder / "source.toml").open("a") as file:
        file.write("[check]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in {**CHECK, **check}.items()))


def put(site: Site, *names: str) -> None:
    site.put("/list", "".join(f"<p>{name}</p>" for name in names))
    site.put("/about", "<p>About us</p>")
    for name in names:
        site.put(f"/item/{name}", f"<p>{name}</p>")


def crawl(fleet: Fleet, site: Site) -> list[str]:
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    counts = fleet.description("little")["counts"]
    assert counts["items"] == counts["records"] + counts["rejected_items"] + counts["withdrawn"]
    return sorted(record["_id"].removeprefix("little_") for record in fleet.records("little"))


def check(fleet: Fleet, site: Site) -> subprocess.CompletedProcess[str]:
    return fleet.run("check", "little", "--base-url", site.url)


def test_a_record_that_is_missing_twice_in_a_row_leaves_the_next_release_with_the_reason(
    fleet: Fleet, site: Site
) -> None:
    write(fleet)
    put(site, "a", "b", "c")
    assert crawl(fleet, site) == ["a", "b", "c"]
    site.put("/item/b", Answer(status=404))
    site.put("/item/c", Answer(status=404), Answer("<p>back</p>"))
    first = check(fleet, site)
    assert (first.returncode, "withdrawn, and leaves" in first.stdout) == (0, False), first.stderr
    assert "1 alive, 2 missing. Withdrawn in all: 0" in first.stdout
    assert crawl(fleet, site) == ["a", "b", "c"]
    second = check(fleet, site)
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
    assert "little_b is withdrawn" in check(fleet, site).stdout
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
    assert "Withdrawn in all: 0" in check(fleet, site).stdout
    assert crawl(fleet, site) == ["a", "b"]


def test_what_the_crawl_itself_sees_alive_comes_back_and_a_banner_is_not_alive(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "own-a", "own-b")
    crawl(fleet, site)
    site.put("/item/own-a", BANNER)
    site.put("/item/own-b", BANNER)
    assert "Withdrawn in all: 2" in check(fleet, site).stdout
    site.put("/item/own-a", "<p>a</p>")
    assert crawl(fleet, site) == ["own-a"]
    assert crawl(fleet, site) == ["own-a"]


@pytest.mark.parametrize("path", ["/about", "/item/never-was"], ids=["the page that is alive", "the page that is gone"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_checker_that_fails_its_own_test_marks_nothing(fleet: Fleet, site: Site, path: str, when: str) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    site.put("/item/b", BANNER)
    good, bad = (Answer("alive"), GONE) if path == "/about" else (GONE, Answer("soft 404: nothing found"))
    site.put(path, bad) if when == "before" else site.put(path, good, bad)
    done = check(fleet, site)
    assert done.returncode == 1
    assert "failed its own test, so nothing was marked" in done.stderr
    assert crawl(fleet, site) == ["a", "b"]
    if when == "before":
        assert "/item/b" not in site.paths()


def test_a_failure_that_says_nothing_of_the_record_changes_nothing(fleet: Fleet, site: Site) -> None:
    write(fleet)
    put(site, "a", "b")
    crawl(fleet, site)
    again = {"Retry-After": "0"}
    site.put("/item/b", Answer(status=404), *[Answer(status=503, headers=again)] * 5, Answer(status=404))
    assert "1 missing" in check(fleet, site).stdout
    assert "1 unknown" in check(fleet, site).stdout
    assert "little_b is withdrawn" in check(fleet, site).stdout


def test_a_check_visits_a_slice_and_the_next_one_the_rest(fleet: Fleet, site: Site) -> None:
    write(fleet, slice=2, every_hours=24)
    put(site, "a", "b", "c")
    crawl(fleet, site)
    said = [check(fleet, site).stdout for _ in range(3)]
    assert [text.split(": ")[1] for text in said] == ["visited 2 records", "visited 1 records", "visited 0 records"]
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
        second = check(fleet, site)
        process.kill()
        process.communicate()
    assert (second.returncode, "another check" in second.stderr) == (3, True)
    assert crawl(fleet, site) == ["a", "b"]
    site.put("/item/b", "b")
    assert "Withdrawn in all: 1" in check(fleet, site).stdout


@pytest.mark.parametrize(
    ("crawled", "code", "said"), [(False, 1, "no release was published yet"), (True, 2, "no [check] table")]
)
def test_what_is_lacking_is_told(fleet: Fleet, site: Site, crawled: bool, code: int, said: str) -> None:
    write(fleet)
    put(site, "a")
    if crawled:
        crawl(fleet, site)
        path: Path = fleet.sources / "little/source.toml"
        path.write_text(path.read_text().partition("[check]")[0])
    done = check(fleet, site)
    assert done.returncode == code
    assert said in done.stderr
