"""Looking at live documents: what is asked for, bounded, and never in MongoDB's own language."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from crawlers.runtime.errors import UsageError
from hub.views import documents as view
from hub.views import fields

RECORDS: list[dict[str, Any]] = [
    {
        "_id": f"site_{number:03}",
        "name": f"n{number % 3}",
        "size": number % 5,
        "open": bool(number % 2),
        "author": [{"name": "Ana"}, {"name": f"B.{number % 2}"}],
        "keywords": ["a.c", "abc"],
        **({"note": None} if number == 7 else {}),
        **({"$where": "1"} if number == 8 else {}),
    }
    for number in range(60)
]


@pytest.fixture(scope="module")
def documents(database_uri: str) -> Iterator[Collection]:
    name = f"test_{uuid4().hex[:8]}"
    with MongoClient(database_uri) as client:
        client[name]["site"].insert_many(RECORDS)
        yield client[name]["site"]
        client.drop_database(name)


def _ids(found: list[dict[str, Any]]) -> list[int]:
    return [int(document["_id"][5:]) for document in found]


def test_by_id(documents: Collection) -> None:
    assert view.find_document(documents, "site_007") == RECORDS[7]
    with pytest.raises(UsageError, match="no live document has the _id"):
        view.find_document(documents, '{"$gt": ""}')


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("name", "equals", "n1", [1, 4, 7]),
        ("size", "equals", "3", [3, 8, 13]),
        ("open", "equals", "true", [1, 3, 5]),
        ("author.name", "equals", "B.1", [1, 3, 5]),
        ("author.name", "prefix", "B.", [0, 1, 2]),
        ("keywords", "prefix", "a.", [0, 1, 2]),
        ("author.name", "prefix", "B.*", []),
        ("name", "prefix", "^n", []),
        ("name", "equals", '{"$gt": ""}', []),
        ("name", "equals", "$name", []),
        ("note", "exists", "", [7]),
        ("name", "missing", "", []),
        ("", "equals", "", [0, 1, 2]),
    ],
)
def test_by_a_query(
    documents: Collection, field: str, operator: view.Operator, value: str, expected: list[int]
) -> None:
    found = view.find_documents(documents, field, operator, value, limit=3)
    assert _ids(found.documents) == expected
    assert found.more == (len(expected) == 3)


def test_page_after_page(documents: Collection) -> None:
    found = view.find_documents(documents, "size", "equals", "3", after="site_008", limit=2)
    assert _ids(found.documents) == [13, 18]
    last = view.find_documents(documents, after="site_057")
    assert (_ids(last.documents), last.more) == ([58, 59], False)


def test_a_page_ends_where_documents_are_too_large(documents: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_MAX_BYTES", 500)
    found = view.find_documents(documents, limit=10)
    assert 0 < len(found.documents) < 5
    assert found.more


@pytest.mark.parametrize("field", ["$where", "a.$b", "a..b", ".", "a\0b", "x" * 500, "$expr"])
def test_a_field_that_could_be_an_operator_is_refused(documents: Collection, field: str) -> None:
    for look in (
        lambda: view.find_documents(documents, field, "equals", "1"),
        lambda: fields.count_values(documents, field),
    ):
        with pytest.raises(UsageError, match="expected is a name"):
            look()


def test_a_value_that_is_too_long_or_no_text_for_a_database_is_refused(documents: Collection) -> None:
    for value in ("x" * 10_000, "a\0b"):
        with pytest.raises(UsageError):
            view.find_documents(documents, "name", "prefix", value)


def test_a_query_that_takes_too_long_is_ended(documents: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "TIME_LIMIT_SECONDS", 0.001)
    documents.database["many"].insert_many([{"_id": f"m{number}", "text": "x" * 50} for number in range(20_000)])
    with pytest.raises(view.SlowQueryError, match="took longer"):
        view.find_documents(documents.database["many"], "text", "equals", "nowhere")


def test_a_sample_holds_each_document_once(documents: Collection) -> None:
    found = view.sample_documents(documents, 20)
    assert len({document["_id"] for document in found}) == len(found)
    assert 10 < len(found) <= 20


def test_values_are_counted_those_in_lists_too(documents: Collection) -> None:
    found = fields.count_values(documents, "author.name", top=2)
    assert [(it.value, it.type, it.count) for it in found.values] == [("Ana", "text", 60), ("B.0", "text", 30)]
    assert (found.distinct, found.missing, found.basis.sampled, found.basis.looked_at) == (3, 0, False, 60)
    assert fields.count_values(documents, "note").missing == 59


def test_a_large_source_is_counted_by_a_sample_and_that_is_said(
    documents: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "_COUNTED_WHOLE", 20)
    monkeypatch.setattr(fields, "_SAMPLE", 10)
    found = fields.count_values(documents, "name")
    assert (found.basis.sampled, found.basis.looked_at, found.basis.documents) == (True, 10, 60)


def test_the_overview_tells_every_place_and_its_types(documents: Collection) -> None:
    found = {it.path: it for it in fields.overview(documents).fields}
    assert found["author[].name"].documents == 60
    assert found["author[].name"].types == {"text": 120}
    assert found["note"].types == {"null": 1}
    assert found["open"].example in ("true", "false")
    assert "$where" in found
