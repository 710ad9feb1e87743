"""What nobody needs goes, what somebody needs stays; and what takes the disk is told."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from crawlers.runtime import disk_use
from crawlers.runtime.disk_use import find_disk_use, size_of
from crawlers.runtime.errors import LockedError
from crawlers.runtime.history import read_history
from crawlers.runtime.housekeeping import find_removable, tidy
from crawlers.runtime.housekeeping_table import Housekeeping
from crawlers.runtime.http import Patience
from crawlers.runtime.lock import source_lock
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import format_release, release_folder, state_folder
from crawlers.runtime.temporary import create_temporary
from crawlers.runtime.watch import stuck_seconds
from crawlers.runtime.writer import ReleaseWriter

NOW = datetime.now(UTC)


def publish(shared: Path, manifest: Manifest, age_days: float = 0, *, hold: bool = False, text: str = "x") -> None:
    with ReleaseWriter(shared, manifest, NOW - timedelta(days=age_days)) as writer:
        writer.write({"_id": "1", "text": text})
        description = writer.describe()
        if hold:
            description.outcome, description.reasons = "held", ["too few"]
            writer.hold(description)
        else:
            writer.publish(description)


def fill(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def removable(manifest: Manifest, shared: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for it in find_removable(manifest, shared, NOW):
        found.setdefault(it.what, []).append(it.path.name)
    return found


def test_of_a_source_as_it_should_be_nothing_goes(tmp_path: Path, manifest: Manifest) -> None:
    publish(tmp_path, manifest)
    state = state_folder(tmp_path, "little")
    fill(state / "logs" / "20261122T010203.000000-7.ndjson")
    fill(state / "orders" / "pause.json")
    fill(release_folder(tmp_path, "little") / "unpublished" / f"{format_release(NOW)}.ndjson")
    before = sorted(tmp_path.rglob("*"))
    assert tidy(manifest, tmp_path) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_old_or_abandoned_or_no_longer_asked_for_goes(tmp_path: Path, manifest: Manifest) -> None:
    publish(tmp_path, manifest)
    folder, state = release_folder(tmp_path, "little"), state_folder(tmp_path, "little")
    manifest = msgspec.structs.replace(manifest, housekeeping=Housekeeping(logs=1, rejects_days=5))
    for run in ("20261122T010203.000000-7", "20261122T010203.000000-7+99", "20261123T010203.000000-7"):
        fill(state / "logs" / f"{run}.ndjson")
    for days in (4, 6):
        fill(folder / "unpublished" / f"{format_release(NOW - timedelta(days=days))}.ndjson")
    fill(folder / ".data.ndjson.elsewhere-1.tmp")
    fill(state / ".unfinished.json.elsewhere-1.tmp")
    fill(state / ".replay-x" / "data.ndjson")
    fill(state / "pages" / "pages.sqlite", 1000)
    fill(state / "oai" / "window.gz")
    with create_temporary(folder, "data.ndjson"):  # its owner lives: we are it
        listed = tidy(manifest, tmp_path, dry_run=True)
        assert removable(manifest, tmp_path) == {
            "log": ["20261122T010203.000000-7.ndjson", "20261122T010203.000000-7+99.ndjson"],
            "rejects": [f"{format_release(NOW - timedelta(days=6))}.ndjson"],
            "temporary": [".data.ndjson.elsewhere-1.tmp", ".unfinished.json.elsewhere-1.tmp", ".replay-x"],
            "pages": ["pages"],
            "windows": ["oai"],
        }
        assert {it.what: it.bytes for it in listed}["pages"] == 1000
        assert tidy(manifest, tmp_path) == listed
        assert removable(manifest, tmp_path) == {}
        assert len(list(folder.glob(".data.ndjson*.tmp"))) == 1
    assert (folder / "data.ndjson").exists()
    assert [path.name for path in (state / "logs").iterdir()] == ["20261123T010203.000000-7.ndjson"]


def test_a_release_that_was_held_too_long_is_discarded_and_the_history_says_so(
    tmp_path: Path, manifest: Manifest
) -> None:
    publish(tmp_path, manifest, 100)
    publish(tmp_path, manifest, 91, hold=True, text="y")
    folder = release_folder(tmp_path, "little")
    for_ever = msgspec.structs.replace(manifest, housekeeping=Housekeeping(held_days=0))
    assert tidy(for_ever, tmp_path) == []
    assert [it.what for it in tidy(manifest, tmp_path)] == ["held"]
    assert not (folder / "held").exists()
    assert (folder / "data.ndjson").exists()
    [run] = read_history(folder)
    assert (run.outcome, run.message.startswith("nobody approved or discarded it")) == ("discarded", True)


def test_files_stay_as_long_as_a_published_record_refers_to_one(tmp_path: Path, manifest: Manifest) -> None:
    fill(state_folder(tmp_path, "little") / "files" / "full" / f"{'a' * 40}.jpg")
    publish(tmp_path, manifest, 2, text=f"full/{'a' * 40}.jpg")
    assert tidy(manifest, tmp_path) == []
    publish(tmp_path, manifest, 1)
    assert [it.what for it in tidy(manifest, tmp_path)] == ["files"]


def test_of_a_source_that_is_crawled_nothing_goes(tmp_path: Path, manifest: Manifest) -> None:
    publish(tmp_path, manifest)
    left = fill(release_folder(tmp_path, "little") / ".data.ndjson.elsewhere-1.tmp")
    with source_lock(release_folder(tmp_path, "little")), pytest.raises(LockedError, match="under way"):
        tidy(manifest, tmp_path)
    assert left.exists()


def test_a_source_never_crawled_has_nothing_to_remove(tmp_path: Path, manifest: Manifest) -> None:
    assert tidy(manifest, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_disk_use_tells_what_takes_it_and_counts_what_is_shared_once(tmp_path: Path, manifest: Manifest) -> None:
    publish(tmp_path, manifest, 2)
    folder, state, archive = release_folder(tmp_path, "little"), state_folder(tmp_path, "little"), tmp_path / "archive"
    publish(tmp_path, manifest, 1, hold=True, text="y" * 100)
    data = (folder / "data.ndjson").stat().st_size
    (archive / "little" / "r").mkdir(parents=True)
    os.link(folder / "data.ndjson", archive / "little" / "r" / "data.ndjson")
    fill(archive / "little" / "old" / "data.ndjson", 500)
    for size, path in enumerate(
        ("pages/pages.sqlite", "files/full/a.jpg", "oai/w.gz", "logs/a.ndjson", "withdrawn.db"), 1
    ):
        fill(state / path, size * 1000)
    fill(folder / ".data.ndjson.elsewhere-1.tmp", 77)
    use = find_disk_use(tmp_path, "little", archive)
    assert (use.pages, use.files, use.windows, use.logs, use.other) == (1000, 2000, 3000, 4000, 5000)
    assert (use.archive, use.temporary, use.complete) == (500, 77, True)
    assert use.release > data and use.held > 100
    counted = sum(getattr(use, name) for name in use.__struct_fields__ if name not in ("total", "complete"))
    assert use.total == counted
    assert size_of(archive / "little") == 500  # the other one has another name
    fill(state / "logs" / "b.ndjson", 1)
    assert find_disk_use(tmp_path, "little", archive) is use  # for a while


def test_disk_use_of_more_files_than_can_be_looked_at_says_so(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_use, "_MAX_FILES", 5)
    for number in range(10):
        fill(state_folder(tmp_path, "little") / "files" / str(number))
    use = find_disk_use(tmp_path, "little")
    assert (use.files, use.complete) == (50, False)


def test_to_be_stuck_takes_longer_than_a_request_and_the_pause_before_it(manifest: Manifest) -> None:
    patient, slow = Patience(60, 0.5), msgspec.structs.replace(manifest, rate=0.01, stuck_minutes=1)
    assert stuck_seconds(manifest, patient) == 1800 + 1 / manifest.rate
    assert stuck_seconds(slow, patient) == 120 + 100
    assert stuck_seconds(slow, Patience(3600, 0.5)) == 7200 + 100
    assert stuck_seconds(slow, patient, minutes=0.5) == 30 + 100
    assert stuck_seconds(slow, patient, minutes=0) == 0
    assert stuck_seconds(msgspec.structs.replace(manifest, stuck_minutes=0), patient) == 0
