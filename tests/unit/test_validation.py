"""Validation of records: what profiles miss is counted, what can't be in a release is refused, and nothing else."""

import itertools
import typing
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from crawlers.runtime.manifest import PROFILES as MANIFEST_PROFILES
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.ndjson import UnwritableError, encode
from crawlers.runtime.record import complete
from crawlers.runtime.schema.completeness import completeness
from crawlers.runtime.schema.models import ALIASES, MODELS, Dataset
from crawlers.runtime.schema.profiles import NO_PROFILE, PROFILES
from crawlers.runtime.schema.shapes import SHAPES, class_of
from crawlers.runtime.schema.summary import Fault
from crawlers.runtime.schema.validation import Validator

TEXT = "What was measured, in whom and how, told in a few sentences that say enough."
GOOD: dict[str, Any] = {
    "_id": "little_1",
    "@type": "Dataset",
    "name": "A dataset",
    "description": TEXT,
    "author": [{"@type": "Person", "name": "Ana Muster"}],
    "url": "https://example.org/1",
    "doi": "10.5072/1",
    "date": "2019-05-04",
    "datePublished": "2019-05-04",
    "distribution": [{"@type": "DataDownload", "contentUrl": "https://example.org/1.csv"}],
    "funding": [{"@type": "MonetaryGrant", "funder": [{"@type": "Organization", "name": "Fund"}]}],
    "includedInDataCatalog": {"@type": "DataCatalog", "name": "Little"},
    "measurementTechnique": [{"@type": "DefinedTerm", "name": "Ruler"}],
    "publisher": [{"@type": "Organization", "name": "Little"}],
}


def validated(*records: dict[str, Any], require: tuple[str, ...] = ()) -> Validator:
    validator = Validator(PROFILES, require)
    for record in records:
        validator.check(dict(record))
    return validator


@pytest.mark.parametrize("profile", PROFILES)
def test_a_record_with_all_that_is_required_is_valid(profile: str) -> None:
    result = validated(GOOD).summary().profiles[profile]
    assert (result.records, result.valid, result.missing_required, result.broken) == (1, 1, {}, {})


@pytest.mark.parametrize(
    ("profile", "field", "named"),
    [
        *(("nde", field, field) for field in PROFILES["nde"].classes["Dataset"].required),
        ("google", "name", "name"),
        ("google", "description", "description"),
        ("datacite", "name", "Title"),
        ("datacite", "doi", "Identifier"),
        ("datacite", "author", "Creator"),
        ("datacite", "publisher", "Publisher"),
        ("datacite", "@type", "ResourceType"),
    ],
)
@pytest.mark.parametrize("empty", [None, "", [], {}, ...])
def test_a_required_field_that_is_missing_or_empty_is_counted_by_its_name(
    profile: str, field: str, named: str, empty: Any
) -> None:
    record = {key: value for key, value in GOOD.items() if key != field} if empty is ... else {**GOOD, field: empty}
    result = validated(record, GOOD).summary().profiles[profile]
    assert result.missing_required == {named: 1}
    assert result.valid == 1


def test_another_field_may_stand_for_a_required_one() -> None:
    record = {key: value for key, value in GOOD.items() if key != "author"} | {"creator": ["Ana Muster"]}
    profiles = validated(record).summary().profiles
    assert profiles["datacite"].valid == 1
    assert profiles["nde"].missing_required == {"author": 1}
    assert "creator" not in profiles["google"].missing_recommended


@pytest.mark.parametrize(("length", "valid"), [(49, 0), (50, 1), (5000, 1), (5001, 0)])
def test_google_wants_a_description_neither_too_short_nor_too_long(length: int, valid: int) -> None:
    result = validated({**GOOD, "description": "x" * length}).summary().profiles["google"]
    assert result.valid == valid
    assert result.broken == ({} if valid else {"description of 50 to 5000 characters": 1})


