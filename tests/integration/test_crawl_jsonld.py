"""Crawls of landing pages with JSON-LD, through the real command: nothing is lost in silence."""

import gzip

from tests.command import Fleet
from tests.replay import answer, replay, sitemap

HOST = "https://data.example.org"
SPIDER = """
    from crawlers.runtime.jsonld import JsonLdSpider

    class LittleSpider(JsonLdSpider):
        name = "little"
        start_urls = ["https://data.example.org/sitemap.xml"]
        landing_pattern = r"/d/\\d+"
"""
INDEX = (
    '<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    f"<sitemap><loc>{HOST}/part-1.xml.gz</loc></sitemap></sitemapindex>"
)


def landing(text: str) -> str:
    return f'<html><script type="application/ld+json">{text}</script></html>'


def test_pages_without_a_record_are_rejects_with_their_reason(fleet: Fleet) -> None:
    fleet.write_source("little", "jsonld", SPIDER, error_budget=0.5, concurrency=8)
    pages = {
        f"{HOST}/d/1": answer(landing('{"@type": "Dataset", "identifier": "one", "name": "One"}')),
        f"{HOST}/d/2": answer(landing('{"@type": "Dataset", "identifier": "two", ')),
        f"{HOST}/d/3": answer(landing('{"@type": "WebPage"}')),
        f"{HOST}/d/4": answer(landing('{"@type": "Dataset", "identifier": "four", "name": "Four",}')),
        f"{HOST}/d/5": answer("gone", status=410),
    }
    parts = answer(gzip.compress(sitemap(list(pages)).body), "application/x-gzip")
    with replay({f"{HOST}/sitemap.xml": answer(INDEX, "text/xml"), f"{HOST}/part-1.xml.gz": parts, **pages}) as site:
        result = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert result.returncode == 0, result.stderr
    assert sorted(record["_id"] for record in fleet.records("little")) == ["little_four", "little_one"]
    rejects = {reject["url"]: reject["reason"] for reject in fleet.rejects("little")}
    assert sorted(rejects) == [f"{HOST}/d/2", f"{HOST}/d/3", f"{HOST}/d/5"]
    assert "JSON-LD block 1 can't be read" in rejects[f"{HOST}/d/2"]
    assert "no Dataset in its JSON-LD (found: WebPage)" in rejects[f"{HOST}/d/3"]
    assert "HTTP 410" in rejects[f"{HOST}/d/5"]


def test_a_sitemap_that_leads_nowhere_publishes_nothing(fleet: Fleet) -> None:
    fleet.write_source("little", "jsonld", SPIDER, error_budget=1.0)
    with replay({f"{HOST}/sitemap.xml": sitemap([f"{HOST}/about"])}) as site:
        result = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert result.returncode == 1
    assert "none of its 1 links is a landing page" in result.stderr
    assert fleet.files("little") == []
