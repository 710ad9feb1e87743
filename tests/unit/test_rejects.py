"""The rejects' file: written, read back, and put together for a person."""

import json
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime import rejects
from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.reject_files import find_rejects
from crawlers.runtime.reject_groups import as_json, excerpt, group
from crawlers.runtime.rejects import Answer, Reject, RejectLines, read_rejects
from crawlers.runtime.terminal import safe
from crawlers.runtime.writer import ReleaseWriter

PAGE = Answer("http://site.invalid/1", 200, "text/html", b"<p>one</p>", "parse_item", {"page": 3})


def write(path: Path, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    """Write rejects to ``path``; returns its lines as JSON."""
    with path.open("wb") as file:
        writing = RejectLines(lambda line: file.write(line) and None)
        for line in lines:
            writing.add(**line)
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read(path: Path) -> list[Reject]:
    found = list(read_rejects(path))
    assert None not in found
    return [reject for reject in found if reject is not None]


def test_a_reject_comes_back_whole_with_the_answer_that_it_came_from(tmp_path: Path) -> None:
    record = {"_id": 1, "deep": [{"ü": None}]}
    [line] = write(
        tmp_path / "r", {"reason": "_id", "kind": "schema", "field": "_id", "record": record, "response": PAGE}
    )
    assert set(line) == {"reason", "kind", "field", "url", "record", "response"}
    [reject] = read(tmp_path / "r")
    assert (reject.kind, reject.field, reject.record, reject.exact) == ("schema", "_id", record, True)
    assert (reject.body, reject.truncated) == (b"<p>one</p>", False)
    assert reject.response is not None
    assert (reject.response["url"], reject.response["status"], reject.response["callback"]) == (
        PAGE.url,
        200,
        "parse_item",
    )
    assert reject.response["cb_kwargs"] == {"page": 3}


def test_the_body_of_an_answer_stands_in_the_file_once(tmp_path: Path) -> None:
    same = Answer("http://site.invalid/2", body=PAGE.body)
    other = Answer("http://site.invalid/3", body=b"\xff\x00")
    lines = write(tmp_path / "r", *({"reason": "x", "response": answer} for answer in (PAGE, PAGE, same, other, other)))
    assert ["body" in line["response"] for line in lines] == [True, False, False, False, False]
    assert ["base64" in line["response"] for line in lines] == [False, False, False, True, False]
    assert [reject.body for reject in read(tmp_path / "r")] == [PAGE.body, PAGE.body, PAGE.body, other.body, other.body]


def test_a_body_too_large_is_kept_in_part_once_and_says_so(tmp_path: Path) -> None:
    large = Answer("http://site.invalid/1", body=b"x" * (rejects.MAX_BODY_BYTES + 1))
    lines = write(tmp_path / "r", *[{"reason": "x", "response": large}] * 3)
    assert [len(line["response"].get("body", "")) for line in lines] == [rejects.MAX_BODY_BYTES, 0, 0]
    assert all(line["response"]["truncated"] for line in lines)
    assert all(reject.truncated for reject in read(tmp_path / "r"))


def test_of_all_answers_of_a_run_together_no_more_than_a_budget_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "_MAX_BODIES_BYTES", 25)
    answers = [Answer(f"http://site.invalid/{number}", body=b"%010d" % number) for number in range(4)]
    write(tmp_path / "r", *({"reason": "x", "response": answer} for answer in answers))
    assert [reject.truncated for reject in read(tmp_path / "r")] == [False, False, True, True]
    assert (tmp_path / "r").read_bytes().count(b'"body":""') == 1


def test_writer_and_reader_forget_the_same_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "_REMEMBERED", 3)
    numbers = [0, 1, 2, 0, 3, 1, 0, 4, 5, 0, 2, 2, 6, 0, 1]
    answers = [Answer(f"http://site.invalid/{number}", body=b"%d" % number) for number in numbers]
    lines = write(tmp_path / "r", *({"reason": "x", "response": answer} for answer in answers))
    assert 7 < sum("body" in line["response"] for line in lines) < len(numbers)
    assert [reject.body for reject in read(tmp_path / "r")] == [b"%d" % number for number in numbers]


@pytest.mark.parametrize(
    ("record", "exact"),
    [
        ({"a": [1, 2.5, None, True, "ü", {"b": ()}]}, True),
        ({"a": float("nan")}, False),
        ({"a": {1}}, False),
        ({1: "a"}, True),
        ({"a": 2**70}, False),
        ({"a": "\ud800"}, False),
        ("text", True),
    ],
    ids=str,
)
def test_a_record_that_json_can_not_carry_is_marked(tmp_path: Path, record: Any, exact: bool) -> None:
    write(tmp_path / "r", {"reason": "x", "record": record})
    [reject] = read(tmp_path / "r")
    assert reject.exact is (exact and record != {1: "a"})
    assert not reject.exact or json.loads(json.dumps(record)) == reject.record