def test_a_profile_says_nothing_of_classes_that_it_does_not_know() -> None:
    profiles = validated({**GOOD, "@type": "ComputationalTool"}).summary().profiles
    assert profiles["google"].records == 0
    assert profiles["datacite"].records == profiles["nde"].records == 1


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", {"en": "A"}, "is an object, expected is one text"),
        ("name", 7, "is a number, expected is one text"),
        ("name", ["A", "B"], "is a list, expected is one text"),
        ("description", True, "is a boolean, expected is text"),
        ("datePublished", "yesterday", "is text, expected is an ISO 8601 date"),
        ("datePublished", 2019, "is a number, expected is an ISO 8601 date"),
        ("datePublished", "2019-05-04T10:11", None),
        ("datePublished", "2019", None),
        ("datePublished", date(2019, 5, 4), None),
        ("datePublished", datetime(2019, 5, 4, 10, 11, tzinfo=UTC), None),
        ("url", "example.org", "is text, expected is one URL"),
        ("author", 7, "is a number, expected is people or organisations"),
        ("author", [[{"name": "A"}]], "is a list, expected is people or organisations"),
        ("author", [{"name": 7}], "is a list, expected is people or organisations"),
        ("author", {"name": "A"}, None),
        ("author", "A", None),
        ("isAccessibleForFree", "yes", "is text, expected is true or false"),
        ("keywords", ["a", {"name": "b"}], None),
        ("keywords", None, None),
        ("version", 3, None),
        ("anything", object, None),
    ],
)
def test_a_value_that_can_t_stand_in_its_field_is_told(field: str, value: Any, reason: str | None) -> None:
    found = validated({**GOOD, field: value}).summary()
    assert [(fault.field, fault.reason, fault.count, fault.record) for fault in found.impossible] == (
        [(field, reason, 1, "little_1")] if reason else []
    )
    assert found.profiles["nde"].valid == (reason is None)


def test_each_fault_of_a_record_is_told_and_the_example_does_not_depend_on_the_order() -> None:
    faulty = [{**GOOD, "_id": str(number), "name": {"n": number}, "date": "?"} for number in range(5)]
    for records in itertools.islice(itertools.permutations(faulty), 0, 120, 17):
        assert validated(*records).summary().impossible == [
            Fault(field="date", reason="is text, expected is an ISO 8601 date", count=5, example="?", record="0"),
            Fault(field="name", reason="is an object, expected is one text", count=5, example="{'n': 0}", record="0"),
        ]


def test_what_a_model_could_not_parse_is_counted_by_field_and_reason() -> None:
    records = [
        Dataset.create(
            "https://example.org/1", {"_id": "1", "author": ["A", 7, {"name": "B", "orcid": "x"}], "date": "?"}
        ),
        Dataset.create("https://example.org/2", {"_id": "2", "author": [8]}),
    ]
    found = validated(*(record.to_dict() for record in records)).summary()
    assert [(fault.field, fault.reason, fault.count, fault.example) for fault in found.unparsed] == [
        ("author", "is a number, expected is a name or an object", 2, "7"),
        ("author.orcid", "not an ORCID", 1, "x"),
        ("date", "not a date", 1, "?"),
    ]
    assert not found.impossible, "what a model made is possible"


def test_a_record_without_what_the_manifest_demands_is_refused_and_the_field_named() -> None:
    validator = Validator(["nde"], ["name", "funding.none", "isAccessibleForFree"])
    refusal = validator.check({**GOOD, "name": "", "isAccessibleForFree": False})
    assert refusal is not None
    assert refusal.field == "name"
    assert refusal.reason == "schema: name, funding.none is missing; the manifest's `require` demands it"
    found = validator.summary()
    assert (found.records, found.refused, found.classes, found.profiles["nde"].records) == (1, 1, {}, 0)


def test_a_meta_that_is_no_object_is_refused() -> None:
    refusal = Validator().check({**GOOD, "_meta": "mine"})
    assert refusal == ("schema: _meta is text, expected is an object", "_meta")


