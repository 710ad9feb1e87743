"""Sources that break off, come short, or answer with something else and status 200: never published, and said why."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from crawlers.runtime.manifest import find_source
from crawlers.runtime.reject_files import find_rejects
from crawlers.runtime.rejects import read_rejects
from crawlers.runtime.writer import ReleaseWriter
from tests.command import Fleet
from tests.replay import answer, replay, sitemap
from tests.site import Answer, Site

HARVESTER = """
    def parse(api):
        came, page = 0, 1
        while True:
            answer = api.get_json("http://site.invalid/items", {"page": page})
            for item in answer["items"]:
                yield {"_id": str(item["id"])}
            came += len(answer["items"])
            page += 1
            if not answer["items"] or came >= answer["total"]:
                api.expect(answer["total"], came, "items")
                return
"""
SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/list/1", "http://site.invalid/list/2"]

        def parse(self, response):
            yield from response.follow_all(css="a", callback=self.parse_item)

        def parse_item(self, response):
            yield {"_id": response.url.rsplit("/", 1)[-1], "name": response.css("p::text").get()}
"""
LOGIN = "<form><input name=user><input name=password type=password></form>"
TOTAL = 1000


def put_pages(site: Site, count: int = TOTAL, **changed: Answer) -> None:
    """An API of ``count`` items, a hundred a page, that says there are ``TOTAL``; ``changed``: other answers, by page."""
    for page in range(1, TOTAL // 100 + 2):
        items = [{"id": number} for number in range((page - 1) * 100, min(page * 100, count))]
        body = json.dumps({"total": TOTAL, "items": items})
        site.put(f"/items?page={page}", changed.get(f"page_{page}", Answer(body, type="application/json")))


def crawl(fleet: Fleet, site: Site) -> tuple[int, str]:
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert "Traceback" not in done.stderr or "scrapy" in done.stderr
    return done.returncode, done.stderr


def last_run(fleet: Fleet) -> dict[str, Any]:
    return json.loads((fleet.folder("little") / "last-run.json").read_bytes())


def odd_items() -> str:
    return json.dumps({"total": TOTAL, "items": [{"id": number} for number in range(10)] + [{"no": "id"}]})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"page_1": Answer(odd_items())}, "the harvester failed after 10 records: KeyError: 'id'"),
        ({"page_10": Answer('{"total": 1000, "items": []}')}, "900 items came, but the site says that there are 1000"),
        ({"page_2": Answer("<h1>We will be back soon</h1>")}, "not JSON"),
        ({"page_2": Answer('{"error": "too many requests"}')}, "KeyError: 'items'"),
        ({"page_2": Answer(status=302, headers={"Location": "/login?next=%2Fitems"})}, "redirected to a login page"),
        ({"page_1": Answer('{"total": 1000, "items": []}')}, "0 items came, but the site says that there are 1000"),
    ],
    ids=["record 10", "short", "error page", "error in JSON", "login wall", "empty list"],
)
def test_an_api_that_breaks_off_publishes_nothing_and_says_what_happened(
    fleet: Fleet, site: Site, changed: dict[str, Answer], said: str
) -> None:
    fleet.write_source("little", "api", HARVESTER, error_budget=1, reject_budget=1, shrink_budget=1)
    before = publish_all(fleet)
    put_pages(site, **changed)
    site.put("/login?next=%2Fitems", LOGIN)
    code, err = crawl(fleet, site)
    assert code == 1
    assert said in err
    assert said in last_run(fleet)["message"]
    assert (fleet.folder("little") / "data.ndjson").read_bytes() == before
    [newest, _] = find_rejects(fleet.folder("little"))
    [reject] = list(read_rejects(newest.path))  # with the answer that it broke off at
    assert reject is not None
    assert reject.body in [answer.body.encode() for answer in (*changed.values(), Answer(LOGIN))]


