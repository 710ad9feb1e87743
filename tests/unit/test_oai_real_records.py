"""Every record in the recorded answers of real servers is converted, and a look at some of them."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from crawlers.runtime.ndjson import encode
from crawlers.runtime.oai.answer import OaiRecord, read_answer
from crawlers.runtime.oai.convert import convert

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded answers are not there: {DATA}")


def bodies(folder: str) -> Iterator[bytes]:
    for path in sorted((DATA / "oai-live" / folder).rglob("*.xml*")):
        body = path.read_bytes()
        yield gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


@pytest.fixture(scope="module")
def live() -> list[OaiRecord]:
    lists = (body for body in bodies("") if b"ListRecords>" in body or b"GetRecord>" in body)
    return [record for body in lists for record in read_answer(body).records()]


@pytest.fixture(scope="module")
def made(live: list[OaiRecord]) -> dict[str, dict[str, Any]]:
    records = {record.identifier: convert(record) for record in live if not record.deleted}
    for record in records.values():
        encode(record)
    return records


def test_all_records_of_the_live_harvests_are_converted(live: list[OaiRecord], made: dict[str, dict[str, Any]]) -> None:
    assert Counter(record.deleted for record in live) == {False: 5163, True: 4}
    assert set(made) == {record.identifier for record in live if not record.deleted}


def test_what_most_records_say_is_there(made: dict[str, dict[str, Any]]) -> None:
    """Each share is what the answers hold: the elements were counted in them."""
    shares = Counter(field for record in made.values() for field in record)
    for field, least in (
        ("name", 0.99),
        ("url", 0.98),
        ("datePublished", 0.98),
        ("author", 0.7),
        ("description", 0.75),
    ):
        assert shares[field] / len(made) > least, (field, shares[field])


def test_pubmed_central_gives_844_records_with_their_identifiers() -> None:
    records = [
        convert(record)
        for body in bodies("pubmedcentral")
        for record in read_answer(body).records()
        if not record.deleted
    ]
    assert len(records) == 844
    for record in records:
        number = record["_id"].rpartition(":")[2]
        assert record["pmcid"] == f"PMC{number}"
        assert record["url"] == f"http://www.ncbi.nlm.nih.gov/pmc/articles/PMC{number}/"
    (one,) = [record for record in records if record["pmcid"] == "PMC3539697"]
    assert one["doi"] == "10.1107/S1744309112047562"
    assert one["pmid"] == "23295480"
    assert one["datePublished"] == "2012-12-25"
    assert one["author"][1] == {"@type": "Person", "name": "Velmurugan, Devadasan", "givenName": "Devadasan", "familyName": "Velmurugan"}  # fmt: skip
    assert {"@type": "Collection", "identifier": "actaf"} in one["isPartOf"]


def test_zenodos_records_have_their_doi_licence_and_text_without_markup() -> None:
    records = {}
    for body in bodies("zenodo-2026-list_records"):
        records |= {record.identifier: convert(record) for record in read_answer(body).records()}
    one = records["oai:zenodo.org:20568304"]
    assert one["doi"] == "10.58614/jahsm593"
    assert one["license"] == "https://creativecommons.org/licenses/by/4.0/legalcode"
    assert one["isAccessibleForFree"] is True
    assert one["inLanguage"] == "en"
    assert one["@type"] == "ScholarlyArticle"
    assert "<" not in one["description"] and "&" not in one["description"]


EXAMPLES = sorted(path for path in DATA.glob("datacite/*/*.xml") if b"<resource" in path.read_bytes()[:2000])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_datacites_own_examples_are_converted(path: Path) -> None:
    root = etree.parse(path).getroot()
    record = convert(OaiRecord("oai:example.org:1", "2024-01-01", (), False, root))
    encode(record)
    identifier = root.find("{*}identifier")
    if identifier is not None and (identifier.text or "").strip().startswith("10."):
        assert record["doi"] == identifier.text.strip()
        assert record["url"] == f"https://doi.org/{record['doi']}"
    names = {" ".join((name.text or "").split()) for name in root.iterfind("{*}creators/{*}creator/{*}creatorName")}
    assert {person["name"] for person in record.get("author", [])} == names - {""}
    if root.find("{*}publicationYear") is not None:
        assert record["datePublished"]
