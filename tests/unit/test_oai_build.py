"""From the files of windows to records: the newest version of each wins, whatever the order in which they came."""

import gzip
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.runtime import sorted_lines
from crawlers.runtime.errors import FleetError
from crawlers.runtime.oai import conversion
from crawlers.runtime.oai.build import Built, build
from crawlers.runtime.oai.converted import converted_path
from crawlers.runtime.oai.ledger import Ledger
from crawlers.runtime.oai.windows import DONE, Frame, WindowFileError

Version = tuple[str, str, str]  # identifier, datestamp, title; an empty title: deleted


def page(versions: list[Version]) -> bytes:
    records = ""
    for identifier, datestamp, title in versions:
        status, metadata = (
            ("", f"<metadata><dc><title>{title}</title></dc></metadata>") if title else (" status='deleted'", "")
        )
        header = f"<identifier>{identifier}</identifier><datestamp>{datestamp}</datestamp><setSpec>all</setSpec>"
        records += f"<record><header{status}>{header}</header>{metadata}</record>"
    return (
        f'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><ListRecords>{records}</ListRecords></OAI-PMH>'.encode()
    )


def write_window(folder: Path, number: int, pages: list[list[Version]]) -> Path:
    """The file of the window with this number, one answer a page."""
    day = number * 86400
    with Ledger(folder).writing(1, day, day + 86399) as writer:
        writer.state = DONE
        for versions in pages:
            body = page(versions)
            writer.add(Frame(url="http://x/", when="2024-01-01T00:00:00Z", bytes=len(body)), body)
    return Ledger(folder).windows()[number].path


@pytest.fixture
def window(tmp_path: Path) -> Callable[..., Path]:
    numbers = iter(range(1000))
    return lambda *pages: write_window(tmp_path, next(numbers), list(pages))


def built(windows: list[Path], scratch: Path) -> tuple[dict[str, str], Built]:
    records: dict[str, str] = {}
    rejects: list[Any] = []

    def accept(identifier: str, line: bytes, shape: tuple[str, ...]) -> None:
        record = orjson.loads(line)
        assert (record["_id"], tuple(record)) == (identifier, shape)
        assert record["_id"] not in records, "each identifier comes once"
        records[record["_id"]] = record.get("name", "")

    counts = build(windows, scratch, accept, lambda reason, record: rejects.append((reason, record)))
    assert (counts.records, counts.rejects) == (len(records), len(rejects))
    return records, counts


def test_of_two_versions_the_one_with_the_later_datestamp_wins_also_where_it_stands_in_an_earlier_window(
    window: Any, tmp_path: Path
) -> None:
    windows = [window([("a", "2024-05-05", "new"), ("b", "2024-01-01", "old")]), window([("a", "2024-01-01", "old"), ("b", "2024-05-05", "new")])]  # fmt: skip
    records, counts = built(windows, tmp_path)
    assert records == {"a": "new", "b": "new"}
    assert counts == Built(versions=4, records=2, rejects=0, deleted=0)


def test_of_two_versions_with_the_same_datestamp_the_later_window_wins_and_within_a_window_the_later_place(
    window: Any, tmp_path: Path
) -> None:
    windows = [window([("a", "2024-05-05", "1"), ("b", "2024-05-05", "1")]), window([("a", "2024-05-05", "2")], [("a", "2024-05-05", "3")])]  # fmt: skip
    assert built(windows, tmp_path)[0] == {"a": "3", "b": "1"}


def test_a_deletion_removes_the_record_and_is_counted(window: Any, tmp_path: Path) -> None:
    windows = [window([("a", "2024-01-01", "there"), ("b", "2024-01-01", "there")]), window([("a", "2024-02-02", "")])]
    records, counts = built(windows, tmp_path)
    assert records == {"b": "there"}
    assert counts == Built(versions=3, records=1, rejects=0, deleted=1)


def test_a_record_that_came_back_after_its_deletion_is_there(window: Any, tmp_path: Path) -> None:
    windows = [
        window([("a", "2024-01-01", "first")]),
        window([("a", "2024-02-02", "")]),
        window([("a", "2024-03-03", "again")]),
    ]
    records, counts = built(windows, tmp_path)
    assert records == {"a": "again"}
    assert counts.deleted == 0


def test_a_day_gives_way_to_a_second_of_the_same_day(window: Any, tmp_path: Path) -> None:
    windows = [window([("a", "2024-01-01T05:00:00Z", "second")]), window([("a", "2024-01-01", "day")])]
    assert built(windows, tmp_path)[0] == {"a": "second"}


def test_a_record_that_can_not_be_converted_is_rejected_whole_with_the_reason(window: Any, tmp_path: Path) -> None:
    path = window([("a", "2024-01-01", "title")])
    content = gzip.decompress(path.read_bytes()).replace(
        b"<metadata><dc><title>title</title></dc></metadata>", b" " * 50
    )
    path.write_bytes(gzip.compress(content))
    rejects: list[Any] = []
    build(
        [path],
        tmp_path,
        lambda *given: pytest.fail(f"accepted: {given}"),
        lambda reason, record: rejects.append((reason, record)),
    )
    ((reason, record),) = rejects
    assert "no metadata" in reason
    assert record == {"_id": "a", "datestamp": "2024-01-01", "sets": ["all"], "metadata": None}


def test_a_window_that_was_cut_off_is_an_error_and_not_a_shorter_release(window: Any, tmp_path: Path) -> None:
    path = window([("a", "2024-01-01", "title")])
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(WindowFileError):
        built([path], tmp_path)


def test_a_window_that_is_gone_is_an_error_that_names_it(window: Any, tmp_path: Path) -> None:
    path = window([("a", "2024-01-01", "title")])
    path.unlink()
    with pytest.raises(WindowFileError, match=path.name):
        built([path], tmp_path)


