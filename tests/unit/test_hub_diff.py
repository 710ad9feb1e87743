"""What changed from one data file to another, beside a plain comparison in memory; and the order and dates of records."""

import json
import lzma
import random
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawlers.runtime.release import parse_release
from hub.dataload import lines, ordering
from hub.dataload.diff import changed_paths, diff_files
from hub.dataload.ordering import key_of, sort_on_disk
from hub.dataload.seen import SeenReader, add_release, find_seen, remove_outdated

MALFORMED = [
    b"\n",
    b"no record\n",
    b'{"_id":"cut off\n',
    b'{"_id":7}\n',
    b'{"_id":""}\n',
    b'{"title":"none"}\n',
    b'["a"]\n',
    b"null\n",
    b'{"_id":"nan","n":NaN}\n',
    b'{"_id":"latin","t":"\xe9"}\n',
    b'{"_id":"lone","t":"\\ud800"}\n',
    b'{"_id":"deep","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    b"\x00\xff\xfe\n",
]
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5]) | st.sampled_from(["", "a", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "_meta"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_records = st.builds(
    lambda number, fields: {"_id": f"é{number}", **fields},
    st.integers(0, 12),
    st.dictionaries(st.sampled_from(["name", "author", "_meta"]), _values, max_size=3),
)
_lines = st.lists(_records | st.sampled_from(MALFORMED), max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_lines, _lines, st.booleans(), st.integers(0, 2**32))
def test_it_says_what_a_comparison_in_memory_says(
    tmp_path: Path, old: list, new: list, in_order: bool, seed: int
) -> None:
    chance = random.Random(seed)
    new = [it for it in old if chance.random() < 0.6] + new  # else hardly a record would be in both
    for items in (old, new):
        if in_order:
            items.sort(key=lambda item: item["_id"] if isinstance(item, dict) else "")
        else:
            chance.shuffle(items)
    paths = tmp_path / "old", tmp_path / "new"
    for path, items in zip(paths, (old, new), strict=True):
        path.write_bytes(b"".join(_line(item, chance) for item in items))
    noted: list[str] = []
    found = diff_files(*paths, tmp_path, examples=100, note_new=lambda: _Noting(noted))
    before, after = _plain(old), _plain(new)
    changed = {key: paths for key in before.keys() & after.keys() if (paths := _paths(before[key], after[key]))}
    assert found.examples["added"] == sorted(after.keys() - before.keys())
    assert found.examples["removed"] == sorted(before.keys() - after.keys())
    assert found.examples["changed"] == [{"_id": key, "paths": sorted(changed[key])} for key in sorted(changed)]
    assert found.paths == Counter(path for paths in changed.values() for path in paths)
    assert (found.added, found.changed) == (len(after.keys() - before.keys()), len(changed))
    assert found.removed + found.changed + found.unchanged == len(before) == found.old.records
    assert found.added + found.changed + found.unchanged == len(after) == found.new.records
    for side, items in ((found.old, old), (found.new, new)):
        assert side.malformed == sum(isinstance(item, bytes) for item in items)
        assert side.records + side.malformed + side.duplicates == len(items)
    assert noted == sorted(after)
    if in_order:
        assert found.in_order


class _Noting:
    """Keeps what it was told last, if all went well."""

    def __init__(self, noted: list[str]) -> None:
        self.noted = noted

    def __enter__(self) -> Any:
        self.noted.clear()
        return self.noted.append

    def __exit__(self, *_: object) -> None:
        pass


def _line(item: dict[str, Any] | bytes, chance: random.Random) -> bytes:
    """A line, its keys in any order."""
    if isinstance(item, bytes):
        return item
    return orjson.dumps(dict(chance.sample(sorted(item.items()), len(item)))) + b"\n"


def _plain(items: list) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        if isinstance(item, dict):
            found.setdefault(item["_id"], item)
    return found


def _paths(old: Any, new: Any, path: str = "") -> set[str]:
    if type(old) is type(new) is dict:
        found = set()
        for key in {*old, *new}:
            inner = f"{path}.{key}".lstrip(".")
            found |= _paths(old[key], new[key], inner) if key in old and key in new else {inner}
        return found
    if type(old) is type(new) is list:
        found = {f"{path}[]"} if len(old) != len(new) else set()
        return found.union(*(_paths(a, b, f"{path}[]") for a, b in zip(old, new, strict=False)))
    return set() if json.dumps(_number(old)) == json.dumps(_number(new)) else {path}


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def test_what_the_hub_says_of_a_document_is_no_change_of_the_record(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b'{"_id":"a","_meta":{"first_seen":"x","url":"u","score":1}}\n{"_id":"b"}\n')
    (tmp_path / "new").write_bytes(
        b'{"_id":"a","_meta":{"first_seen":"y","url":"v","score":2}}\n{"_id":"b","_meta":{"release":"x"}}\n'
    )
    found = diff_files(tmp_path / "old", tmp_path / "new", tmp_path)
    assert found.paths == {"_meta.url": 1, "_meta.score": 1}
    assert found.unchanged == 1


@pytest.mark.parametrize("identifiers", ["abc", "cab"])
def test_a_line_too_long_for_any_document_is_counted_and_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identifiers: str
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 50)
    for name, text in (("old", "old"), ("new", "new")):
        written = [b'{"_id":"%c","t":"%s"}\n' % (it, text.encode()) for it in identifiers.encode()]
        written.insert(1, b'{"_id":"b","t":"' + b"x" * 3_000_000 + b'"}\n')
        (tmp_path / name).write_bytes(b"".join(written))
    found = diff_files(tmp_path / "old", tmp_path / "new", tmp_path)
    assert (found.changed, found.paths) == (3, {"t": 3})
    assert (found.old.malformed, found.new.malformed) == (1, 1)
    assert found.in_order == (identifiers == "abc")


def test_long_integers_that_differ_are_a_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b'{"_id":"a","n":123456789012345678901234567890}\n')
    (tmp_path / "new").write_bytes(b'{"_id":"a","n":123456789012345678901234567891}\n')
    assert diff_files(tmp_path / "old", tmp_path / "new", tmp_path).paths == {"n": 1}