def test_the_class_is_the_first_word_of_the_reason_where_it_is_not_given(tmp_path: Path) -> None:
    lines = write(
        tmp_path / "r",
        {"reason": "not_found: HTTP 404"},
        {"reason": "something else: x"},
        {"reason": "name is missing", "record": {}},
        {"reason": "whatever", "kind": "schema"},
    )
    assert [line["kind"] for line in lines] == ["not_found", "parse", "refused", "schema"]


def test_torn_lines_and_those_of_an_older_form_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b'{"reason":"parse: x","field":"","url":"u","record":null}\n[1]\n\xff\n{"reason":"torn')
    first, *others = read_rejects(path)
    assert first is not None
    assert (first.kind, first.body, first.response) == ("parse", None, None)
    assert others == [None, None, None]


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "r").symlink_to("/etc/passwd")
    with pytest.raises(ReleaseError, match="can't be read"):
        list(read_rejects(tmp_path / "r"))


def test_reasons_that_differ_in_values_only_are_one_group_the_most_frequent_first(tmp_path: Path) -> None:
    lines = [
        {"reason": f"schema: `name` is 'x{n}', {n} letters, see http://a.b/{n}", "record": {"n": n}} for n in range(9)
    ]
    write(tmp_path / "r", {"reason": "not_found: HTTP 404", "url": "u"}, *lines)
    first, second = group(read_rejects(tmp_path / "r"), examples=2)
    assert (first.count, first.reason) == (9, "'…' is '…', N letters, see URL")
    assert [example.excerpt for example in first.examples] == ['{"n":0}', '{"n":1}']
    assert (second.kind, second.count, second.examples[0].url) == ("not_found", 1, "u")
    assert first.action
    assert second.action


def test_a_million_different_reasons_need_no_million_groups() -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    names = (a + b + c for a in alphabet for b in alphabet for c in alphabet)
    groups = group(Reject(f"parse: {name}", "parse", "", "", None, None) for name in names)
    assert len(groups) <= 1_001
    assert sum(one.count for one in groups) == 26**3


def test_the_excerpt_is_what_the_record_holds_at_the_fault() -> None:
    record = {"name": "x" * 1000, "author": [{"name": 1}, {"name": 2}]}
    assert excerpt(Reject("x", "schema", "author.1.name", "", record, None)) == '{"author.1.name":2}'
    assert excerpt(Reject("x", "schema", "author[0].name", "", record, None)) == '{"author[0].name":1}'
    assert len(excerpt(Reject("x", "schema", "nowhere", "", record, None))) == 200
    assert excerpt(Reject("x", "parse", "", "", None, PAGE.head, body=PAGE.body)) == "200 text/html: <p>one</p>"


def test_hostile_text_can_not_move_the_cursor_or_turn_the_line() -> None:
    shown = safe("\x1b[2J\x07\r\nred\u202edlrow\u2028 \u200b\ue000 Łucja 漢字 'a'\x9b31m")
    assert shown == r"\x1b[2J\x07\r\nred\u202edlrow\u2028 \u200b\ue000 Łucja 漢字 'a'\x9b31m"


def test_a_reject_as_a_line_holds_the_body_that_the_file_refers_to(tmp_path: Path) -> None:
    write(tmp_path / "r", *[{"reason": "x", "response": PAGE}] * 2)
    assert [json.loads(as_json(reject))["response"]["body"] for reject in read(tmp_path / "r")] == ["<p>one</p>"] * 2


def test_the_rejects_of_the_newest_run_come_first_and_superseded_ones_not_at_all(
    tmp_path: Path, manifest: Manifest
) -> None:
    folder = tmp_path / "little_crawled"
    with ReleaseWriter(tmp_path, manifest) as writer:
        writer.reject("parse: first")
    [failed] = find_rejects(folder)
    assert (failed.of, failed.release, failed.data) == ("unpublished", writer.release, None)
    kept = failed.path.read_bytes()
    with ReleaseWriter(tmp_path, manifest) as writer:
        writer.write({"_id": "1"})
        writer.publish(writer.describe())
    assert [file.of for file in find_rejects(folder)] == ["published"]
    failed.path.write_bytes(kept)  # as if the crawl had been killed before it removed them
    assert [file.of for file in find_rejects(folder)] == ["published"]
    (folder / "unpublished" / "9999-01-01T00:00:00Z.ndjson").write_bytes(kept)
    (folder / "unpublished" / "nonsense.ndjson").write_bytes(kept)
    assert [file.of for file in find_rejects(folder)] == ["unpublished", "published"]


def test_a_run_without_rejects_leaves_those_of_the_run_before(tmp_path: Path, manifest: Manifest) -> None:
    for reason in ("parse: first", "parse: second", ""):
        with ReleaseWriter(tmp_path, manifest) as writer:
            if reason:
                writer.reject(reason)
    [file] = find_rejects(tmp_path / "little_crawled")
    assert [reject and reject.reason for reject in read_rejects(file.path)] == ["parse: second"]
