"""The publish, killed or failed at each of its calls into the kernel in turn; after each the protocol's statements hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crawlers.runtime.held import find_held
from crawlers.runtime.release import DATA, HELD, checksum
from tests.command import Fleet
from tests.crash import FAULTS, Crasher, Outcome, start_crasher
from tests.protocol import Volume, memory_folder


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    with start_crasher() as crasher:
        yield crasher


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with memory_folder(tmp_path) as folder:
        yield folder


def check_after(volume: Volume, outcome: Outcome, before: str | None, release: str) -> None:
    """What must be true after the publish of ``release`` was disturbed."""
    assert volume.published() in (before, release)
    if volume.published() == release:
        assert volume.whole()
    if outcome.raised and not cleaning_failed(outcome):
        assert volume.temporaries() == []
    taken = volume.take_up()
    torn = volume.published() is not None and not volume.whole()
    assert bool(taken.raised) == torn, taken
    if torn:
        assert "crawl the source again" in taken.raised


def cleaning_failed(outcome: Outcome) -> bool:
    return outcome.calls[-1] in ("posix.unlink", "posix.lstat", "posix.scandir", "io.open", "fcntl.flock")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_publish_disturbed_at_any_call_publishes_all_or_nothing_and_the_next_one_mends_it(
    crasher: Crasher, folder: Path, fault: str
) -> None:
    volume = Volume(crasher, folder / "shared", folder / "archive")
    before = volume.publish()
    volume.take_up()
    struck = published = torn = 0
    for outcome in crasher.each_call(volume.publisher, volume.next_crawl, fault):
        struck += outcome.reached
        release = volume.release()
        published += volume.published() == release and not outcome.well
        torn += not volume.whole()
        check_after(volume, outcome, before, release)
        before = volume.publish()
        assert volume.take_up().value == before
    assert struck > 50
    assert torn >= 3  # between the renames of data.ndjson and release.txt
    assert published >= 3  # after that of release.txt


@pytest.mark.parametrize("fault", FAULTS)
def test_the_very_first_publish_disturbed_at_any_call_publishes_all_or_nothing(
    crasher: Crasher, folder: Path, fault: str
) -> None:
    number = 0
    while True:
        number += 1
        volume = Volume(crasher, folder / f"{number}" / "shared", folder / f"{number}" / "archive")
        outcome = crasher.run(volume.publisher, *volume.next_crawl(), at=number, fault=fault)
        check_after(volume, outcome, None, volume.release())
        release = volume.publish()
        assert volume.take_up().value == release
        if not outcome.reached:
            break
    assert number > 50


@pytest.mark.parametrize("fault", FAULTS)
def test_a_crawl_disturbed_at_any_call_exits_with_an_error_or_has_published(
    crasher: Crasher, folder: Path, fault: str
) -> None:
    (folder / "sources").mkdir()
    fleet = Fleet(folder / "sources", folder / "shared")
    code = "import time\n\ndef parse(api):\n    yield {'_id': '1'}\n    yield {'_id': '1'}\n    yield {'_id': '2', 'ns': time.time_ns()}\n"
    fleet.write_source("little", "api", code, reject_budget=1, duplicate_budget=1)
    assert fleet.run("crawl", "little").returncode == 0
    release_txt = fleet.folder("little") / "release.txt"
    data = fleet.folder("little") / "data.ndjson"
    at = 0
    while True:
        at += 1
        release_txt.write_text("2026-11-22T00:00:00Z\n")  # long ago: no crawl has to wait for the next second
        outcome = crasher.run("tests.publishers:crawl", str(fleet.shared), str(fleet.sources), at=at, fault=fault)
        release = release_txt.read_text().strip()
        if release != "2026-11-22T00:00:00Z":
            description = fleet.description("little")
            assert description["release"] == release
            assert description.items() >= checksum(data).items()
        elif not outcome.killed:
            assert outcome.raised or outcome.value, outcome
        if not outcome.reached:
            assert outcome.value == 0
            assert release != "2026-11-22T00:00:00Z"
            assert fleet.files("little") == ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]
            break
    assert at > 60


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hold_disturbed_at_any_call_leaves_the_published_release_as_it_was(
    crasher: Crasher, folder: Path, fault: str
) -> None:
    volume = Volume(crasher, folder / "shared", folder / "archive")
    before = volume.publish()
    held = 0
    for outcome in crasher.each_call("tests.publishers:hold", volume.next_crawl, fault):
        assert volume.published() == before
        assert volume.whole()
        found = find_held(volume.folder)
        held += found is not None
        if found is not None:  # whole, or not at all
            assert checksum(volume.folder / HELD / DATA)["sha256"] == found.sha256
        assert outcome.raised or outcome.killed or found is not None
    assert held >= 1


@pytest.mark.parametrize("fault", FAULTS)
def test_an_approval_disturbed_at_any_call_can_be_done_again(crasher: Crasher, folder: Path, fault: str) -> None:
    volume = Volume(crasher, folder / "shared", folder / "archive")
    volume.publish()
    volume.take_up()

    def hold() -> tuple[str]:
        assert crasher.run("tests.publishers:hold", *volume.next_crawl()).well
        return (str(volume.shared),)

    again = 0
    for outcome in crasher.each_call("tests.publishers:approve", hold, fault):
        release = volume.release()
        if find_held(volume.folder) is not None:
            again += outcome.reached
            assert crasher.run("tests.publishers:approve", str(volume.shared)).well
        assert volume.published() == release
        assert volume.whole()
        assert find_held(volume.folder) is None
        assert volume.take_up().value == release
    assert again > 20


def test_the_calls_are_really_struck(crasher: Crasher, folder: Path) -> None:
    """The crash tests prove nothing if their faults don't arrive."""
    volume = Volume(crasher, folder / "shared", folder / "archive")
    volume.publish()
    calls = crasher.run(volume.publisher, *volume.next_crawl()).calls
    for name in ("_io.write", "posix.fsync", "posix.replace", "posix.fchmod"):
        at = calls.index(name) + 1
        failed = crasher.run(volume.publisher, *volume.next_crawl(), at=at, fault="EIO")
        assert failed.calls[at - 1] == name
        assert failed.kinds[0] == "FleetError"
        assert failed.raised.startswith("little: writing release")
        assert crasher.run(volume.publisher, *volume.next_crawl(), at=at).killed
        volume.publish()
