"""Which records that were replayed still wait for a release."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawlers.runtime import replayed
from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.writer import ReleaseWriter

FIRST, SECOND = "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"


def publish(shared: Path, manifest: Manifest, release: str) -> dict[str, int]:
    """Publish a release with one record of its own and what waits; its records and its replayed ones."""
    with ReleaseWriter(shared, manifest, datetime.fromisoformat(release).astimezone(UTC)) as writer:
        writer.write({"_id": "own", "name": "made by the crawl"})
        replayed.add_replayed(writer, shared)
        description = writer.publish(writer.describe())
    counts = description.counts
    assert counts.items == counts.records + counts.rejected_items
    assert description.records == counts.records + counts.replayed
    return {"records": counts.records, "replayed": counts.replayed, "rejects": counts.rejects}


def keep(shared: Path, release: str, *lines: bytes, published: bool = True) -> Path | None:
    return replayed.keep(shared, "little", release, lines, published=published)


def test_what_passed_of_a_published_run_waits_for_the_next_release_and_no_longer(
    tmp_path: Path, manifest: Manifest
) -> None:
    publish(tmp_path, manifest, FIRST)
    path = keep(tmp_path, FIRST, b'{"_id":"b"}\n', b'{"_id":"own"}\n')
    assert path is not None
    assert replayed.find_replayed(tmp_path, "little") == [path]
    assert publish(tmp_path, manifest, SECOND) == {"records": 1, "replayed": 1, "rejects": 0}
    assert replayed.find_replayed(tmp_path, "little") == []
    assert path.exists()  # a crawl that was killed before it removed it
    replayed.remove_consumed(tmp_path, "little")
    assert not path.exists()


def test_what_passed_of_a_run_that_is_gone_on_with_is_not_added_again_after_it_published(
    tmp_path: Path, manifest: Manifest
) -> None:
    path = keep(tmp_path, FIRST, b'{"_id":"b"}\n', published=False)
    assert replayed.find_replayed(tmp_path, "little") == [path]
    assert publish(tmp_path, manifest, FIRST)["replayed"] == 1  # under the name that it had when it was cut off
    assert replayed.find_replayed(tmp_path, "little") == []


def test_the_newer_of_two_replays_wins_and_one_without_a_record_takes_the_older_back(
    tmp_path: Path, manifest: Manifest
) -> None:
    keep(tmp_path, FIRST, b'{"_id":"b","of":1}\n')
    keep(tmp_path, SECOND, b'{"_id":"b","of":2}\n', published=False)
    assert publish(tmp_path, manifest, "2026-11-21T00:00:00Z")["replayed"] == 1
    assert b'"of":2' in (tmp_path / "little_crawled" / "data.ndjson").read_bytes()
    assert keep(tmp_path, SECOND, published=False) is None
    assert [path.name for path in replayed.find_replayed(tmp_path, "little")] == [f"{FIRST}.ndjson"]


@pytest.mark.parametrize("line", [b"{", b'{"name":"no _id"}\n', b"[]\n", b"\xff\n"])
def test_a_file_that_is_damaged_ends_the_crawl_and_is_named(tmp_path: Path, manifest: Manifest, line: bytes) -> None:
    path = keep(tmp_path, FIRST, line)
    with pytest.raises(FleetError, match=r"Nothing was published") as caught:
        publish(tmp_path, manifest, SECOND)
    assert str(path) in str(caught.value)