def test_nothing_is_left_in_the_folder_for_temporary_files(window: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sorted_lines, "_RUN_LINES", 2)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    built([window([(str(number), "2024-01-01", "x") for number in range(9)])], scratch)
    assert list(scratch.iterdir()) == []


def test_a_window_is_converted_as_it_is_written_and_never_again(window: Any, tmp_path: Path, monkeypatch: Any) -> None:
    paths = [window([("a", "2024-01-01", "x")], [("b", "2024-01-01", "y")]), window([("a", "2024-02-02", "z")])]
    monkeypatch.setattr(conversion, "convert_answer", lambda *given: pytest.fail("converted twice"))
    assert built(paths, tmp_path)[0] == built(paths, tmp_path)[0] == {"a": "z", "b": "y"}


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def older(path: Path) -> None:
    path.rename(path.with_suffix(".000000000000"))


@pytest.mark.parametrize("happened", [Path.unlink, damaged, older])
def test_what_was_converted_is_made_again_where_it_is_missing_cut_off_or_of_other_code(
    window: Any, tmp_path: Path, happened: Callable[[Path], None]
) -> None:
    paths = [window([("a", "2024-01-01", "x")], [("b", "2024-01-01", "y")]), window([("c", "2024-02-02", "z")])]
    expected = {"a": "x", "b": "y", "c": "z"}
    happened(converted_path(paths[0]))
    assert built(paths, tmp_path)[0] == expected
    assert sorted((tmp_path / "converted").iterdir()) == sorted(map(converted_path, paths))


def test_what_was_converted_of_a_window_that_was_asked_for_anew_counts_no_more(window: Any, tmp_path: Path) -> None:
    first, second = window([("a", "2024-01-01", "sooner")]), window([("a", "2024-01-01", "later")])
    second.rename(first)
    assert built([first], tmp_path)[0] == {"a": "later"}


def test_what_was_converted_and_can_not_be_read_is_removed_so_that_the_next_run_makes_it_again(
    window: Any, tmp_path: Path
) -> None:
    path = window([("a", "2024-01-01", "x")])
    made = converted_path(path)
    content = bytearray(made.read_bytes())
    content[-40] ^= 255
    made.write_bytes(content)
    with pytest.raises(FleetError, match="run this again"):
        built([path], tmp_path)
    assert built([path], tmp_path)[0] == {"a": "x"}


def test_where_converting_on_the_way_fails_the_window_is_whole_and_is_converted_when_the_release_is_built(
    window: Any, tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "write_end", lambda *given: None)
        patch.setattr(conversion, "convert_answer", lambda *given: 1 / 0)
        path = window([("a", "2024-01-01", "x")], [("b", "2024-01-01", "y")])
    assert "ZeroDivisionError" in caplog.text
    assert built([path], tmp_path)[0] == {"a": "x", "b": "y"}


VERSIONS = st.lists(
    st.tuples(st.sampled_from("abcdeé"), st.sampled_from(["2024-01-01", "2024-01-02", "2024-01-02T03:04:05Z"]), st.sampled_from(["", "x", "y", "z"])),
    max_size=12,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(VERSIONS, min_size=1, max_size=4), st.integers(1, 4))
def test_the_newest_are_what_a_dictionary_would_have_kept(
    tmp_path_factory: pytest.TempPathFactory, pages: list[list[Version]], at_once: int
) -> None:
    """With batches of a few lines, so that each way through the sort on disk is gone."""
    folder = tmp_path_factory.mktemp("windows")
    paths = [write_window(folder, number, [versions]) for number, versions in enumerate(pages)]
    expected: dict[str, Version] = {}
    for version in (version for versions in pages for version in versions):
        if version[0] not in expected or version[1] >= expected[version[0]][1]:
            expected[version[0]] = version
    kept: dict[str, Version] = {}

    def accept(identifier: str, line: bytes, shape: tuple[str, ...]) -> None:
        record = orjson.loads(line)
        kept[record["_id"]] = (record["_id"], record["sdDatePublished"], record["name"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_lines, "_RUN_LINES", at_once)
        found = build(paths, folder, accept, lambda reason, record: pytest.fail(reason))
    assert kept == {identifier: version for identifier, version in expected.items() if version[2]}
    assert found.deleted == sum(not version[2] for version in expected.values())
    assert found.versions == sum(map(len, pages))


def test_several_processes_make_the_same_of_windows_as_one_thread(
    window: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(conversion, "_WORTH_PROCESSES_BYTES", 1)
    monkeypatch.setattr(conversion, "processors", lambda: 2)
    pages = [
        [(f"{number % 70}", f"2024-01-{page + 1:02}", f"{page} {number}") for number in range(100)]
        for page in range(20)
    ]
    paths = [window(*pages[:10]), window(*pages[10:])]
    made = [converted_path(path).read_bytes() for path in paths]
    expected = built(paths, tmp_path)
    assert expected[1] == Built(versions=2000, records=70, rejects=0, deleted=0)
    for path in paths:
        converted_path(path).unlink()
    assert built(paths, tmp_path) == expected
    assert [converted_path(path).read_bytes() for path in paths] == made


def test_a_process_that_is_killed_ends_the_build_with_an_error(window: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(conversion, "_WORTH_PROCESSES_BYTES", 1)
    monkeypatch.setattr(conversion, "processors", lambda: 2)
    paths = [window([("a", "2024-01-01", "x")]), window([("b", "2024-01-01", "x")])]
    for path in paths:
        converted_path(path).unlink()
    monkeypatch.setattr(conversion, "_begin", partial(signal.raise_signal, signal.SIGKILL))
    with pytest.raises(FleetError, match="was killed"):
        built(paths, tmp_path)
