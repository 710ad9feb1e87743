"""Real answers of real sites, said again on loopback, crawled by the real command and taken up by a real hub: as many documents
are live as records were recorded.

Where only pages were recorded, the sitemap or listing that names them is put together here; nothing else is made up.
"""

import csv
import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime.jsonld import extract_jsonld
from tests.command import Fleet
from tests.replay import Answer, answer, read_exchanges, replay, sitemap
from tests.running_hub import RunningHub

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded answers are not there: {DATA}")

EUCTR = "https://www.clinicaltrialsregister.eu"
IMMPORT_SEARCH = "https://www.immport.org/shared/data/query/api/search/study"


@pytest.fixture(scope="module")
def hub(make_module_hub: Callable[..., RunningHub]) -> RunningHub:
    """A hub that runs, with the sources that the project ships, and one for bio.tools."""
    hub = make_module_hub()
    shutil.copytree(CHECKOUT / "crawlers" / "sources", hub.sources, dirs_exist_ok=True)
    Fleet(hub.sources, hub.shared).write_source(
        "biotools", "jsonld", BIOTOOLS, url="https://bio.tools/", concurrency=32
    )
    return hub.start()


def crawl(hub: RunningHub, name: str, answers: Mapping[str, Answer], rejects: int = 0) -> list[dict[str, Any]]:
    """Crawl to a published release with so many rejects, and see each of its records live; returns them."""
    fleet = Fleet(hub.sources, hub.shared)
    with replay(answers) as site:
        result = fleet.run("crawl", name, "--base-url", site.base_url)
    assert result.returncode == 0, result.stderr
    assert site.total == len(answers), f"each is asked for once: {site.requests}"
    assert len(fleet.rejects(name)) == rejects, fleet.rejects(name)
    records = fleet.records(name)
    published = fleet.description(name)
    assert published["records"] == len(records)
    assert hub.wait_until_live(name, published["release"])["documents"] == len(records)
    assert hub.live(name) == sorted(records, key=lambda record: record["_id"])
    return records


def test_pangaeas_landing_page_becomes_a_record(hub: RunningHub) -> None:
    pages = read_exchanges(DATA / "html-jsonld" / "landing" / "pangaea-902845")
    [record] = crawl(hub, "pangaea", {"https://doi.pangaea.de/sitemap.xml": sitemap(list(pages)), **pages})
    assert record["_id"] == "pangaea_PANGAEA.902845"
    assert record["name"].startswith("In-situ airborne measurements of atmospheric and sea surface parameters")
    assert record["creator"][0]["name"] == "Konrad Bärfuss"
    assert len(record["creator"]) == 9


def test_the_registers_trials_become_records(hub: RunningHub) -> None:
    pages: dict[str, Answer] = {}
    for folder in (DATA / "trials" / "opentrials").glob("euctr-*"):
        pages.update(read_exchanges(folder))
    tables = "".join(f'<table class="result"><tr><td><a href="{url}">XX</a></td></tr></table>' for url in pages)
    listing = f'<div class="outcome">{len(pages)} result(s) found for: . Displaying page 1 of 1.</div>{tables}'
    crawled = crawl(hub, "euctr", {f"{EUCTR}/ctr-search/search?query=&page=1": answer(listing), **pages})
    records = {record["_id"]: record for record in crawled}
    assert sorted(records) == ["euctr_2005-002909-23", "euctr_2011-005852-33"]
    assert records["euctr_2005-002909-23"]["sponsor"][0]["name"] == "F Hoffmann La-Roche AG"
    assert records["euctr_2005-002909-23"]["status"] == "Completed"
    assert records["euctr_2011-005852-33"]["funding"][0]["funder"]["name"] == "Medicines for Malaria Venture (MMV)"


def test_dryads_datasets_become_records(hub: RunningHub) -> None:
    text = (DATA / "dryad-api" / "datasets.json").read_text(encoding="utf-8")
    recorded = json.loads(text.removeprefix("value:"))
    datasets = recorded["_embedded"]["stash:datasets"]
    recorded["total"] = len(datasets)  # one page of eight was recorded
    url = "https://datadryad.org/api/v2/datasets?page=1&per_page=100"
    records = crawl(hub, "dryad", {url: answer(json.dumps(recorded), "application/json")}, rejects=2)
    undescribed = [dataset for dataset in datasets if "message" in dataset]
    assert [reject["record"] for reject in Fleet(hub.sources, hub.shared).rejects("dryad")] == undescribed
    datasets = sorted(
        (dataset for dataset in datasets if "message" not in dataset), key=lambda dataset: dataset["identifier"]
    )
    assert len(records) == 8
    assert [record["_id"] for record in records] == [f"dryad_{dataset['identifier'][4:]}" for dataset in datasets]
    assert [record["name"] for record in records] == [dataset["title"] for dataset in datasets]
    assert not any("scott.fisher@" in json.dumps(record) for record in records)


