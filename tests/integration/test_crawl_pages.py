"""Crawls by a definition, through the real command, against a real server: what is stored, asked for again, and gone on with."""

import json
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Fleet
from tests.site import Answer, Seen, Site

DEFINITION = """
    [pages.listing]
    start = "http://site.invalid/list?page=1"
    check = ["Datasets"]
    pager = { kind = "next", link = { css = "a[rel=next]" } }

    [pages.item]
    links = { from = "listing", css = "a.item" }

    [pages.item.record]
    _id = { field = "url", processors = [{ regex = "[^/]+$" }] }
    name = { css = "h1", required = true }
    url = { field = "url" }
"""
CONCURRENCY = 8


def fill(site: Site, listings: int, items: int) -> None:
    """A site of so many listing pages, with so many items each."""
    for number in range(1, listings + 1):
        names = [f"{number}-{item}" for item in range(items)]
        following = f'<a rel="next" href="?page={number + 1}">' if number < listings else ""
        site.put(
            f"/list?page={number}",
            Answer(
                "<h1>Datasets</h1>" + "".join(f'<a class="item" href="/item/{name}">' for name in names) + following
            ),
        )
        for name in names:
            site.put(f"/item/{name}", f"<h1>The dataset {name}</h1><p>{'What was measured. ' * 20}</p>")


