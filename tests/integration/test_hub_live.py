"""Which release is live: right at every moment, wherever the switch was cut off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import parse_release
from hub.dataload import ordering
from hub.dataload import upload as module
from hub.dataload.archive import Archived
from hub.dataload.live import LiveBook, LiveRelease, temporary_name
from hub.dataload.pin import Pin, remove_pin, write_pin
from hub.dataload.upload import DatabaseError, UploadOrder, upload
from tests.running_hub import FIRST, SECOND

OLD, NEW = LiveRelease(FIRST, 1, 0), LiveRelease(SECOND, 2, 3)


@pytest.fixture
def database(database_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty database; that of the books has its name and ``_hub``."""
    name = f"test_{uuid4().hex[:8]}"
    with MongoClient[dict[str, Any]](database_uri) as client:
        yield client[name]
        client.drop_database(name)
        client.drop_database(f"{name}_hub")


@pytest.fixture
def book(database: Database[dict[str, Any]]) -> LiveBook:
    """A book in which the old release of ``site`` is live, with the new one loaded beside it."""
    book = LiveBook(database.client[f"{database.name}_hub"], database)
    _load(database, OLD)
    book.switch("site", temporary_name("site", FIRST), OLD)
    _load(database, NEW)
    return book


def _load(database: Database[dict[str, Any]], release: LiveRelease) -> None:
    documents = [{"_id": str(number), "release": release.release} for number in range(release.documents)]
    database[temporary_name("site", release.release)].insert_many(documents)


def _check(database: Database[dict[str, Any]], book: LiveBook) -> LiveRelease:
    """What is said to be live is what is there, whole."""
    live = book.find("site")
    assert live
    assert book.find_all() == {"site": live}
    found = list(database["site"].find())
    assert [document["release"] for document in found] == [live.release] * live.documents
    return live


def test_the_switch_makes_the_new_release_live(database: Database[dict[str, Any]], book: LiveBook) -> None:
    assert _check(database, book) == OLD
    book.switch("site", temporary_name("site", SECOND), NEW)
    assert _check(database, book) == NEW
    assert database.list_collection_names() == ["site"]