def test_completeness_is_what_the_niaid_data_ecosystem_counts() -> None:
    record = dict(GOOD)
    Validator(["none"]).check(record)
    # 9 of 9 required fields; doi and datePublished of 21 recommended ones.
    assert record["_meta"] == {
        "completeness": {
            "required_score": 9,
            "required_max_score": 9,
            "required_ratio": 1.0,
            "recommended_score": 2,
            "recommended_max_score": 21,
            "recommended_score_ratio": 0.1,
            "total_score": 11,
            "total_max_score": 30,
            "weighted_score": 0.7738,
        }
    }
    assert "_meta" not in GOOD


def test_completeness_depends_on_the_class() -> None:
    filled = {"name", "description", "codeRepository", "date"}
    assert completeness("ComputationalTool", filled)["required_ratio"] == 0.5
    assert completeness("ComputationalTool", filled)["recommended_score"] == 1
    assert completeness("Dataset", filled)["recommended_score"] == 0
    assert completeness("ClinicalTrial", filled) == completeness("Dataset", filled)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Dataset", "Dataset"),
        ("http://schema.org/SoftwareApplication", "ComputationalTool"),
        ("bioschemas:Sample", "Sample"),
        (["Thing", "MedicalStudy"], "ClinicalTrial"),
        ("Recipe", "CreativeWork"),
        (None, "CreativeWork"),
        ({"a": 1}, "CreativeWork"),
        ([[]], "CreativeWork"),
    ],
)
def test_the_class_of_a_record_is_what_its_type_names(given: Any, expected: str) -> None:
    assert class_of({"@type": given}) == expected


def test_every_field_that_a_profile_asks_for_is_one_that_some_model_has() -> None:
    declared = {field for model in MODELS.values() for field in model.types}
    for profile in PROFILES.values():
        assert profile.classes.keys() <= MODELS.keys()
        for record_class, demands in (*profile.classes.items(), ("CreativeWork", profile.others)):
            for names in (demands.required | demands.recommended).values() if demands else ():
                assert set(names) - declared <= {"@type"}, f"{profile.title}, {record_class}"
    assert set(ALIASES.values()) <= MODELS.keys()


def test_memory_stays_flat_however_many_ways_records_are_filled_in_and_faulty() -> None:
    validator = Validator(PROFILES)
    fields = sorted(PROFILES["nde"].classes["Dataset"].recommended)[:15]
    for number in range(12_000):
        record = {**GOOD, **{field: "x" for place, field in enumerate(fields) if number >> place & 1}}
        record["_meta"] = {"unparsed": [{"field": f"f{number % 1000}x", "reason": "odd", "value": 1}]}
        validator.check(record)
    found = validator.summary()
    assert found.profiles["nde"].records == found.classes["Dataset"] == 12_000
    assert found.profiles["nde"].missing_recommended[fields[0]] == 6000
    assert len(found.unparsed) == 301
    assert sum(fault.count for fault in found.unparsed) == 12_000


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
ROUND: dict[str, Any] = {}
ROUND["itself"] = ROUND
LONG = "x" * 10_000_000
DATES = [
    "2019",
    "05/2019",
    "04/05/2019",
    "13/05/2019",
    "yesterday",
    "0000",
    2019,
    -1,
    10**400,
    "2019-05-04T25:00",
    [],
    {},
]
# What a site may make of a record, by what is peculiar to it; each is put into every kind of field.
HOSTILE_VALUES: dict[str, Any] = {
    "null": None,
    "a boolean": True,
    "a number": 7,
    "a long number": 2**65,
    "NaN": float("nan"),
    "infinity": float("-inf"),
    "10 MB": LONG,
    "10 MB of markup": "<p><!--" * 1_500_000,
    "10 MB of entities": "&amp;lt;" * 1_250_000,
    "deep": DEEP,
    "round": ROUND,
    "lone surrogate": "a\ud800b",
    "control characters": "\0\x1b[31m",
    "dots and dollars": {"$where": 1, "a.b": {"$gt": ""}},
    "a key that is no text": {1: 2},
    "an object of Python's": object(),
    "bytes": b"\xff",
    "lists in lists": [[["a"]]],
    "everything": [None, True, 7, "x", {}, [], {"name": {"name": "x"}}, {"@value": {"@value": 1}}],
    **{f"date {number}": date for number, date in enumerate(DATES)},
}  # fmt: skip
FIELDS = [
    "name",
    "description",
    "author",
    "datePublished",
    "url",
    "doi",
    "keywords",
    "inLanguage",
    "citation",
    "identifier",
]
FIELDS += [
    "isAccessibleForFree",
    "distribution",
    "funding",
    "version",
    "license",
    "unknown",
    "_meta",
    "@type",
    "a.b",
    "$set",
]
IDENTIFIERS = {"missing": ..., "null": None, "empty": "", "blank": " ", "a number": 5, "2 KB": "i" * 2048, "a list": ["a"], "a surrogate": "\ud800"}  # fmt: skip
# Reasons that a record may be rejected for, and no others.
TRUE_REASONS = (
    "_id must be a string that is not empty, got ",
    "not JSON: ",
    "NaN or infinity has no form in JSON",
    "schema: _meta is ",
)


