"""Crawls of Scrapy spiders, through the real command, against a real server that misbehaves."""

from itertools import pairwise

import pytest

from tests.command import Fleet
from tests.site import Answer, Site

SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        allowed_domains = ["site.invalid"]
        start_urls = ["http://site.invalid/list"]

        def parse(self, response):
            yield from response.follow_all(css="a", callback=self.parse_item)

        def parse_item(self, response):
            if "two heads" in response.text:
                yield {"_id": "head", "url": response.url}
                raise ValueError("a calf with two heads")
            identifier = response.css("p::text").get() or response.url.rsplit("/", 1)[-1]
            yield {"_id": None if identifier == "anonymous" else identifier, "url": response.url}
"""
AGAIN = {"Retry-After": "0"}
# By link: what the site answers, and the error class it belongs to; "" where a record is made all the same.
TROUBLE = {
    "/item/missing": (Answer(status=404), "not_found"),
    "/item/gone": (Answer(status=410), "not_found"),
    "/item/forbidden": (Answer(status=403), "blocked"),
    "/item/teapot": (Answer(status=418), "http"),
    "/item/broken": (Answer(status=500, headers=AGAIN), "server"),
    "/item/busy": (Answer(status=429, headers=AGAIN), "blocked"),
    "/item/reset": (Answer(fault="reset"), "connection"),
    "/item/short": (Answer("<p>short</p>", fault="truncate"), "connection"),
    "/item/loop": (Answer(status=302, headers={"Location": "/item/loop"}), "http"),
    "/item/hang": (Answer(fault="hang"), "timeout"),
    "/item/secret": (Answer("<p>secret</p>"), "robots"),
    "/item/calf": (Answer("two heads"), "parse"),
    "/item/ok": (Answer("<p>ok</p>"), ""),
}


def links(*paths: str) -> Answer:
    return Answer("".join(f'<a href="{path}">x</a>' for path in paths))


def items(site: Site, number: int) -> list[str]:
    paths = [f"/item/{index}" for index in range(number)]
    for path in paths:
        site.put(path, "<i></i>")
    site.put("/list", links(*paths))
    return paths


def crawl_args(site: Site) -> tuple[str, ...]:
    return ("crawl", "little", "--base-url", site.url)


def test_a_good_crawl_publishes_what_the_site_has_and_tells_what_it_did(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 3)
    done = fleet.run(*crawl_args(site))
    assert done.returncode == 0, done.stderr
    assert fleet.files("little") == ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]
    assert {record["_id"] for record in fleet.records("little")} == {"little_0", "little_1", "little_2"}
    assert {record["url"] for record in fleet.records("little")} == {f"http://site.invalid/item/{n}" for n in range(3)}
    description = fleet.description("little")
    assert description["counts"] == {
        "requests": len(site.seen),
        "responses": len(site.seen),
        "pages": 4,
        "failed_requests": 0,
        "items": 3,
        "records": 3,
        "replayed": 0,
        "rejected_items": 0,
        "duplicates": 0,
        "withdrawn": 0,
        "rejects": 0,
    }
    assert description["errors"] == {}
    assert description["release"] == (fleet.folder("little") / "release.txt").read_text().strip()
    assert {seen.user_agent for seen in site.seen if "tests@example.org" in seen.user_agent} == {
        seen.user_agent for seen in site.seen
    }
    assert all(seen.user_agent.startswith("crawler-fleet/") for seen in site.seen)
    assert site.seen[0].path == "/robots.txt"


def put_trouble(site: Site) -> None:
    for path, (answer, _) in TROUBLE.items():
        site.put(path, answer)
    site.put("/robots.txt", Answer("User-agent: *\nDisallow: /item/secret\n", type="text/plain"))
    site.put("/item/twin", "<p>ok</p>")
    site.put("/item/nameless", "<p>anonymous</p>")
    site.put("/list", links(*TROUBLE, "/item/twin", "/item/nameless", "http://elsewhere.invalid/item/9"))


def test_every_failure_is_counted_by_class_and_kept_in_the_rejects(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, error_budget=1, reject_budget=1, duplicate_budget=1, concurrency=8)
    put_trouble(site)
    done = fleet.run(*crawl_args(site), FLEET_TIMEOUT_SECONDS="0.5")
    assert done.returncode == 0, done.stderr
    expected: dict[str, int] = {"offsite": 1}
    for _, kind in TROUBLE.values():
        if kind:
            expected[kind] = expected.get(kind, 0) + 1
    description = fleet.description("little")
    assert {kind: error["count"] for kind, error in description["errors"].items()} == expected
    counts = description["counts"]
    assert counts["requests"] == len(site.seen)
    assert counts["failed_requests"] == sum(expected.values()) - 1
    assert (counts["items"], counts["records"], counts["rejected_items"]) == (4, 2, 2)
    assert {record["_id"] for record in fleet.records("little")} == {"little_ok", "little_head"}

    rejects = fleet.rejects("little")
    assert len(rejects) == counts["rejects"]
    pages = {reject["url"].removeprefix("http://site.invalid"): reject["reason"] for reject in rejects}
    for path, (_, kind) in TROUBLE.items():
        assert pages[path].startswith(f"{kind}: ") if kind else path not in pages or "already" in pages[path]
    [nameless] = [reject for reject in rejects if reject["url"].endswith("/item/nameless")]
    assert (nameless["field"], nameless["record"]["url"]) == ("_id", "http://site.invalid/item/nameless")
    assert "/item/secret" not in site.paths()
    assert site.paths().count("/item/reset") == 5
    assert site.paths().count("/item/missing") == 1


def test_failures_above_the_budget_publish_nothing_and_are_explained(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, error_budget=0.5, reject_budget=1, concurrency=8)
    put_trouble(site)
    done = fleet.run(*crawl_args(site), FLEET_TIMEOUT_SECONDS="0.5")
    assert (done.returncode, fleet.files("little")) == (4, ["held"])
    assert "12 of 16 pages failed; error_budget allows 50.00%" in done.stderr
    for kind in {kind for _, kind in TROUBLE.values() if kind}:
        assert f"{kind} × " in done.stderr


@pytest.mark.parametrize(("failing", "code"), [(1, 0), (2, 4)])
def test_the_error_budget_is_kept_to_the_page(fleet: Fleet, site: Site, failing: int, code: int) -> None:
    fleet.write_source("little", "scrapy", SPIDER, error_budget=0.1)  # of 11 pages: one
    for path in items(site, 10)[:failing]:
        site.put(path, Answer(status=404))
    done = fleet.run(*crawl_args(site))
    assert done.returncode == code, done.stderr
    assert len(fleet.files("little")) == (4 if code == 0 else 1)


def test_records_rejected_above_the_budget_publish_nothing(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, reject_budget=0.2)
    for path in items(site, 4)[:2]:
        site.put(path, "<p>twin</p>")
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (4, ["held"])
    assert "1 of 4 records were rejected; reject_budget allows 20.00%" in done.stderr


def test_a_failure_that_passes_is_tried_again_and_no_error(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 4)
    site.put("/item/0", Answer(status=500), Answer("<i></i>"))
    site.put("/item/1", Answer(status=429, headers={"Retry-After": "1"}), Answer("<i></i>"))
    site.put("/item/2", Answer(fault="reset"), Answer("<p>short</p>", fault="truncate"), Answer("<i></i>"))
    done = fleet.run(*crawl_args(site))
    assert done.returncode == 0, done.stderr
    assert len(fleet.records("little")) == 4
    description = fleet.description("little")
    assert description["errors"] == {}
    assert description["counts"]["requests"] == len(site.seen) == 10
    first, second = (seen.at for seen in site.seen if seen.path == "/item/1")
    assert second - first >= 1


@pytest.mark.parametrize(
    "answer",
    [Answer(status=404), Answer(status=503, headers=AGAIN), Answer(fault="reset")],
    ids=["404", "503", "reset"],
)
def test_a_start_page_that_fails_publishes_nothing_whatever_the_budget(
    fleet: Fleet, site: Site, answer: Answer
) -> None:
    code = SPIDER.replace('"http://site.invalid/list"]', '"http://site.invalid/list", "http://site.invalid/more"]')
    fleet.write_source("little", "scrapy", code, error_budget=1)
    items(site, 3)
    site.put("/more", answer)
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (1, [])
    assert "could not start well: http://site.invalid/more failed" in done.stderr


def test_an_empty_listing_publishes_nothing(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 0)
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (1, [])
    assert "no record was found on 1 pages" in done.stderr


def test_an_empty_listing_is_a_release_where_the_manifest_allows_it(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, allow_empty=True)
    items(site, 0)
    assert fleet.run(*crawl_args(site)).returncode == 0
    assert (fleet.records("little"), fleet.description("little")["records"]) == ([], 0)


def test_a_page_whose_parsing_fails_at_record_10_publishes_neither_10_nor_990(fleet: Fleet, site: Site) -> None:
    code = """
        import scrapy

        class LittleSpider(scrapy.Spider):
            name = "little"
            start_urls = ["http://site.invalid/list"]

            def parse(self, response):
                for number in range(1000):
                    if number == 10:
                        yield response.follow("/more", self.parse_more)
                        raise KeyError("the tenth")
                    yield {"_id": str(number)}

            def parse_more(self, response):
                for number in range(11, 1000):
                    yield {"_id": str(number)}
    """
    fleet.write_source("little", "scrapy", code)
    site.put("/list", "a list")
    site.put("/more", "more")
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (4, ["held"])
    assert "KeyError: 'the tenth'" in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def parse(self, response):\n        raise scrapy.exceptions.CloseSpider('enough')", "it ended as 'enough'"),
        ("async def start(self):\n        raise OSError('no list of URLs')\n        yield", "OSError: no list of URLs"),
        (
            "def __init__(self, **options):\n        raise OSError('no list of URLs')",
            "before its first request: OSError: no list",
        ),
    ],
    ids=["it closes itself", "start raises", "init raises"],
)
def test_a_spider_that_does_not_finish_publishes_nothing(fleet: Fleet, site: Site, code: str, said: str) -> None:
    spider = (
        "import scrapy, scrapy.exceptions\n\nclass LittleSpider(scrapy.Spider):\n"
        f"    name = 'little'\n    start_urls = ['http://site.invalid/list']\n\n    {code}\n"
    )
    fleet.write_source("little", "scrapy", spider, allow_empty=True, error_budget=1)
    items(site, 1)
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (1, []), done.stderr
    assert said in done.stderr


def test_dropped_and_failing_items_are_rejects(fleet: Fleet, site: Site) -> None:
    code = """
        import scrapy
        from scrapy.exceptions import DropItem

        class Sieve:
            def process_item(self, item):
                if item["_id"] == "0":
                    raise DropItem("too small")
                if item["_id"] == "1":
                    raise ZeroDivisionError("no ratio")
                return item

        class LittleSpider(scrapy.Spider):
            name = "little"
            start_urls = ["http://site.invalid/list"]
            custom_settings = {"ITEM_PIPELINES": {Sieve: 100}}

            def parse(self, response):
                for number in range(5):
                    yield {"_id": str(number)}
    """
    fleet.write_source("little", "scrapy", code, reject_budget=0.4)
    items(site, 0)
    done = fleet.run(*crawl_args(site))
    assert done.returncode == 0, done.stderr
    counts = fleet.description("little")["counts"]
    assert (counts["items"], counts["records"], counts["rejected_items"], counts["rejects"]) == (5, 3, 2, 2)
    assert sorted((reject["record"]["_id"], reject["reason"]) for reject in fleet.rejects("little")) == [
        ("0", "dropped: too small"),
        ("1", "ZeroDivisionError: no ratio"),
    ]
    assert {reject["url"] for reject in fleet.rejects("little")} == {"http://site.invalid/list"}


def test_a_limit_shows_the_first_records_and_publishes_nothing(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 10)
    done = fleet.run(*crawl_args(site), "--limit", "2")
    assert (done.returncode, fleet.files("little")) == (5, [])
    assert done.stdout.count('"_id":"little_') == 2
    assert "by --limit, so this is no release" in done.stderr


def test_as_many_records_as_the_limit_are_a_whole_source(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 4)
    done = fleet.run(*crawl_args(site), "--limit", "4")
    assert done.returncode == 0, done.stderr
    assert len(fleet.records("little")) == done.stdout.count('"_id":"little_') == 4


def test_a_spider_can_not_change_what_the_manifest_says(fleet: Fleet, site: Site) -> None:
    settings = """
        custom_settings = {
            "ROBOTSTXT_OBEY": False, "USER_AGENT": "Mozilla", "DOWNLOAD_DELAY": 0,
            "ITEM_PIPELINES": {"crawlers.runtime.scrapy_parts.ReleasePipeline": None},
            "EXTENSIONS": {"crawlers.runtime.scrapy_parts.RunExtension": None},
            "SPIDER_MIDDLEWARES": {"crawlers.runtime.scrapy_parts.FailureMiddleware": None},
        }
    """
    code = SPIDER.replace('name = "little"', f'name = "little"{settings}', 1)
    fleet.write_source("little", "scrapy", code, rate=20, error_budget=0.5)
    items(site, 3)
    site.put("/robots.txt", "User-agent: *\nDisallow: /item/2\n")
    done = fleet.run(*crawl_args(site))
    assert done.returncode == 0, done.stderr
    assert len(fleet.records("little")) == 2
    assert fleet.description("little")["errors"]["robots"]["count"] == 1
    assert all(seen.user_agent.startswith("crawler-fleet/") for seen in site.seen)
    assert min(later.at - earlier.at for earlier, later in pairwise(site.seen)) >= 0.025


def test_the_rate_of_the_manifest_is_kept_also_with_requests_side_by_side(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, rate=10, concurrency=8)
    items(site, 6)
    assert fleet.run(*crawl_args(site)).returncode == 0
    times = [seen.at for seen in site.seen]
    assert times[-1] - times[0] >= 0.6


def test_a_robots_txt_that_the_site_fails_to_give_forbids_everything(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 2)
    site.put("/robots.txt", Answer(status=503, headers=AGAIN))
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (1, [])
    assert "robots.txt" in done.stderr
    assert site.paths() == []


@pytest.mark.parametrize(
    ("target", "code", "kind"),
    [("/item/1", 0, "redirected"), ("/item/0", 4, "http"), ("http://elsewhere.invalid/", 4, "http")],
)
def test_a_page_that_is_redirected_away_does_not_vanish_unseen(
    fleet: Fleet, site: Site, target: str, code: int, kind: str
) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    items(site, 2)
    site.put("/item/0", Answer(status=301, headers={"Location": target}))
    done = fleet.run(*crawl_args(site))
    assert done.returncode == code, done.stderr
    assert f"{kind} error: http://site.invalid/item/0: " in done.stderr
    if code == 0:
        assert [reject["url"] for reject in fleet.rejects("little")] == ["http://site.invalid/item/0"]


def test_an_unreadable_spider_is_bad_usage_and_named_with_its_line(fleet: Fleet, site: Site) -> None:
    folder = fleet.write_source("little", "scrapy", "import scrapy\n\nclass LittleSpider(scrapy.Spider:\n")
    done = fleet.run(*crawl_args(site))
    assert (done.returncode, fleet.files("little")) == (2, [])
    assert f"{folder / 'spider.py'}:3: not Python" in done.stderr