def crawl(fleet: Fleet, site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return fleet.run("crawl", "little", "--base-url", site.url, *arguments)


def lines(fleet: Fleet) -> list[bytes]:
    return (fleet.folder("little") / "data.ndjson").read_bytes().splitlines()


@pytest.fixture
def source(fleet: Fleet) -> Path:
    return fleet.write_source("little", "pages", DEFINITION, concurrency=CONCURRENCY)


def test_each_page_is_asked_for_once_and_stored(fleet: Fleet, site: Site, source: Path) -> None:
    fill(site, 2, 3)
    site.put("/list?page=2", Answer(site.pages["/list?page=2"][0].body + '<a class="item" href="/item/1-0">'))  # type: ignore[operator]
    done = crawl(fleet, site)
    assert done.returncode == 0, done.stderr
    assert len(fleet.records("little")) == 6
    assert set(Counter(site.paths()).values()) == {1}
    assert not (fleet.shared / "little_state" / "unfinished.json").exists()


def test_a_later_crawl_asks_whether_pages_have_changed(fleet: Fleet, site: Site, source: Path) -> None:
    fill(site, 1, 3)
    for name in ("1-0", "1-1"):
        body = site.pages[f"/item/{name}"][0].body
        site.put(f"/item/{name}", Answer(body, headers={"ETag": f'"{name}"'}), Answer(status=304))
    assert crawl(fleet, site).returncode == 0
    first = lines(fleet)
    site.put("/item/1-1", Answer("<h1>Another name</h1>", headers={"ETag": '"new"'}))
    done = crawl(fleet, site)
    assert done.returncode == 0, done.stderr
    second = {record["_id"]: record["name"] for record in fleet.records("little")}
    assert second["little_1-1"] == "Another name"
    assert second["little_1-0"] == "The dataset 1-0"  # of the stored body: the site said 304
    assert set(first) - set(lines(fleet)) == {line for line in first if b'"little_1-1"' in line}
    assert Counter(site.paths())["/item/1-0"] == 2


def test_stored_pages_are_taken_as_they_are_where_that_is_asked_for(fleet: Fleet, site: Site, source: Path) -> None:
    fill(site, 2, 3)
    assert crawl(fleet, site).returncode == 0
    asked = len(site.paths())
    assert crawl(fleet, site, "--refetch", "none").returncode == 0
    assert len(site.paths()) == asked
    assert crawl(fleet, site, "--refetch", "all").returncode == 0
    assert len(site.paths()) == 2 * asked


def test_pages_of_a_kind_can_be_taken_as_they_are_for_some_days(fleet: Fleet, site: Site) -> None:
    definition = DEFINITION.replace('css = "a.item" }', 'css = "a.item" }\n    refetch_days = 30')
    fleet.write_source("little", "pages", definition)
    fill(site, 1, 3)
    for _ in range(2):
        assert crawl(fleet, site).returncode == 0
    assert Counter(site.paths()) == {"/list?page=1": 2, "/item/1-0": 1, "/item/1-1": 1, "/item/1-2": 1}


def test_a_changed_definition_is_applied_to_stored_pages_without_the_network(
    fleet: Fleet, site: Site, source: Path
) -> None:
    fill(site, 2, 3)
    assert crawl(fleet, site).returncode == 0
    asked = len(site.seen)
    fleet.write_source("little", "pages", DEFINITION + '    description = { css = "p" }\n')
    done = fleet.run("transform", "little")
    assert done.returncode == 0, done.stderr
    assert all(record["description"].startswith("What was measured.") for record in fleet.records("little"))
    assert len(fleet.records("little")) == 6
    assert len(site.seen) == asked
    assert fleet.description("little")["counts"]["requests"] == 0


def test_a_transformation_that_needs_pages_that_are_not_stored_fails_and_says_what_to_do(
    fleet: Fleet, site: Site, source: Path
) -> None:
    fill(site, 1, 2)
    assert crawl(fleet, site).returncode == 0
    published = lines(fleet)
    fleet.write_source("little", "pages", DEFINITION.replace('css = "a.item"', 'css = "a"').replace("a[rel=next]", "b"))
    site.put("/list?page=1", Answer(site.pages["/list?page=1"][0].body + '<a href="/item/new">'))  # type: ignore[operator]
    fleet.write_source("little", "pages", DEFINITION.replace("/list?page=1", "/elsewhere"))
    done = fleet.run("transform", "little")
    assert done.returncode != 0
    assert "fleet crawl NAME --refetch none" in done.stderr
    assert lines(fleet) == published


def test_a_source_that_keeps_no_pages_has_none_to_transform(fleet: Fleet) -> None:
    fleet.write_source("little", "scrapy", "import scrapy\n\nclass S(scrapy.Spider):\n    name = 'little'\n")
    done = fleet.run("transform", "little")
    assert done.returncode == 2
    assert "keep_pages = true" in done.stderr


def test_a_page_that_failed_its_check_is_asked_for_again_when_the_crawl_is_gone_on_with(
    fleet: Fleet, site: Site, source: Path
) -> None:
    fill(site, 2, 3)
    good = site.pages["/list?page=2"][0]
    site.put("/list?page=2", Answer("<p>Are you a robot?</p>"), good)
    done = crawl(fleet, site)
    assert done.returncode == 1
    assert "has not the text 'Datasets'" in done.stderr
    assert fleet.files("little") == []
    done = crawl(fleet, site)
    assert done.returncode == 0, done.stderr
    assert len(fleet.records("little")) == 6
    assert Counter(site.paths()) == {path: 2 if path == "/list?page=2" else 1 for path in site.pages}


def test_a_lost_page_of_a_pager_publishes_nothing_whatever_the_error_budget(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "pages", DEFINITION, error_budget=1.0)
    fill(site, 3, 1)
    site.put("/list?page=2", Answer(status=404))
    done = crawl(fleet, site)
    assert done.returncode == 1, done.stderr
    assert "list?page=2 failed" in done.stderr


def test_an_endless_pager_ends_with_an_error_and_publishes_nothing(fleet: Fleet, site: Site) -> None:
    definition = DEFINITION.replace('"a[rel=next]" } }', '"a[rel=next]" }, max_pages = 20 }')
    fleet.write_source("little", "pages", definition, error_budget=1.0)
    for number in range(1, 40):
        body = f'<h1>Datasets</h1><a class="item" href="/item/{number}"><a rel="next" href="?page={number + 1}">'
        site.put(f"/list?page={number}", body)
        site.put(f"/item/{number}", f"<h1>{number}</h1>")
    done = crawl(fleet, site)
    assert done.returncode == 1, done.stderr
    assert "goes on after 20 pages" in done.stderr
    assert "/list?page=21" not in site.paths()
    assert fleet.files("little") == []


def test_a_spider_written_by_hand_can_keep_its_pages_too(fleet: Fleet, site: Site) -> None:
    code = """
        import scrapy

        class Little(scrapy.Spider):
            name = "little"
            start_urls = ["http://site.invalid/list?page=1"]

            def parse(self, response):
                yield from response.follow_all(css="a.item", callback=self.parse_item)

            def parse_item(self, response):
                yield {"_id": response.url.rsplit("/", 1)[-1]}
    """
    fleet.write_source("little", "scrapy", code, keep_pages=True)
    fill(site, 1, 5)
    assert killed(fleet, site, requests=3)
    asked = len(site.paths())
    assert crawl(fleet, site).returncode == 0
    assert len(fleet.records("little")) == 5
    assert len(site.paths()) <= 6 + asked


def test_a_run_that_is_too_old_is_not_gone_on_with(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "pages", DEFINITION, resume_hours=0)
    fill(site, 1, 5)
    assert killed(fleet, site, requests=3)
    asked = len(site.paths())
    done = crawl(fleet, site)
    assert done.returncode == 0, done.stderr
    assert len(site.paths()) == asked + 6
    assert "crawl started" in done.stderr


def test_a_crawl_that_is_killed_again_and_again_goes_on_where_it_was(fleet: Fleet, site: Site, source: Path) -> None:
    fill(site, 6, 30)
    chance = random.Random(20261125)
    kills = killed_again_and_again(fleet, site, 6, lambda number: {"requests": chance.randint(1, 35)})
    assert kills >= 4
    check_undisturbed(fleet, site)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_crawls_of_5000_pages_are_killed_100_times_and_lose_nothing(fleet: Fleet, site: Site, source: Path) -> None:
    fill(site, 50, 99)
    chance = random.Random(20261125)

    def moment(number: int) -> dict[str, float]:
        """While the site is asked, or while stored pages are read again, or before or after."""
        return {"requests": chance.randint(1, 150)} if number % 2 else {"seconds": chance.uniform(0.5, 12)}

    kills = rounds = 0
    while kills < 100:
        rounds += 1
        one = Fleet(fleet.sources, fleet.shared.with_name(f"round-{rounds}"))
        site.seen.clear()
        kills += killed_again_and_again(one, site, 100 - kills, moment)
        check_undisturbed(one, site)


def killed_again_and_again(fleet: Fleet, site: Site, most: int, moment: Callable[[int], dict[str, float]]) -> int:
    """Start the crawl and kill it, until it ends by itself or was killed ``most`` times; then let it end, and see that nothing was
    lost and nothing asked for in vain. Returns how often it was killed."""
    kills, starts = 0, set()
    while kills < most and killed(fleet, site, **moment(kills)):
        kills += 1
        unfinished = fleet.shared / "little_state" / "unfinished.json"
        if unfinished.exists():
            starts.add(json.loads(unfinished.read_bytes())["started"])
    if "release.txt" not in fleet.files("little"):
        done = crawl(fleet, site)
        assert done.returncode == 0, done.stderr
    assert {start[:19] for start in starts} == {fleet.description("little")["release"][:19]}
    counts = Counter(site.paths())
    assert set(counts) == set(site.pages)
    assert sum(counts.values()) - len(counts) <= kills * CONCURRENCY
    return kills


def check_undisturbed(fleet: Fleet, site: Site) -> None:
    """See that a crawl that nobody disturbs publishes the same."""
    undisturbed = Fleet(fleet.sources, fleet.shared.with_name("undisturbed"))
    if not undisturbed.folder("little").exists():
        assert crawl(undisturbed, site).returncode == 0
    assert lines(undisturbed) == lines(fleet)


def killed(fleet: Fleet, site: Site, requests: float = 0, seconds: float = 0) -> bool:
    """Crawl, and kill -9 the crawl as the site gets its request of that number, or after so long. False: it ended before."""
    process = fleet.start("crawl", "little", "--base-url", site.url)
    left = requests
    take: Callable[[Seen], Answer] = type(site).take.__get__(site)

    def take_or_kill(seen: Seen) -> Answer:
        nonlocal left
        if seen.path != "/robots.txt":
            left -= 1
            if left == 0:
                process.send_signal(signal.SIGKILL)
        return take(seen)

    site.take = take_or_kill  # type: ignore[method-assign]
    timer = threading.Timer(seconds, process.kill) if seconds else None
    try:
        if timer:
            timer.start()
        with process:
            process.communicate(timeout=600)
    finally:
        if timer:
            timer.cancel()
            timer.join()
        site.take = take  # type: ignore[method-assign]
    return process.returncode == -signal.SIGKILL