def test_a_source_that_failed_first_publishes_all_when_it_is_well(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, error_budget=1, reject_budget=1, shrink_budget=1)
    put_pages(site, page_1=Answer(odd_items()))
    for _ in range(2):
        assert (crawl(fleet, site)[0], fleet.files("little")) == (1, [])
    put_pages(site)
    assert crawl(fleet, site)[0] == 0
    assert len(fleet.records("little")) == TOTAL


def publish_all(fleet: Fleet) -> bytes:
    """Publish a release of long ago, with all of the items; returns its data."""
    manifest = find_source(fleet.sources, "little").manifest
    with ReleaseWriter(fleet.shared, manifest, datetime(2026, 11, 22, tzinfo=UTC)) as writer:
        for number in range(TOTAL):
            writer.write({"_id": f"little_{number}", "long": "ago"})
        writer.publish(writer.describe())
    return (fleet.folder("little") / "data.ndjson").read_bytes()


def test_more_than_an_api_says_is_well(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    site.put("/items?page=1", json.dumps({"total": 1, "items": [{"id": 1}, {"id": 2}]}))
    assert crawl(fleet, site)[0] == 0


def put_lists(site: Site, count: int) -> None:
    """Two lists of ``count`` items each."""
    for part in (1, 2):
        paths = [f"/item/{part}-{number}" for number in range(count)]
        site.put(f"/list/{part}", "".join(f'<a href="{path}">' for path in paths))
        for path in paths:
            site.put(path, f"<p>{path}</p>")


def test_a_start_page_that_gives_nothing_is_a_failed_page_even_if_another_gives_enough(
    fleet: Fleet, site: Site
) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    put_lists(site, 3)
    site.put("/list/2", LOGIN)
    code, err = crawl(fleet, site)
    assert (code, "release.txt" in fleet.files("little")) == (4, False)
    assert "parse error: http://site.invalid/list/2: the crawl starts here" in err
    assert "1 of 5 pages failed" in err
    site.put("/list/1", "<h1>Oops</h1> Something went wrong.")
    code, err = crawl(fleet, site)
    assert (code, last_run(fleet)["outcome"]) == (1, "empty")
    assert "the crawl starts here" in err


def test_pages_behind_a_login_wall_are_blocked_and_no_other_names_of_one_page(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER, concurrency=8)
    put_lists(site, 15)
    for number in range(15):
        site.put(f"/item/2-{number}", Answer(status=302, headers={"Location": "/welcome"}))
    for number in range(5, 15):
        site.put(f"/item/1-{number}", Answer(status=302, headers={"Location": f"/account/login?next={number}"}))
        site.put(f"/account/login?next={number}", LOGIN)
    site.put("/welcome", LOGIN)
    code, err = crawl(fleet, site)
    assert code == 4, err
    # Ten lead to a login page, by its name. Of the fifteen that lead to one page, that is taken for one of the site; the next
    # ten may be other names of it, but no more.
    assert {kind: error["count"] for kind, error in last_run(fleet)["errors"].items()} == {
        "redirected": 10,
        "blocked": 14,
    }
    assert "a login wall, or an error page" in err


def test_a_landing_page_that_became_an_error_page_is_a_reject_with_what_came(fleet: Fleet) -> None:
    host = "https://data.example.org"
    spider = f"""
        from crawlers.runtime.jsonld import JsonLdSpider

        class LittleSpider(JsonLdSpider):
            name = "little"
            start_urls = ["{host}/sitemap.xml"]
            landing_pattern = r"/d/\\d+"
    """
    fleet.write_source("little", "jsonld", spider, error_budget=0.5)
    pages = {
        f"{host}/d/1": answer('<script type="application/ld+json">{"@type": "Dataset", "identifier": "one"}</script>'),
        f"{host}/d/2": answer("<h1>Please log in</h1>"),
    }
    with replay({f"{host}/sitemap.xml": sitemap(list(pages)), **pages}) as site:
        done = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert done.returncode == 0, done.stderr
    [reject] = fleet.rejects("little")
    assert (reject["kind"], reject["url"], reject["record"]) == ("parse", f"{host}/d/2", None)
    assert (reject["response"]["body"], reject["response"]["callback"]) == ("<h1>Please log in</h1>", "parse_landing")