def test_paths_of_a_record_with_a_field_for_each_of_a_million_do_not_fill_memory(tmp_path: Path) -> None:
    for name, value in (("old", 1), ("new", 2)):
        record = {"_id": "a", **{f"field {number}": value for number in range(5_000)}}
        (tmp_path / name).write_bytes(orjson.dumps(record))
    found = diff_files(tmp_path / "old", tmp_path / "new", tmp_path, examples=1)
    assert (len(found.paths), found.other_paths) == (1_000, 4_000)
    assert len(found.examples["changed"][0]["paths"]) == 20


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": True}, {"a"}),
        ({"a": 1}, {"a": 1.0}, set()),
        ({"a.b": 1, "": 1}, {"a.b": 2, "": 2}, {'"a.b"', '""'}),
        ({"a": [{"b": [1]}]}, {"a": [{"b": [2]}]}, {"a[].b[]"}),
        ({"a": {}}, {"a": []}, {"a"}),
        ({"a": None}, {}, {"a"}),
    ],
)
def test_a_path_names_where_two_records_differ(old: dict, new: dict, paths: set[str]) -> None:
    assert changed_paths(old, new) == paths


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 10**12), st.binary(max_size=3)), max_size=200))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sorted_on_disk_comes_in_order(tmp_path: Path, items: list[tuple]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "_CHUNK_BYTES", 2_000)  # ten items
        assert list(sort_on_disk(items, tmp_path)) == sorted(items)
    assert not list(tmp_path.iterdir())


def test_identifiers_of_any_length_have_short_keys_of_their_own() -> None:
    long = "x" * 5_000_000
    assert len(key_of(long)) < 2_000
    assert key_of(long) != key_of(long + "y") != key_of("x" * 1000)
    assert key_of("é") == "é"


RELEASES = [f"2026-11-2{day}T01:02:03Z" for day in range(5)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.sampled_from(["", "a", "b", "c\n", 'd"', "é", "\U0001f600", "ﬀ"])), min_size=1, max_size=5))
def test_first_seen_is_when_a_record_first_came_and_last_seen_when_it_last_did(
    tmp_path_factory: pytest.TempPathFactory, releases: list[set[str]]
) -> None:
    books = tmp_path_factory.mktemp("books")
    expected: dict[str, tuple[str, str]] = {}
    for text, keys in zip(RELEASES, releases, strict=False):
        with add_release(books, parse_release(text, books)) as writer:
            for key in sorted(keys):
                writer.note(key)
        expected |= {key: (expected.get(key, (text,))[0], text) for key in keys}
    seen = find_seen(books)
    assert seen is not None
    reader = SeenReader(seen.path, "unknown", is_known=True)
    assert {key: reader.find(key) for key in sorted({*expected, "zz"})} == expected | {"zz": ("unknown", "unknown")}
    reader.close()
    remove_outdated(books)
    assert [path.name for path in (books / "seen").iterdir()] == [f"{RELEASES[len(releases) - 1]}.ndjson"]


REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "biotools" / "biotools.jsonl.xz"


@pytest.mark.skipif(not REAL.is_file(), reason=f"the recorded records are not there: {REAL}")
@pytest.mark.parametrize("in_order", [True, False])
def test_of_thousands_of_real_records_every_change_is_found(tmp_path: Path, in_order: bool) -> None:
    with lzma.open(REAL, "rb") as file:
        records = [
            {"_id": f"biotools_{record['biotoolsID']}", **record} for record in map(orjson.loads, islice(file, 3_000))
        ]
    records.sort(key=lambda record: record["_id"], reverse=not in_order)
    expected: Counter[str] = Counter()
    new = []
    for number, record in enumerate(records):
        if number % 10 == 0:
            continue  # it goes
        if number % 7 == 0:
            record = {**record, "description": record["description"] + "."}
            expected["description"] += 1
        if number % 5 == 0 and record.get("credit"):
            record = {**record, "credit": [{**it, "name": "Somebody Else"} for it in record["credit"]]}
            expected["credit[].name"] += 1
        new.append(dict(reversed(record.items())))
    for name, written in (("old", records), ("new", new)):
        (tmp_path / name).write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in written))
    found = diff_files(tmp_path / "old", tmp_path / "new", tmp_path)
    assert (found.removed, found.added) == (len(records) - len(new), 0)
    assert found.paths == expected
    assert (found.new.records, found.in_order) == (len(new), in_order)