@pytest.mark.parametrize("step", ["intent", "rename", "settle"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_cut_off_at_any_step_of_the_switch_what_is_said_to_be_live_is(
    database: Database[dict[str, Any]], book: LiveBook, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    class Killed(BaseException):
        pass

    owner, name = {
        "intent": (type(book._book), "update_one"),
        "rename": (type(book._book), "rename"),
        "settle": (LiveBook, "settle"),
    }[step]
    original = getattr(owner, name)

    def cut_off(*args: Any, **kwargs: Any) -> Any:
        if moment == "after":
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut_off)
        with pytest.raises(Killed):
            book.switch("site", temporary_name("site", SECOND), NEW)
    switched = (step, moment) in {("rename", "after"), ("settle", "before"), ("settle", "after")}
    assert _check(database, book) == (NEW if switched else OLD)
    book.drop_temporary("site")
    assert _check(database, book) == (NEW if switched else OLD)
    assert database.list_collection_names() == ["site"]


def test_a_collection_that_we_did_not_load_is_not_taken_for_a_release(database: Database[dict[str, Any]]) -> None:
    book = LiveBook(database.client[f"{database.name}_hub"], database)
    database["site"].insert_one({"_id": "a"})
    assert book.find("site") is None
    assert book.find_all() == {}


def test_a_live_collection_that_was_dropped_is_not_live(database: Database[dict[str, Any]], book: LiveBook) -> None:
    database.drop_collection("site")
    assert book.find("site") is None
    assert book.find_all() == {}


def test_what_is_left_of_cut_off_uploads_is_dropped_and_other_sources_are_not(
    database: Database[dict[str, Any]], book: LiveBook
) -> None:
    for name in ("site_loading_x", "sites", "site_2"):
        database[name].insert_one({"_id": "a"})
    assert book.drop_temporary("site") == [temporary_name("site", SECOND)]
    assert sorted(database.list_collection_names()) == ["site", "site_2", "site_loading_x", "sites"]


def _order(database_uri: str, database: Database[dict[str, Any]], folder: Path, lines: bytes) -> UploadOrder:
    (folder / "data.ndjson").write_bytes(lines)
    archived = Archived(parse_release(SECOND, folder), folder)
    return UploadOrder(database_uri, database.name, f"{database.name}_hub", "site", archived, 0.5, False)


def test_when_the_database_fails_the_error_says_so_and_nothing_is_left(
    database_uri: str,
    database: Database[dict[str, Any]],
    book: LiveBook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise PyMongoError("not primary")

    monkeypatch.setattr(LiveBook, "switch", fail)
    outcome = upload(_order(database_uri, database, tmp_path, b'{"_id":"a"}\n'))
    assert isinstance(outcome, DatabaseError)
    assert "not primary" in str(outcome)
    assert _check(database, book) == OLD
    assert database.list_collection_names() == ["site"]


def test_a_database_that_counts_other_than_was_loaded_stops_the_switch(
    database_uri: str,
    database: Database[dict[str, Any]],
    book: LiveBook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = module.load_file

    def lose_one(data: Path, rejects: Path, collection: Any, *more: Any) -> Any:
        loaded = original(data, rejects, collection, *more)
        collection.delete_one({"_id": "a"})
        return loaded

    monkeypatch.setattr(module, "load_file", lose_one)
    outcome = upload(_order(database_uri, database, tmp_path, b'{"_id":"a"}\n{"_id":"b"}\n'))
    assert isinstance(outcome, ReleaseError)
    assert "2 documents were loaded" in str(outcome)
    assert _check(database, book) == OLD


def test_a_release_that_was_loaded_while_another_was_pinned_does_not_go_live(
    database_uri: str, database: Database[dict[str, Any]], book: LiveBook, tmp_path: Path
) -> None:
    folder = tmp_path / "site" / SECOND
    folder.mkdir(parents=True)
    write_pin(folder.parent, Pin(release=FIRST, since=SECOND, by="a test"))
    outcome = upload(_order(database_uri, database, folder, b'{"_id":"a"}\n'))
    assert isinstance(outcome, ReleaseError)
    assert f"{FIRST} was pinned by a test" in str(outcome)
    assert _check(database, book) == OLD
    assert database.list_collection_names() == ["site"]
    remove_pin(folder.parent)
    assert upload(_order(database_uri, database, folder, b'{"_id":"a"}\n')) == LiveRelease(SECOND, 1, 0)


def test_a_release_that_turns_out_of_order_late_is_loaded_whole(
    database_uri: str, database: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_CHUNK_BYTES", 100_000)  # so that the disk is needed
    folder = tmp_path / "site" / SECOND
    folder.mkdir(parents=True)
    identifiers = [*(f"id_{number:04}" for number in range(2_500)), "early"]
    lines = b"".join(b'{"_id":"%s"}\n' % identifier.encode() for identifier in identifiers)
    assert upload(_order(database_uri, database, folder, lines)) == LiveRelease(SECOND, 2_501, 0)
    assert {document["_meta"]["first_seen"] for document in database["site"].find()} == {SECOND}


def test_batches_keep_line_numbers_and_duplicates_right(
    database_uri: str, database: Database[dict[str, Any]], book: LiveBook, tmp_path: Path
) -> None:
    lines = [b'{"_id":"%d"}\n' % (number % 2500) for number in range(3000)]
    outcome = upload(_order(database_uri, database, tmp_path, b"".join(lines)))
    assert outcome == LiveRelease(SECOND, 2500, 500)
    rejects = (tmp_path / "upload-rejects.ndjson").read_text().splitlines()
    assert len(rejects) == 500
    assert '"line":2501,' in rejects[0]
    assert "duplicate _id '0'" in rejects[0]
