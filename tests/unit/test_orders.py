"""What people ask of a crawler's container, in files of the source's state folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.orders import (
    ORDERS,
    PAUSE,
    drop_unreadable,
    order,
    pause,
    read_orders,
    read_pause,
    resume,
    take_order,
    withdraw,
)


def test_an_order_waits_until_one_takes_it(tmp_path: Path) -> None:
    ordered = order(tmp_path / "state", "crawl", "alice", "the site was mended")
    assert read_orders(tmp_path / "state") == [ordered]
    assert take_order(tmp_path / "state") == ordered
    assert take_order(tmp_path / "state") is None
    assert read_orders(tmp_path / "state") == []


def test_the_same_order_twice_is_one(tmp_path: Path) -> None:
    first = order(tmp_path, "crawl", "alice")
    assert order(tmp_path, "crawl", "bob") == first
    order(tmp_path, "check", "bob")
    assert {waiting.command for waiting in read_orders(tmp_path)} == {"crawl", "check"}


def test_what_is_no_command_can_not_be_ordered(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="crawl or check is expected"):
        order(tmp_path, "../crawl", "alice")  # type: ignore[arg-type]


def test_words_are_kept_on_a_line(tmp_path: Path) -> None:
    ordered = order(tmp_path, "crawl", "al\x1b[2Jice", "a\nb" + "c" * 9999)
    assert ordered.by == "al [2Jice"
    assert ordered.reason.startswith("a bc")
    assert len(ordered.reason) == 500


def test_what_is_no_order_is_passed_over_and_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / ORDERS
    folder.mkdir()
    (folder / "crawl.json").write_text("{")
    (folder / "check.json").symlink_to("/etc/passwd")
    assert read_orders(tmp_path) == []
    assert take_order(tmp_path) is None
    drop_unreadable(tmp_path)
    assert list(folder.iterdir()) == []
    drop_unreadable(tmp_path)


def test_a_pause_holds_until_its_end_or_until_it_is_resumed(tmp_path: Path) -> None:
    assert read_pause(tmp_path) is None
    until = datetime.now(UTC) + timedelta(days=3)
    paused = pause(tmp_path, "alice", "the site moves", until)
    assert read_pause(tmp_path) == paused
    assert read_pause(tmp_path, until + timedelta(seconds=1)) is None
    assert pause(tmp_path, "bob", "for good").until == ""
    assert read_pause(tmp_path, until + timedelta(days=999)) is not None
    assert resume(tmp_path)
    assert not resume(tmp_path)
    assert read_pause(tmp_path) is None


def test_a_pause_needs_a_reason_and_an_end_to_come(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        pause(tmp_path, "alice", " \n")
    with pytest.raises(UsageError, match="which is past"):
        pause(tmp_path, "alice", "why", datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "content", ["{", '{"by": "a", "since": "2026-01-01T00:00:00Z", "reason": "r", "until": "soon"}']
)
def test_a_pause_that_can_not_be_read_says_how_to_get_rid_of_it(tmp_path: Path, content: str) -> None:
    (tmp_path / ORDERS).mkdir()
    (tmp_path / ORDERS / PAUSE).write_text(content)
    with pytest.raises(FleetError, match="fleet resume"):
        read_pause(tmp_path)
    assert resume(tmp_path)


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / ORDERS).write_text("a file")
    with pytest.raises(FleetError, match="can't be written"):
        order(tmp_path, "crawl", "alice")


def test_an_order_is_taken_back_as_long_as_it_waits(tmp_path: Path) -> None:
    order(tmp_path, "crawl", "ana")
    assert withdraw(tmp_path, "crawl")
    assert not withdraw(tmp_path, "crawl")
    assert take_order(tmp_path) is None
