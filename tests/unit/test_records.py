"""Models of records: each field parsed by its type, and what can't be parsed kept beside."""

from datetime import UTC, datetime
from typing import Any

import pytest

from crawlers.runtime.schema.fields import DayFirstDate, Number
from crawlers.runtime.schema.models import ClinicalTrial, Dataset
from crawlers.runtime.schema.record import Record, as_dict

URL = "https://data.example.org/1"


class Trial(ClinicalTrial):
    """A source's own model: fields that schema.org doesn't know, or that this site writes in its own way."""

    enrolled: DayFirstDate
    arms: Number


def parsed(field: str, value: Any) -> Any:
    return Dataset.create(URL, {field: value}).fields.get(field)


def test_a_record_is_made_of_what_a_site_gives() -> None:
    record = Dataset.create(
        URL,
        {
            "_id": 17,
            "name": "A <i>first</i> dataset",
            "description": ["<p>One.</p>", "Two."],
            "datePublished": "May 2019",
            "author": "Muster, Ana; Bee Consortium",
            "inLanguage": "English",
            "keywords": "bees, wings",
            "doi": "https://doi.org/10.5072/BEES",
            "distribution": "https://data.example.org/1.csv",
            "isAccessibleForFree": "yes",
            "version": 3,
            "abstract": " ",
            "funding": None,
            "storage": {"kept": "as it is"},
        },
    )
    assert as_dict(record) == {
        "_id": "17",
        "@type": "Dataset",
        "url": URL,
        "name": "A first dataset",
        "description": "One.\nTwo.",
        "datePublished": "2019-05",
        "author": [
            {"@type": "Person", "name": "Ana Muster", "givenName": "Ana", "familyName": "Muster"},
            {"@type": "Organization", "name": "Bee Consortium"},
        ],
        "inLanguage": ["en"],
        "keywords": ["bees", "wings"],
        "doi": "10.5072/bees",
        "distribution": [{"@type": "DataDownload", "contentUrl": "https://data.example.org/1.csv"}],
        "isAccessibleForFree": True,
        "version": "3",
        "storage": {"kept": "as it is"},
    }


def test_what_can_t_be_parsed_is_kept_beside_the_record_with_field_value_and_reason() -> None:
    record = Dataset.create(
        URL,
        {
            "datePublished": "04/05/2019",
            "author": [{"name": "Ana Muster", "orcid": "0000-0002-1825-0098"}, 7, "B"],
            "citation": [{"doi": "none", "name": "A work"}],
            "_meta": {"mine": 1},
        },
    )
    written = record.to_dict()
    assert written["_meta"] == {
        "mine": 1,
        "unparsed": [
            {
                "field": "datePublished",
                "value": "04/05/2019",
                "reason": "ambiguous: day and month could be either way round",
            },
            {
                "field": "author.0.orcid.0",
                "value": "0000-0002-1825-0098",
                "reason": "not an ORCID: the checksum is wrong",
            },
            {"field": "author.1", "value": 7, "reason": "is a number, expected is a name or an object"},
            {"field": "citation.0.doi", "value": "none", "reason": "not a DOI"},
        ],
    }
    assert "datePublished" not in written
    assert [author["name"] for author in written["author"]] == ["Ana Muster", "B"]
    assert written["citation"] == [{"@type": "CreativeWork", "name": "A work"}]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(float("nan"), "nan"), (10**400, f"{10**400}"), ("\ud800", "\\ud800"), ({1: 2}, "{1: 2}"), (b"x", "b'x'")],
)
def test_an_unparsed_value_that_json_can_t_carry_is_kept_as_python_shows_it(value: Any, shown: str) -> None:
    [kept] = Dataset.create(URL, {"name": value}).to_dict()["_meta"]["unparsed"]
    assert kept["value"] == shown


def test_a_meta_that_is_no_object_is_told_and_not_lost() -> None:
    written = Dataset.create(URL, {"_meta": "mine"}).to_dict()
    assert written["_meta"]["unparsed"] == [
        {"field": "_meta", "value": "mine", "reason": "is text, expected is an object"}
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"_id": " A-1 "}, "A-1"),
        ({"_id": 0}, "0"),
        ({"_id": None, "doi": "doi:10.5072/A", "identifier": "B"}, "10.5072/a"),
        ({"identifier": [{"value": "C"}, "B"]}, "B"),
        ({"identifier": "B", "_id": ""}, "B"),
        ({}, URL),
        ({"_id": ["A"]}, ["A"]),  # the writer rejects it, and says why
        ({"_id": True}, True),
        ({"_id": 2**64}, 2**64),
    ],
)
def test_the_id_is_the_one_given_else_the_same_in_each_crawl(data: dict[str, Any], expected: Any) -> None:
    assert Dataset.create(URL, data).fields["_id"] == expected