def test_immports_study_becomes_a_record(hub: RunningHub) -> None:
    tables = immport_tables()
    [study] = tables["study"]
    number = study["STUDY_ACCESSION"]
    answers = {
        f"{IMMPORT_SEARCH}?term=&pageSize=500&fromRecord=0&sortFieldDirection=desc": {
            "hits": {"total": {"value": 1}, "hits": [{"_id": number}]}
        },
        f"https://s3.immport.org/release/metadata/Study_{number}": {
            "@context": "http://schema.org",
            "@type": "Dataset",
            "name": study["BRIEF_TITLE"],
            "description": study["BRIEF_DESCRIPTION"],
            "identifier": [{"@type": "PropertyValue", "value": number}],
            "species": sorted({subject["SPECIES"] for subject in tables["subject"]}),
            "creator": [
                {"name": f"{person['FIRST_NAME']} {person['LAST_NAME']}", "affiliation": person["ORGANIZATION"]}
                for person in tables["study_personnel"]
            ],
            "citation": [{"name": article["TITLE"]} for article in tables["study_pubmed"]],
        },
        f"https://www.immport.org/shared/data/query/ui/study/design/{number}": {
            "protocols": [
                {
                    "protocolAccession": protocol["PROTOCOL_ACCESSION"],
                    "name": protocol["NAME"],
                    "originalFileName": protocol["FILE_NAME"],
                    "type": protocol["TYPE"],
                }
                for protocol in tables["protocol"]
            ]
        },
    }
    [record] = crawl(
        hub, "immport", {url: answer(json.dumps(body), "application/json") for url, body in answers.items()}
    )
    assert record["_id"] == "immport_SDY139"
    assert record["species"] == [{"name": "Mus musculus"}]
    assert record["author"][0]["affiliation"]["name"] == "University of Rochester Medical Center"
    assert [protocol["identifier"] for protocol in record["isBasedOn"]] == ["PTL5525", "PTL5526", "PTL5527"]
    assert record["citedBy"][0]["name"].startswith("The peptide specificity of the endogenous T follicular helper")


def test_two_thousand_tools_become_records(hub: RunningHub) -> None:
    """All Bioschemas descriptions of bio.tools, each embedded in a page, in three forms of JSON-LD."""
    lines = gzip.decompress((DATA / "biotools" / "bioschemas.jsonl.gz").read_bytes()).decode().splitlines()
    pages = {
        f"https://bio.tools/tool/{number}": answer(f'<script type="application/ld+json">{line}</script>')
        for number, line in enumerate(lines)
    }
    records = crawl(hub, "biotools", {"https://bio.tools/sitemap.xml": sitemap(list(pages)), **pages})
    assert len(records) == len(lines) == 2161
    assert all(isinstance(record["name"], str) for record in records)
    recorded = {item["@id"] for line in lines for item in tools(json.loads(line))}
    assert {record["@id"] for record in records} == recorded


BIOTOOLS = """
    from crawlers.runtime.jsonld import JsonLdSpider

    class BioToolsSpider(JsonLdSpider):
        name = "biotools"
        start_urls = ["https://bio.tools/sitemap.xml"]
        landing_pattern = "/tool/"
        types = ("SoftwareApplication",)

        def identifier(self, item, response):
            return item["@id"]
"""


def tools(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools in a JSON-LD document, found without our own code."""
    nodes = document.get("@graph", [document])
    return [node for node in nodes if str(node.get("@type", "")).endswith("SoftwareApplication")]


def immport_tables() -> dict[str, list[dict[str, str]]]:
    """The study's tables, as ImmPort gives them for download, a dict a row."""
    names = ("study", "subject", "study_personnel", "study_pubmed", "protocol")
    with zipfile.ZipFile(DATA / "immport" / "SDY139-DR16_Tab.zip") as archive:
        return {
            name: list(
                csv.DictReader(
                    io.StringIO(archive.read(f"SDY139-DR16_Tab/Tab/{name}.txt").decode("utf-8", "replace")),
                    delimiter="\t",
                    quoting=csv.QUOTE_NONE,
                )
            )
            for name in names
        }


def pages_with_jsonld() -> list[Path]:
    folder = DATA / "html-jsonld"
    return [path for path in sorted(folder.rglob("*.html")) if b"application/ld+json" in path.read_bytes()]


@pytest.mark.parametrize("page", pages_with_jsonld(), ids=lambda path: path.name)
def test_every_recorded_page_gives_its_objects(page: Path) -> None:
    extraction = extract_jsonld(page.read_text(encoding="utf-8", errors="replace"))
    assert extraction.objects
    assert not extraction.faults


def pages_with_expectation() -> list[Path]:
    pages = sorted((DATA / "html-jsonld" / "extruct").glob("*.html"))
    return [page for page in pages if page.with_suffix(".jsonld").is_file()]


@pytest.mark.parametrize("page", pages_with_expectation(), ids=lambda path: path.stem)
def test_a_recorded_page_gives_what_another_reader_found(page: Path) -> None:
    found = json.loads(page.with_suffix(".jsonld").read_text(encoding="utf-8"))
    while isinstance(found, dict) or isinstance(found[0], list):
        found = found["items"] if isinstance(found, dict) else [item for items in found for item in items]
    objects = extract_jsonld(page.read_text(encoding="utf-8")).objects
    assert [item for item in objects if item in found] == found


@pytest.mark.parametrize(
    "path",
    sorted([*DATA.glob("jsonld/*/*.json*"), *DATA.glob("datacite/fixtures/schema_org*.json")]),
    ids=lambda path: path.name,
)
def test_every_published_json_ld_document_is_read_from_a_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    extraction = extract_jsonld(f'<html><script type="application/ld+json">{text}</script></html>')
    try:
        json.loads(text)
    except ValueError:
        assert extraction.faults or extraction.objects
    else:
        assert extraction.objects
        assert not extraction.faults
