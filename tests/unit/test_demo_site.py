import sys
import urllib.error
import urllib.request
from types import ModuleType

import pytest
from parsel import Selector

from crawlers.runtime.loading import load_site
from crawlers.runtime.manifest import load_source
from crawlers.runtime.settings import CHECKOUT


@pytest.fixture(scope="module")
def site() -> ModuleType:
    serve = load_site(load_source(CHECKOUT / "crawlers" / "sources" / "demo"))
    assert serve
    return sys.modules[serve.__module__]


def test_ten_listing_pages_name_two_hundred_datasets_once_each(site: ModuleType) -> None:
    links = [
        link
        for number in range(1, 11)
        for link in Selector(site.page(f"/datasets?page={number}")).css("article h2 a::attr(href)").getall()
    ]
    assert len(links) == len(set(links)) == 200
    assert all(site.page(link) for link in links)


def test_the_pager_leads_from_the_first_page_to_the_last(site: ModuleType) -> None:
    path, seen = "/datasets?page=1", []
    while path:
        seen.append(path)
        path = Selector(site.page(path)).css("a[rel=next]::attr(href)").get("")
    assert len(seen) == 10


@pytest.mark.parametrize(
    "path", ["/datasets?page=0", "/datasets?page=11", "/datasets?page=x", "/datasets/DEMO-0201", "/x"]
)
def test_there_are_no_other_pages(site: ModuleType, path: str) -> None:
    assert site.page(path) is None


def test_it_is_the_same_site_every_time(site: ModuleType) -> None:
    before = site.page("/datasets/DEMO-0123")
    site.datasets.cache_clear()
    assert site.page("/datasets/DEMO-0123") == before


def test_it_is_served_on_loopback_for_as_long_as_it_is_asked_for(site: ModuleType) -> None:
    with site.serve() as base_url:
        with urllib.request.urlopen(f"{base_url}/datasets/DEMO-0001") as response:
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert response.read().decode() == site.page("/datasets/DEMO-0001")
        with urllib.request.urlopen(f"{base_url}/robots.txt") as response:
            assert response.read().startswith(b"User-agent: *")
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"{base_url}/nothing")
        caught.value.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(base_url)
