"""The page store and the note of an unfinished run, whatever is killed or fails, and when."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawlers.runtime.errors import FleetError
from crawlers.runtime.pages.keeping import KeptPages
from crawlers.runtime.pages.runs import UNFINISHED, begin, end, unfinished_start
from crawlers.runtime.pages.store import PageStore
from crawlers.runtime.release import release_folder, state_folder
from tests.crash import FAULTS, KILL, Crasher, start_crasher

BODY = b"<p>What was measured.</p>" * 200
HERE = "tests.unit.test_page_store"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    with start_crasher() as crasher:
        yield crasher


def keep(store: PageStore, name: str, run: str = "first", body: bytes = BODY, encoded: bool = False) -> None:
    store.put(
        name.encode(),
        url=f"http://site.invalid/{name}",
        status=200,
        headers=b"ETag: x",
        body=body,
        encoded=encoded,
        seconds=1.0,
        run=run,
    )


def keep_three(folder: str) -> int:
    """Run by the crasher: keeps a, b and c."""
    store = PageStore(Path(folder))
    for name in "abc":
        keep(store, name)
    count = len(store)
    store.close()
    return count


def begin_again(folder: str) -> None:
    """Run by the crasher."""
    begin(Path(folder), "little", datetime(2026, 1, 2, tzinfo=UTC))


def test_an_answer_comes_back_as_it_was_and_is_packed_on_disk(tmp_path: Path) -> None:
    store = PageStore(tmp_path)
    keep(store, "a")
    keep(store, "zipped", body=b"\x1f\x8b" + BODY, encoded=True)
    page = store.get(b"a")
    assert page
    assert (page.url, page.status, page.headers, page.body) == ("http://site.invalid/a", 200, b"ETag: x", BODY)
    assert (page.fetched, page.used) == ("first", "first")
    zipped = store.get(b"zipped")
    assert zipped
    assert zipped.body == b"\x1f\x8b" + BODY
    assert store.get(b"b") is None
    store.close()
    [[size]] = sqlite3.connect(store.path).execute("SELECT length(body) FROM pages WHERE fingerprint = ?", (b"a",))
    assert size < len(BODY) / 10


def test_pages_that_a_run_did_not_use_are_forgotten_with_it(tmp_path: Path) -> None:
    store = PageStore(tmp_path)
    for name in "abcd":
        keep(store, name)
    store.use(b"a", "second")
    store.confirm(b"b", b"ETag: y", 2.0, "second")
    keep(store, "c", run="second")
    assert store.remove_unused("second") == 1
    assert store.get(b"d") is None
    confirmed = store.get(b"b")
    assert confirmed
    assert (confirmed.headers, confirmed.seconds, confirmed.fetched, confirmed.body) == (
        b"ETag: y",
        2.0,
        "second",
        BODY,
    )
    store.close()


@pytest.mark.parametrize(
    ("refetch", "fetched", "current"),
    [
        ("stale", "now", True),
        ("stale", "before", False),
        ("stale", "", False),
        ("none", "before", True),
        ("none", "", True),
        ("all", "before", False),
        ("all", "now", True),
        ("never", "", True),
    ],
)
def test_which_stored_pages_are_taken_as_they_are(tmp_path: Path, refetch: str, fetched: str, current: bool) -> None:
    store = PageStore(tmp_path)
    keep(store, "a", run=fetched)
    page = store.get(b"a")
    assert page
    kept = KeptPages(store, "now", refetch)  # type: ignore[arg-type]
    assert kept.is_current(page, refetch_days=0) is current
    if fetched == "before":
        day_old = page._replace(seconds=datetime.now(UTC).timestamp() - 80_000)
        assert kept.is_current(day_old, refetch_days=1) is (refetch != "all")
    store.doubt(b"a")
    doubted = store.get(b"a")
    assert doubted
    assert kept.is_current(doubted, refetch_days=0) is (refetch in ("none", "never"))
    store.close()


def test_a_store_that_is_killed_at_any_moment_holds_all_that_it_said_it_kept(tmp_path: Path, crasher: Crasher) -> None:
    numbers = iter(range(10_000))
    folder = tmp_path

    def arguments() -> tuple[str]:
        nonlocal folder
        folder = tmp_path / str(next(numbers))
        return (str(folder),)

    kept = []
    for outcome in crasher.each_call(f"{HERE}:keep_three", arguments, KILL):
        store = PageStore(folder)
        kept.append(len(store))
        assert all(page.body == BODY for name in "abc" if (page := store.get(name.encode())))
        store.close()
        if outcome.well:
            assert outcome.value == 3
    assert kept == sorted(kept)
    assert set(kept) == {0, 1, 2, 3}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != KILL])
def test_a_disk_that_fails_is_told_with_what_to_do(tmp_path: Path, crasher: Crasher, fault: str) -> None:
    numbers = iter(range(10_000))
    for outcome in crasher.each_call(f"{HERE}:keep_three", lambda: (str(tmp_path / str(next(numbers))),), fault):
        if not outcome.well:
            assert "FleetError" in outcome.kinds or "close" in outcome.calls[-1], outcome
            assert "the page store failed" in outcome.raised or "close" in outcome.calls[-1], outcome


def test_a_damaged_store_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "pages" / "pages.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but long enough to be looked at as one" * 100)
    with pytest.raises(FleetError, match="if the file is damaged, remove"):
        PageStore(tmp_path)


def test_the_note_of_a_run_that_is_killed_at_any_moment_is_the_old_or_the_new_one(
    tmp_path: Path, crasher: Crasher
) -> None:
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    found = set()

    def arguments() -> tuple[str]:
        begin(tmp_path, "little", old)
        return (str(tmp_path),)

    for _ in crasher.each_call(f"{HERE}:begin_again", arguments, KILL):
        found.add(unfinished_start(tmp_path, "little", DAY * 36_500))
    assert found == {old, new}
    assert [path.name for path in state_folder(tmp_path, "little").iterdir()] == [UNFINISHED]


def test_a_run_is_gone_on_with_unless_it_is_over_or_too_old(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert unfinished_start(tmp_path, "little", DAY) is None
    begin(tmp_path, "little", now - DAY / 2)
    assert unfinished_start(tmp_path, "little", DAY) == now - DAY / 2
    assert unfinished_start(tmp_path, "little", DAY / 4) is None
    folder = release_folder(tmp_path, "little")
    folder.mkdir()
    (folder / "release.txt").write_text((now - DAY / 3).isoformat(timespec="seconds").replace("+00:00", "Z"))
    assert unfinished_start(tmp_path, "little", DAY) is None
    begin(tmp_path, "little", now + DAY)  # the clock was wrong then, or is now
    assert unfinished_start(tmp_path, "little", DAY) is None
    end(tmp_path, "little")
    end(tmp_path, "little")
    assert unfinished_start(tmp_path, "little", DAY) is None


def test_a_note_that_cannot_be_read_is_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = state_folder(tmp_path, "little")
    folder.mkdir()
    (folder / UNFINISHED).write_bytes(b"{")
    assert unfinished_start(tmp_path, "little", DAY) is None
    assert "can't be read" in caplog.text
