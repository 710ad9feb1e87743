"""The ledger of a harvest: what its files say is what is so, wherever a process was killed."""

from itertools import pairwise
from pathlib import Path

import pytest

from crawlers.runtime.errors import UsageError
from crawlers.runtime.oai.dates import DAY, parse_date, write_date
from crawlers.runtime.oai.ledger import GapNote, Ledger, Plan, subtract
from crawlers.runtime.oai.planning import WINDOW_RECORDS, Planner
from crawlers.runtime.oai.windows import DONE, Frame, WindowFileError, read_frames, read_window

PLAN = Plan(url="http://x.invalid/oai", prefix="oai_dc", ranges=((0, 10 * DAY - 1),))
BODY = (
    b"<OAI-PMH><ListRecords><record><header><identifier>one</identifier><datestamp>1970-01-01</datestamp></header></record>"
    b"</ListRecords></OAI-PMH>"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "oai")
    ledger.open()
    ledger.write_plan(PLAN)
    return ledger


def write(ledger: Ledger, start: int, until: int, run: int = 1) -> None:
    with ledger.writing(run, start, until) as writer:
        writer.add(
            Frame(url="http://x.invalid/oai?verb=ListRecords", when="2026-01-01T00:00:00Z", bytes=len(BODY)), BODY
        )
        writer.state = DONE


def test_what_has_no_file_is_open(ledger: Ledger) -> None:
    assert ledger.open_ranges(PLAN) == [(0, 10 * DAY - 1)]
    write(ledger, 2 * DAY, 3 * DAY - 1)
    ledger.note_gap(1, 5 * DAY, 6 * DAY - 1, GapNote(reason="HTTP 500"))
    assert ledger.open_ranges(PLAN) == [(0, 2 * DAY - 1), (3 * DAY, 5 * DAY - 1), (6 * DAY, 10 * DAY - 1)]
    assert [window.state for window in ledger.windows()] == ["done"]
    [gap] = ledger.gaps()
    assert (gap.window.start, gap.note.reason, gap.note.tries) == (5 * DAY, "HTTP 500", 1)


def test_a_window_that_was_not_finished_has_no_file(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.writing(1, 0, DAY - 1) as writer:
        writer.add(Frame(url="http://x.invalid/", when="", bytes=len(BODY)), BODY)
        raise ZeroDivisionError
    assert [path.name for path in ledger.folder.rglob("*") if path.is_file()] == ["plan.json"]


def test_a_window_gives_its_records_again_and_says_if_it_was_cut(ledger: Ledger) -> None:
    write(ledger, 0, DAY - 1)
    [window] = ledger.windows()
    assert [record.identifier for record in read_window(window.path)] == ["one"]
    [(frame, body)] = read_frames(window.path)
    assert (frame.bytes, body) == (len(BODY), BODY)
    content = window.path.read_bytes()
    window.path.write_bytes(content[:-9])
    with pytest.raises(WindowFileError, match="the next one asks for its window again"):
        list(read_window(window.path))


def test_a_later_run_is_no_part_of_an_earlier_one(ledger: Ledger) -> None:
    write(ledger, 0, DAY - 1, run=2)
    assert ledger.open_ranges(PLAN) == [(0, 10 * DAY - 1)]
    assert [window.run for window in ledger.windows()] == [2]


def test_a_ledger_is_for_one_harvest(ledger: Ledger) -> None:
    ledger.require_same(PLAN.url, "oai_dc", "")
    with pytest.raises(UsageError, match="set physics"):
        ledger.require_same(PLAN.url, "oai_dc", "physics")


@pytest.mark.parametrize(
    ("covered", "left"),
    [
        ([], [(10, 19)]),
        ([(0, 9), (20, 30)], [(10, 19)]),
        ([(0, 30)], []),
        ([(10, 12), (12, 14), (18, 18)], [(15, 17), (19, 19)]),
    ],
)
def test_subtracting_ranges_leaves_what_is_in_none(covered: list[tuple[int, int]], left: list[tuple[int, int]]) -> None:
    assert subtract((10, 19), covered) == left


@pytest.mark.parametrize("text", ["2024-02-30", "yesterday", "2024", "2024-01-01T25:00:00Z", ""])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_dates_are_days_or_seconds_with_both_ends_within() -> None:
    assert parse_date("1970-01-02") == DAY
    assert parse_date("1970-01-02", end=True) == 2 * DAY - 1
    assert parse_date("1970-01-01T01:00:00+01:00") == 0
    assert (write_date(DAY, DAY), write_date(DAY, 1)) == ("1970-01-02", "1970-01-02T00:00:00Z")
    assert write_date(-62135596800, DAY) == "0001-01-01"


def test_all_windows_together_are_the_whole_range_however_it_is_cut() -> None:
    planner = Planner(PLAN, PLAN.ranges, workers=1)
    planner._span = 3 * DAY
    taken = []
    while got := planner.take():
        taken.append(got[0])
        planner.finish(got[0], WINDOW_RECORDS * (len(taken) % 3))
    assert taken[0][0] == 0
    assert taken[-1][1] == 10 * DAY - 1
    assert all(after[0] == before[1] + 1 for before, after in pairwise(taken))
