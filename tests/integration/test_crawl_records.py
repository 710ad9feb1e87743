"""Typed records and validation, through the real command: what a source yields, what is published, and what is reported of it."""

import json
from pathlib import Path

import pytest

from tests.command import Fleet
from tests.site import Site

HARVESTER = """
    from crawlers.runtime.schema.models import Dataset

    def parse(api):
        yield Dataset.create("http://site.invalid/1", {
            "_id": "1", "name": "A <i>first</i>", "datePublished": "May 2019", "dateModified": "2020-01-02T03:04:05Z",
            "author": "Muster, Ana", "dateCreated": "04/05/2019",
        })
        yield {"_id": "2", "@type": "Dataset", "name": {"no": "text"}, "url": "http://site.invalid/2"}
        yield Dataset.create("http://site.invalid/3", {"_id": "3"})
        yield {"_id": "4", "name": float("nan")}
        yield {"_id": "5", "name": "A", "_meta": "mine"}
"""
SPIDER = """
    import scrapy
    from crawlers.runtime.schema.models import ClinicalTrial

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/page"]

        def parse(self, response):
            title = response.css("h1::text").get()
            yield ClinicalTrial.create(response.url, {"_id": "1", "name": title, "startDate": "2019-05"})
            yield ClinicalTrial.create(response.url, {"_id": {}, "name": title})
"""


def test_a_crawl_publishes_what_models_make_and_reports_what_was_at_fault(fleet: Fleet) -> None:
    fleet.write_source("little", "api", HARVESTER, require=["name"], reject_budget=0.6)
    done = fleet.run("crawl", "little")
    assert done.returncode == 0, done.stderr
    first, second = sorted(fleet.records("little"), key=lambda record: record["_id"])
    assert first["name"] == "A first"
    assert first["datePublished"] == "2019-05"
    assert first["date"] == "2020-01-02", "the latest of the dates"
    assert [told["field"] for told in first["_meta"]["unparsed"]] == ["dateCreated"]
    assert first["_meta"]["completeness"]["required_score"] == 5
    assert second["_meta"]["completeness"]["required_score"] == 3
    rejects = {
        reject["record"]["_id"]: (reject["reason"], reject["field"], reject["url"])
        for reject in fleet.rejects("little")
    }
    assert rejects == {
        "little_3": ("schema: name is missing; the manifest's `require` demands it", "name", "http://site.invalid/3"),
        "little_4": ("NaN or infinity has no form in JSON", "name", ""),
        "little_5": ("schema: _meta is text, expected is an object", "_meta", ""),
    }
    described = fleet.description("little")
    found = described["validation"]
    assert found["records"] == described["counts"]["items"] == 5
    assert found["refused"] == 2
    assert found["profiles"].keys() == {"nde"}
    assert found["profiles"]["nde"]["records"] == 3
    assert found["profiles"]["nde"]["valid"] == 0
    assert [(fault["field"], fault["record"]) for fault in found["impossible"]] == [
        ("name", "little_4"),
        ("name", "little_2"),
    ]
    assert [(fault["field"], fault["reason"], fault["count"]) for fault in found["unparsed"]] == [
        ("dateCreated", "ambiguous: day and month could be either way round", 1)
    ]


def test_a_spider_yields_models_too(fleet: Fleet, site: Site) -> None:
    site.put("/page", "<h1>A <b>trial</b></h1>")
    fleet.write_source("little", "scrapy", SPIDER, profile="datacite", reject_budget=0.5)
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    [record] = fleet.records("little")
    assert (record["@type"], record["url"], record["startDate"]) == (
        "ClinicalTrial",
        "http://site.invalid/page",
        "2019-05",
    )
    [reject] = fleet.rejects("little")
    assert reject["field"] == "_id"
    assert reject["url"] == "http://site.invalid/page"
    assert reject["record"]["name"] == record["name"], "the record is kept whole"
    assert fleet.description("little")["validation"]["profiles"].keys() == {"datacite"}


def test_the_same_records_are_the_same_bytes_in_the_next_crawl(fleet: Fleet) -> None:
    fleet.write_source("little", "api", HARVESTER, reject_budget=0.6)
    contents = []
    for _ in range(2):
        assert fleet.run("crawl", "little").returncode == 0
        contents.append((fleet.folder("little") / "data.ndjson").read_bytes())
    assert contents[0] == contents[1]


def test_a_profile_that_is_none_of_ours_is_a_mistake_in_the_manifest(fleet: Fleet) -> None:
    fleet.write_source("little", "api", HARVESTER, profile="ndee")
    done = fleet.run("crawl", "little")
    assert done.returncode == 2
    assert "Profiles: nde, google, datacite, none. Did you mean 'nde'?" in done.stderr


def test_validate_reports_on_a_published_release(fleet: Fleet) -> None:
    fleet.write_source("little", "api", HARVESTER, require=["name"], reject_budget=0.6)
    before = fleet.run("validate", "little")
    assert before.returncode == 1
    assert "has published nothing yet" in before.stderr
    fleet.run("crawl", "little")
    shown = fleet.run("validate", "little")
    assert shown.returncode == 0, shown.stderr
    assert "nde: 0 of 2 records are valid, 0.0%" in shown.stdout
    assert "ambiguous: day and month could be either way round" in shown.stdout
    as_json = json.loads(fleet.run("validate", "little", "--json", "--profile", "google").stdout)
    assert as_json["validation"]["profiles"].keys() == {"google"}
    assert as_json["validation"]["records"] == 2
    assert as_json["unreadable"] == {}


def test_validate_tells_of_lines_that_are_no_records(fleet: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "any.ndjson"
    path.write_bytes(b'{"_id": "1", "@type": "Dataset", "name": "A"}\n[]\n{"a": NaN}\n\n"text"\n')
    done = fleet.run("validate", str(path))
    assert done.returncode == 1
    assert "1 records (1 Dataset)" in done.stdout
    assert "4 lines are no records" in done.stderr
    assert "is a list, expected is an object × 1" in done.stderr


@pytest.mark.parametrize("name", ["nobody", "nobody/data.ndjson", "nobody.ndjson"])
def test_validate_says_what_it_could_not_find(fleet: Fleet, name: str) -> None:
    done = fleet.run("validate", name)
    assert done.returncode == 2
    assert f"'{name}'" in done.stderr or f"{name} is no file" in done.stderr
