"""One record through the archived releases: found by halving the file, or from end to end, with the same answer."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.views import histories
from hub.views.histories import DataFile, ValueChange, compare_values, find_record, find_records, follow_record

FIRST, SECOND, THIRD, FOURTH = (f"2026-11-22T0{hour}:02:03Z" for hour in range(1, 5))


def _write(path: Path, records: list[dict], malformed: bytes = b"") -> Path:
    path.write_bytes(b"".join(malformed + orjson.dumps(record) + b"\n" for record in records))
    return path


def _archive(root: Path, releases: dict[str, list[dict]]) -> Path:
    for release, records in releases.items():
        (root / release).mkdir(parents=True)
        _write(root / release / "data.ndjson", records)
    return root


@given(
    st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=60),
    st.integers(1, 20_000),
    st.booleans(),
)
def test_a_record_is_found_by_halving_wherever_it_lies(
    tmp_path_factory: pytest.TempPathFactory, identifiers: set[str], length: int, torn: bool
) -> None:
    records = [
        {"_id": it, "text": "x" * (length * (at % 3))} for at, it in enumerate(sorted(identifiers, key=str.encode))
    ]
    path = _write(tmp_path_factory.mktemp("data") / "data.ndjson", records, b"{torn\n" if torn else b"")
    for record in records:
        assert find_record(DataFile(path, in_order=True), record["_id"]) == record
    for other in ("", "\U0010ffff" * 9, f"{records[0]['_id']} no"):
        assert find_record(DataFile(path, in_order=True), other) is None


def test_a_file_in_no_order_is_read_from_end_to_end(tmp_path: Path) -> None:
    path = _write(tmp_path / "data.ndjson", [{"_id": "b", "at": 1}, {"_id": "a"}, {"_id": "b", "at": 2}])
    found = find_records(DataFile(path, in_order=False), ["a", "b", "c"])
    assert found == {"a": {"_id": "a"}, "b": {"_id": "b", "at": 1}}


def test_each_release_says_what_it_did_to_the_record(tmp_path: Path) -> None:
    record = {"_id": "a", "name": "old", "author": [{"name": "Ana"}], "_meta": {"release": FIRST}}
    changed = {"_id": "a", "name": "new", "author": [{"name": "Ana"}, {"name": "Bee"}], "_meta": {"release": SECOND}}
    releases = {FIRST: [{"_id": "b"}], SECOND: [record], THIRD: [changed], FOURTH: [{"_id": "b"}]}
    steps, older = follow_record(_archive(tmp_path, releases), "a")
    assert not older
    assert [(step.release, step.became) for step in steps] == [
        (FIRST, "absent"),
        (SECOND, "added"),
        (THIRD, "changed"),
        (FOURTH, "removed"),
    ]
    assert steps[2].changes == [
        ValueChange(path="author[1]", before=None, after='{"name":"Bee"}'),
        ValueChange(path="name", before='"old"', after='"new"'),
    ]


def test_what_the_hub_notes_is_no_change_and_the_same_record_is_the_same(tmp_path: Path) -> None:
    releases = {
        FIRST: [{"_id": "a", "_meta": {"last_seen": FIRST}}],
        SECOND: [{"_id": "a", "_meta": {"last_seen": SECOND}}],
    }
    assert [step.became for step in follow_record(_archive(tmp_path, releases), "a")[0]] == ["added", "same"]


def test_true_is_not_one_and_a_long_value_is_shortened() -> None:
    changes = compare_values({"_id": "a", "open": 1, "text": "x"}, {"_id": "a", "open": True, "text": "y" * 9_000})
    assert [change.path for change in changes] == ["open", "text"]
    assert len(changes[1].after or "") == 2_000


def test_what_was_before_the_releases_that_are_looked_at_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "MAX_RELEASES", 2)
    record = {"_id": "a"}
    steps, older = follow_record(_archive(tmp_path, {FIRST: [record], SECOND: [record], THIRD: [record]}), "a")
    assert older
    assert [(step.release, step.became) for step in steps] == [(SECOND, "present"), (THIRD, "same")]
