"""Taking up a release, killed or failed at each of its calls into the kernel in turn, and raced by publishers."""

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import DATA
from hub.dataload.archive import take_up
from tests import publishers
from tests.crash import FAULTS, KILL, Crasher, start_crasher
from tests.protocol import MEMORY, Volume, memory_folder


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    with start_crasher() as crasher:
        yield crasher


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with memory_folder(tmp_path) as folder:
        yield folder


@pytest.mark.parametrize(
    ("publisher", "disk", "fault"),
    [
        *(("publish", "the same disk", fault) for fault in FAULTS),
        ("publish", "another disk", KILL),
        ("publish", "another disk", "ENOSPC"),
        ("publish_foreign", "the same disk", KILL),
    ],
)
def test_a_dump_disturbed_at_any_call_archives_all_or_nothing_and_the_next_one_finishes(
    crasher: Crasher, folder: Path, tmp_path: Path, publisher: str, disk: str, fault: str
) -> None:
    if disk == "another disk" and folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"there is no disk in memory, {MEMORY}, beside that of {tmp_path}")
    # Links work on the same disk only; elsewhere the files are copied.
    archive = (folder if disk == "the same disk" else tmp_path) / "archive"
    volume = Volume(crasher, folder / "shared", archive, publisher)
    volume.publish()
    volume.take_up()
    at = 0
    while True:
        at += 1
        release = volume.publish()
        outcome = crasher.run(volume.dumper, *volume.dump_arguments(), at=at, fault=fault)
        volume.check_archive()
        if outcome.raised:
            assert "ReleaseError" in outcome.kinds, outcome
            assert "tests" not in outcome.raised  # a reason for an operator
        archived = volume.archived()
        again = volume.take_up()
        assert not again.raised, again
        assert again.value == (None if archived == release else release)
        assert volume.whole()
        if not outcome.reached:
            assert outcome.value == release
            break
    assert at > 50


@pytest.mark.parametrize("publisher", ["publish", "publish_foreign"])
def test_publishers_that_race_with_the_dump_put_nothing_false_into_the_archive(
    crasher: Crasher, folder: Path, publisher: str
) -> None:
    race(Volume(crasher, folder / "shared", folder / "archive", publisher), publishes=200, seconds=10)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("publisher", ["publish", "publish_foreign"])
def test_publishers_that_are_killed_while_they_race_put_nothing_false_into_the_archive(
    crasher: Crasher, folder: Path, publisher: str
) -> None:
    volume = Volume(crasher, folder / "shared", folder / "archive", publisher)
    chance = random.Random(20261122)
    for _ in range(300):
        race(volume, publishes=50, seconds=chance.uniform(0.0, 0.8))
        if chance.random() < 0.3:
            release = volume.publish()
            assert volume.take_up().value == release


def race(volume: Volume, publishes: int, seconds: float) -> None:
    """Publish again and again in another process while releases are taken up here; at the end, or after ``seconds``, kill it."""
    first = volume.second + 1
    volume.second += publishes
    code = (
        f"from tests import publishers\n"
        f"for second in range({first}, {volume.second + 1}):\n"
        f"    publishers.{volume.publisher.partition(':')[2]}({str(volume.shared)!r}, second)\n"
    )
    refused: list[str] = []
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while volume.published() is None or volume.published() < publishers.release_at(first):
            assert process.poll() is None, "the publisher ended before its first release"
        end = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < end:
            try:
                take_up(volume.folder, volume.archive / "little", settle_seconds=0.02)
            except ReleaseError as error:
                refused.append(str(error))
        process.kill()
    volume.check_archive()
    assert all("times in a row" in reason or "crawl" in reason for reason in refused), refused
    last = volume.take_up()
    if process.returncode == 0:
        assert volume.published() == publishers.release_at(volume.second)
        assert not last.raised, last
    hashes = {
        hashlib.sha256((folder / DATA).read_bytes()).hexdigest() for folder in (volume.archive / "little").iterdir()
    }
    assert len(hashes) == len(list((volume.archive / "little").iterdir()))