def test_source_and_time_are_known_but_not_written() -> None:
    seen = datetime(2026, 11, 22, tzinfo=UTC)
    record = Dataset.create(URL, {"name": "A"}, source="little", seen=seen)
    assert (record.source, record.source_url, record.seen) == ("little", URL, seen)
    assert record.to_dict() == {"_id": URL, "@type": "Dataset", "url": URL, "name": "A"}


def test_the_page_that_a_record_came_from_is_kept_where_it_is_not_its_url() -> None:
    assert "_meta" not in Dataset.create(URL, {"name": "A", "url": URL}).to_dict()
    other = Dataset.create(URL, {"url": "https://example.org/landing", "_meta": {"mine": 1}})
    assert other.to_dict()["_meta"] == {"mine": 1, "url": URL}


def test_a_source_declares_fields_of_its_own() -> None:
    record = Trial.create(
        URL, {"enrolled": "04/05/2019", "arms": "1,5", "startDate": "04/05/2019", "sponsor": "Example Fund"}
    )
    assert record.fields["enrolled"] == "2019-05-04"
    assert record.fields["arms"] == 1.5
    assert record.fields["@type"] == "ClinicalTrial"
    assert record.fields["sponsor"] == [{"@type": "Organization", "name": "Example Fund"}]
    assert [told.field for told in record.unparsed] == ["startDate"]


def test_a_field_whose_type_nobody_could_parse_is_a_mistake_in_the_code() -> None:
    with pytest.raises(TypeError, match=r"Odd\.size: its type is none of crawlers\.runtime\.schema\.fields"):

        class Odd(Dataset):
            size: int


def test_a_record_is_made_of_a_dict_only() -> None:
    with pytest.raises(TypeError, match="a record is made of a dict, got a list"):
        Record.create(URL, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ana Muster", [{"@type": "Person", "name": "Ana Muster"}]),
        ("Muster, Ana, PhD", [{"@type": "Person", "name": "Muster, Ana, PhD"}]),
        ("Smith J, Doe A", [{"@type": "Person", "name": "Smith J, Doe A"}]),
        ({"@list": ["A", "B"]}, [{"@type": "Person", "name": "A"}, {"@type": "Person", "name": "B"}]),
        ({"legalName": "ACME"}, [{"@type": "Person", "name": "ACME", "legalName": "ACME"}]),
        ("Smith, Jr.", [{"@type": "Person", "name": "Smith, Jr."}]),
        ("University of Nowhere", [{"@type": "Organization", "name": "University of Nowhere"}]),
        ("orcid.org/0000-0002-1825-0097", [{"@type": "Person", "identifier": "https://orcid.org/0000-0002-1825-0097"}]),
        (["A", "A", ""], [{"@type": "Person", "name": "A"}]),
        ({"@type": "Person", "name": None}, None),
        (
            {"givenName": "Ana", "familyName": "Muster", "affiliation": "Somewhere", "role": "PI", "email": ""},
            [
                {
                    "@type": "Person",
                    "name": "Ana Muster",
                    "givenName": "Ana",
                    "familyName": "Muster",
                    "affiliation": {"@type": "Organization", "name": "Somewhere"},
                    "role": "PI",
                }
            ],
        ),
        (
            {"name": "ACME", "nameType": "Organizational", "identifier": "https://ror.org/02mhbdp94"},
            [{"@type": "Organization", "name": "ACME", "identifier": "https://ror.org/02mhbdp94"}],
        ),
    ],
)
def test_people_and_organisations_become_objects(value: Any, expected: Any) -> None:
    assert parsed("author", value) == expected


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("name", {"@value": "Titel", "@language": "de"}, "Titel"),
        ("name", ["A", "A"], "A"),
        ("healthCondition", "Asthma", [{"@type": "DefinedTerm", "name": "Asthma"}]),
        ("healthCondition", [{"name": "<b>Asthma</b>", "code": 1}], [{"@type": "DefinedTerm", "name": "Asthma", "code": 1}]),
        ("citation", "doi:10.5072/A", [{"@type": "CreativeWork", "doi": "10.5072/a"}]),
        ("citation", "https://example.org/a", [{"@type": "CreativeWork", "url": "https://example.org/a"}]),
        ("license", ["https://example.org/a", "CC0"], ["https://example.org/a", "CC0"]),
        ("license", {"@type": "CreativeWork", "url": "https://example.org/a"}, "https://example.org/a"),
        ("identifier", [5, {"propertyID": "x", "value": "y"}], ["5", {"propertyID": "x", "value": "y"}]),
        ("funding", {"funder": "Fund"}, [{"@type": "MonetaryGrant", "funder": {"@type": "Organization", "name": "Fund"}}]),
    ],
)  # fmt: skip
def test_a_field_takes_the_form_of_its_type(field: str, value: Any, expected: Any) -> None:
    assert parsed(field, value) == expected


def test_one_value_is_one_value() -> None:
    record = Dataset.create(URL, {"name": ["A", "B"]})
    [told] = record.unparsed
    assert (told.field, told.value, told.reason) == ("name", ["A", "B"], "several values, one is expected")