@pytest.mark.parametrize("value", HOSTILE_VALUES)
@pytest.mark.parametrize("model", [False, True], ids=["a dict", "a model's"])
def test_a_hostile_record_is_accepted_or_rejected_with_a_true_reason(
    manifest: Manifest, value: str, model: bool
) -> None:
    validator, accepted = Validator(PROFILES), 0
    for field in FIELDS:
        data = {"_id": "1", "name": "A", field: HOSTILE_VALUES[value]}
        accepted += not _reason(data, manifest, validator, model=model)
    found = validator.summary()
    assert found.records == len(FIELDS)
    assert sum(found.classes.values()) + found.refused == found.records
    if model and value not in ("deep", "round", "a key that is no text", "an object of Python's", "bytes"):
        assert accepted >= len(FIELDS) - 4, "what a model parses is writable, whatever the site gave"


@pytest.mark.parametrize("identifier", IDENTIFIERS)
@pytest.mark.parametrize("model", [False, True], ids=["a dict", "a model's"])
def test_a_record_of_any_id_is_accepted_or_rejected_with_a_true_reason(
    manifest: Manifest, identifier: str, model: bool
) -> None:
    value = IDENTIFIERS[identifier]
    data = {"name": "A"} if value is ... else {"_id": value, "name": "A"}
    reason = _reason(data, manifest, Validator(PROFILES), model=model)
    fine = {"2 KB"} | ({"missing", "null", "empty", "blank", "a number"} if model else {"blank"})
    assert (reason == "") == (identifier in fine), reason


def _reason(data: dict[str, Any], manifest: Manifest, validator: Validator, *, model: bool) -> str:
    """Why the record is rejected, as the runtime would; empty where it is accepted."""
    record = Dataset.create("https://example.org/1", data).to_dict() if model else data
    record = complete(record, manifest)
    if refusal := validator.check(record):
        reason = refusal.reason
    else:
        try:
            encode(record)
            return ""
        except UnwritableError as error:
            reason = str(error)
    assert reason.startswith(TRUE_REASONS), reason
    return reason


def test_the_manifest_knows_every_profile() -> None:
    assert set(MANIFEST_PROFILES) == {*PROFILES, NO_PROFILE}


@pytest.mark.parametrize("name", SHAPES)
def test_no_pattern_of_msgspec_is_compiled_since_programs_crashed_at_their_end_of_it(name: str) -> None:
    waiting = list(typing.get_type_hints(SHAPES[name].whole, include_extras=True).values())
    for hint in waiting:  # grows while it is walked through
        assert not any(isinstance(part, msgspec.Meta) for part in getattr(hint, "__metadata__", ()))
        waiting.extend(typing.get_args(hint))
