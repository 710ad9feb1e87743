"""The release writer, on a real disk, with real processes beside it."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime.errors import FleetError, LockedError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import ErrorCount, format_release, read_description, read_release
from crawlers.runtime.writer import ReleaseWriter
from tests.command import MANIFEST, read_ndjson

STARTED = datetime(2026, 11, 22, 1, 2, 3, 456789, UTC)
HOLD = """
import sys
from pathlib import Path
from crawlers.runtime.writer import ReleaseWriter
from tests.unit.test_writer import made_manifest
with ReleaseWriter(Path(sys.argv[1]), made_manifest()) as writer:
    for number in range(5000):
        writer.write({"_id": str(number)})
    print("writing", flush=True)
    sys.stdin.read()
"""


def made_manifest() -> Manifest:
    return Manifest(name="little", kind="api", **MANIFEST)


@contextmanager
def another_crawl(shared: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of writing a release."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(shared)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        try:
            yield process
        finally:
            process.kill()


def write_release(shared: Path, manifest: Manifest, started: datetime, *records: Any) -> ReleaseWriter:
    with ReleaseWriter(shared, manifest, started) as writer:
        for record in records:
            writer.write(record)
        writer.publish()
    return writer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_release_describes_itself_truly(tmp_path: Path, manifest: Manifest) -> None:
    with ReleaseWriter(tmp_path, manifest, STARTED, "v1") as writer:
        writer.write({"_id": "1", "name": "Łucja"})
        writer.write({"_id": "2"}, "http://site.invalid/2")
        writer.write({"_id": "2", "again": True}, "http://site.invalid/2b")
        writer.reject("not_found: HTTP 404", url="http://site.invalid/3")
        assert names(writer.folder) == sorted(path.name for path in writer.folder.glob(".*.tmp"))
        errors = {"not_found": ErrorCount(count=1, url="http://site.invalid/3", message="HTTP 404")}
        described = writer.publish(writer.describe(errors))
    assert names(writer.folder) == ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]
    content = (writer.folder / "data.ndjson").read_bytes()
    assert content == '{"_id":"1","name":"Łucja"}\n{"_id":"2"}\n'.encode()
    assert (writer.folder / "release.txt").read_bytes() == b"2026-11-22T01:02:03Z"
    read = read_description(writer.folder)
    assert read == described
    assert read is not None
    assert (read.source, read.release, read.kind) == ("little", "2026-11-22T01:02:03Z", "api")
    assert (read.records, read.bytes, read.sha256) == (2, len(content), sha256(content).hexdigest())
    assert (read.started, read.code_version, read.outcome) == ("2026-11-22T01:02:03Z", "v1", "published")
    assert read.finished >= read.started
    counts = read.counts
    assert (counts.items, counts.records, counts.rejected_items, counts.duplicates, counts.rejects) == (3, 2, 1, 1, 2)
    assert (read.sorted, read.coverage) == (True, {"name": 0.5})
    assert read.errors["not_found"].count == 1
    assert read_ndjson(writer.folder / "rejects.ndjson") == [
        {
            "reason": "not_found: HTTP 404",
            "kind": "not_found",
            "field": "",
            "url": "http://site.invalid/3",
            "record": None,
            "response": None,
        },
        {
            "reason": "_id '2' is in this release already",
            "kind": "duplicate",
            "field": "_id",
            "url": "http://site.invalid/2b",
            "record": {"_id": "2", "again": True},
            "response": None,
        },
    ]


def test_published_files_are_read_only_and_the_data_file_has_a_new_inode_each_time(
    tmp_path: Path, manifest: Manifest
) -> None:
    inodes = set()
    for day in range(3):
        writer = write_release(tmp_path, manifest, STARTED + timedelta(days=day), {"_id": "1"})
        status = (writer.folder / "data.ndjson").stat()
        inodes.add(status.st_ino)
        kept = tmp_path / f"archived-{day}"
        kept.hardlink_to(writer.folder / "data.ndjson")
        assert stat.S_IMODE(status.st_mode) == 0o444
    assert len(inodes) == 3


def test_a_duplicate_is_rejected_also_when_the_first_was_written_long_ago(tmp_path: Path, manifest: Manifest) -> None:
    with ReleaseWriter(tmp_path, manifest, STARTED) as writer:
        for number in [*range(5000), 0, 4999, 2500, *range(5000, 6000), 5999]:
            writer.write({"_id": f"{number}", "text": "x"})
        description = writer.publish()
    assert (description.counts.items, description.records, description.rejects) == (6004, 6000, 4)
    records = read_ndjson(writer.folder / "data.ndjson")
    assert [record["_id"] for record in records] == sorted(f"{number}" for number in range(6000))
    rejects = read_ndjson(writer.folder / "rejects.ndjson")
    assert sorted(reject["record"]["_id"] for reject in rejects) == ["0", "2500", "4999", "5999"]


@pytest.mark.parametrize("identifier", ["a\x00b", "'; DROP TABLE identifiers; --", "e\u0301", "A", "a", " "])  # fmt: skip
def test_identifiers_that_only_look_alike_differ(tmp_path: Path, manifest: Manifest, identifier: str) -> None:
    writer = write_release(
        tmp_path, manifest, STARTED, {"_id": "a\x00"}, {"_id": identifier}, {"_id": "a" * 40_000}, {"_id": identifier}
    )
    assert (writer.counts.records, writer.counts.rejected_items) == (3, 1)


def test_the_same_records_give_the_same_bytes_whatever_their_order(tmp_path: Path, manifest: Manifest) -> None:
    records = [
        {"_id": identifier, "n": n} for n, identifier in enumerate(["b", "a", "é", "Z", "aa", "\U0001f600", "\uffff"])
    ]
    first = write_release(tmp_path / "first", manifest, STARTED, *records)
    second = write_release(tmp_path / "second", manifest, STARTED, *reversed(records))
    content = (first.folder / "data.ndjson").read_bytes()
    assert content == (second.folder / "data.ndjson").read_bytes()
    identifiers = [json.loads(line)["_id"].encode() for line in content.splitlines()]
    assert identifiers == sorted(identifiers)


def test_leaving_without_publishing_leaves_nothing(tmp_path: Path, manifest: Manifest) -> None:
    with ReleaseWriter(tmp_path, manifest, STARTED) as writer:
        writer.write({"_id": "1"})
        writer.settle()
    assert names(writer.folder) == []
    write_release(tmp_path, manifest, STARTED, {"_id": "1"})
    with pytest.raises(KeyError), ReleaseWriter(tmp_path, manifest, STARTED + timedelta(days=1)) as writer:
        writer.write({"_id": "2"})
        raise KeyError("in the source's code")
    assert names(writer.folder) == ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]
    assert (writer.folder / "data.ndjson").read_bytes() == b'{"_id":"1"}\n'


def test_one_crawl_of_a_source_at_a_time_over_all_processes(tmp_path: Path, manifest: Manifest) -> None:
    with another_crawl(tmp_path) as process:
        with pytest.raises(LockedError, match="another crawl of this source is under way"):
            ReleaseWriter(tmp_path, manifest).__enter__()
        assert all(f"-{process.pid}.tmp" in name for name in names(tmp_path / "little_crawled"))
        assert len(names(tmp_path / "little_crawled")) == 2
    write_release(tmp_path, manifest, STARTED, {"_id": "1"})


def test_what_a_killed_crawl_left_behind_is_removed_and_what_others_use_is_not(
    tmp_path: Path, manifest: Manifest
) -> None:
    with another_crawl(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    folder = tmp_path / "little_crawled"
    assert len(names(folder)) == 2
    (folder / "notes.txt").write_text("of a person")
    (folder / ".hidden.tmp").symlink_to(folder / "notes.txt")
    write_release(tmp_path, manifest, STARTED, {"_id": "1"})
    assert names(folder) == [".hidden.tmp", "data.ndjson", "notes.txt", "rejects.ndjson", "release.json", "release.txt"]


def test_a_crawl_within_the_second_of_the_last_release_waits_for_the_next(tmp_path: Path, manifest: Manifest) -> None:
    first = write_release(tmp_path, manifest, datetime.now(UTC), {"_id": "1"})
    second = write_release(tmp_path, manifest, datetime.now(UTC), {"_id": "2"})
    assert second.release > first.release
    assert format_release(second.started) == second.release
    assert datetime.now(UTC) >= second.started


def test_a_clock_that_is_behind_the_last_release_is_an_error_that_says_both(tmp_path: Path, manifest: Manifest) -> None:
    writer = write_release(tmp_path, manifest, STARTED, {"_id": "1"})
    with pytest.raises(FleetError) as caught:
        ReleaseWriter(tmp_path, manifest, STARTED - timedelta(hours=1)).__enter__()
    for part in (
        "2026-11-22T01:02:03Z",
        "2026-11-22T00:02:03Z",
        "Set the clock right",
        str(writer.folder / "release.txt"),
    ):
        assert part in str(caught.value)
    assert names(writer.folder) == ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]


def test_a_foreign_release_with_an_offset_and_a_fraction_is_followed(tmp_path: Path, manifest: Manifest) -> None:
    folder = tmp_path / "little_crawled"
    folder.mkdir()
    (folder / "release.txt").write_text("2026-11-22T02:02:03.900+01:00")
    writer = write_release(tmp_path, manifest, STARTED + timedelta(seconds=1), {"_id": "1"})
    assert writer.release == "2026-11-22T01:02:04Z"
    assert str(read_release(folder)) == writer.release


def test_a_file_in_the_place_of_the_folder_is_an_error_that_names_the_setting(
    tmp_path: Path, manifest: Manifest
) -> None:
    (tmp_path / "little_crawled").write_text("")
    with pytest.raises(FleetError, match="Make FLEET_SHARED_DIR a folder that uid"):
        ReleaseWriter(tmp_path, manifest).__enter__()


def test_after_the_disk_failed_once_nothing_is_published_even_if_it_works_again(
    tmp_path: Path, manifest: Manifest
) -> None:
    with ReleaseWriter(tmp_path, manifest, STARTED) as writer:
        writer.write({"_id": "1"})
        descriptor = writer._files["data.ndjson"].fileno()
        kept = os.dup(descriptor)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, descriptor)
        with pytest.raises(FleetError, match="No space left on device"):
            writer.settle()
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(full)
        write = lambda: writer.write({"_id": "2"})  # noqa: E731
        for act in (write, writer.settle, writer.publish, lambda: writer.reject("a page")):
            with pytest.raises(FleetError, match="No space left on device"):
                act()
    assert names(writer.folder) == []


def test_rejects_keep_the_record_whole(tmp_path: Path, manifest: Manifest) -> None:
    record = {"_id": "1", "deep": [{"a": [1, 2.5, None, True, "ü"]}], "bad": {1, 2}, "worse": float("inf"), 7: b"\xff"}
    writer = write_release(tmp_path, manifest, STARTED, record)
    [reject] = read_ndjson(writer.folder / "rejects.ndjson")
    assert reject["record"]["deep"] == [{"a": [1, 2.5, None, True, "ü"]}]
    assert (reject["record"]["bad"], reject["record"]["worse"], reject["record"]["7"]) == ("{1, 2}", "inf", "b'\\xff'")
    assert json.loads((writer.folder / "release.json").read_bytes())["records"] == 0


def test_a_release_txt_that_no_reader_takes_is_replaced(tmp_path: Path, manifest: Manifest) -> None:
    folder = tmp_path / "little_crawled"
    folder.mkdir()
    (folder / "release.txt").write_text("")
    writer = write_release(tmp_path, manifest, STARTED, {"_id": "1"})
    assert str(read_release(folder)) == writer.release == "2026-11-22T01:02:03Z"


@pytest.mark.parametrize("release", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"])
def test_a_release_at_the_end_of_time_is_told_as_any_other_in_the_future(
    tmp_path: Path, manifest: Manifest, release: str
) -> None:
    folder = tmp_path / "little_crawled"
    folder.mkdir()
    (folder / "release.txt").write_text(release)
    with pytest.raises(FleetError, match="Set the clock right"):
        ReleaseWriter(tmp_path, manifest, STARTED).__enter__()
