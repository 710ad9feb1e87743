"""Taking up a release into the archive: what is refused, what is left behind, and what a crash at any point leaves."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import Description, checksum
from hub.dataload import archive as module
from hub.dataload.archive import find_archived, read_published, take_up

FIRST, SECOND = "2026-11-22T01:02:03Z", "2026-11-22T02:02:03Z"
CALLS = ("link", "open", "stat", "rename", "mkdir", "fsync", "chmod", "unlink", "rmdir", "lstat")


class Volume:
    """A shared volume with one source, and its archive."""

    def __init__(self, root: Path) -> None:
        self.published = root / "shared" / "site_crawled"
        self.archive = root / "archive" / "site"

    def publish(self, release: str = FIRST, data: bytes = b'{"_id":"site_1"}\n', describe: bool = True) -> None:
        self.published.mkdir(parents=True, exist_ok=True)
        self._put("data.ndjson", data)
        if describe:
            facts = checksum(self.published / "data.ndjson")
            self._put("release.json", msgspec.json.encode(Description(source="site", release=release, **facts)))
        self._put("release.txt", f"{release}\n".encode())

    def take_up(self) -> Any:
        return take_up(self.published, self.archive, settle_seconds=0)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.archive.iterdir()) if self.archive.exists() else []

    def _put(self, name: str, content: bytes) -> None:
        temporary = self.published / f".{name}.new"
        temporary.write_bytes(content)
        temporary.chmod(0o444)
        temporary.replace(self.published / name)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_nothing_published_is_nothing_to_do(volume: Volume) -> None:
    assert volume.take_up() is None
    assert volume.names() == []


def test_a_release_is_linked_not_copied(volume: Volume) -> None:
    volume.publish()
    archived = volume.take_up()
    assert archived.release.text == FIRST
    ours, theirs = archived.data.stat(), (volume.published / "data.ndjson").stat()
    assert (ours.st_ino, ours.st_nlink) == (theirs.st_ino, 2)
    assert volume.names() == [FIRST]
    assert sorted(path.name for path in archived.folder.iterdir()) == ["data.ndjson", "release.json", "release.txt"]


def test_the_same_release_again_is_nothing_to_do(volume: Volume) -> None:
    volume.publish()
    volume.take_up()
    assert volume.take_up() is None
    assert volume.names() == [FIRST]


def test_a_later_release_is_taken_up_beside_the_earlier(volume: Volume) -> None:
    volume.publish()
    volume.take_up()
    volume.publish(SECOND, b'{"_id":"site_2"}\n')
    assert volume.take_up().release.text == SECOND
    assert volume.names() == [FIRST, SECOND]
    assert (volume.archive / FIRST / "data.ndjson").read_bytes() == b'{"_id":"site_1"}\n'


def test_an_older_release_is_refused_and_both_are_named(volume: Volume) -> None:
    volume.publish(SECOND)
    volume.take_up()
    volume.publish(FIRST)
    for _ in range(2):  # a refusal never forces the next
        with pytest.raises(ReleaseError, match=f"{FIRST}.*{SECOND}"):
            volume.take_up()
    assert volume.names() == [SECOND]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22",
        "../../x",
        "2026-11-22T01:02:03",
        "2026-11-22T01:02:03Z/../../x",
        "2026-11-22T01:02:03Z\n2026",
        "2026-13-22T01:02:03Z",
        "2026-11-22T01:02:03Z\x00",
        "",
        "A" * 4000,
    ],
)
def test_a_string_that_is_no_release_is_refused_and_names_no_path(volume: Volume, text: str) -> None:
    volume.publish()
    (volume.published / "release.txt").unlink()
    (volume.published / "release.txt").write_text(text)
    before = sorted(volume.archive.parent.parent.rglob("*"))
    with pytest.raises(ReleaseError, match=r"release\.txt"):
        volume.take_up()
    assert sorted(volume.archive.parent.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["data.ndjson", "release.txt", "release.json", "rejects.ndjson"])
@pytest.mark.parametrize("kind", ["pipe", "symlink", "folder", "dangling symlink"])
def test_what_is_no_plain_file_is_refused_and_never_followed(volume: Volume, name: str, kind: str) -> None:
    volume.publish()
    secret = volume.published.parent / "secret"
    secret.write_text('{"_id":"secret"}\n')
    path = volume.published / name
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "symlink":
            path.symlink_to(secret)
        case "dangling symlink":
            path.symlink_to(secret.with_name("nowhere"))
        case "folder":
            path.mkdir()
    with pytest.raises(ReleaseError, match=name) as refused:
        volume.take_up()
    assert "secret" not in str(refused.value)
    assert volume.names() == []


def test_a_folder_that_is_a_symlink_is_refused(volume: Volume) -> None:
    volume.publish()
    moved = volume.published.rename(volume.published.with_name("elsewhere"))
    volume.published.symlink_to(moved)
    with pytest.raises(ReleaseError, match="no link"):
        volume.take_up()
    with pytest.raises(ReleaseError):
        read_published(volume.published)


def test_data_that_its_description_does_not_fit_is_refused(volume: Volume) -> None:
    volume.publish()
    (volume.published / "data.ndjson").unlink()
    (volume.published / "data.ndjson").write_bytes(b'{"_id":"site_9"}\n')
    with pytest.raises(ReleaseError, match="sha256 is"):
        volume.take_up()
    assert volume.names() == []


def test_data_that_was_replaced_under_an_archived_release_is_told(volume: Volume) -> None:
    volume.publish()
    volume.take_up()
    volume.publish(FIRST, b'{"_id":"other"}\n')
    with pytest.raises(ReleaseError, match="not what was archived"):
        volume.take_up()
    assert (volume.archive / FIRST / "data.ndjson").read_bytes() == b'{"_id":"site_1"}\n'


def test_data_written_in_place_is_told(volume: Volume) -> None:
    volume.publish(describe=False)
    volume.take_up()
    (volume.published / "release.txt").unlink()
    (volume.published / "release.txt").write_text(SECOND)
    with pytest.raises(ReleaseError, match="wrote into a published file"):
        volume.take_up()


def test_a_foreign_pair_without_description_is_taken_up_and_made_read_only(volume: Volume) -> None:
    volume.published.mkdir(parents=True)
    (volume.published / "data.ndjson").write_bytes(b'{"_id":"site_1"}\n')
    (volume.published / "release.txt").write_text("2026-11-22T02:02:03.250+01:00")
    archived = volume.take_up()
    assert archived.folder.name == "2026-11-22T02:02:03.250+01:00"
    assert {path.stat().st_mode & 0o222 for path in archived.folder.iterdir()} == {0}


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM])
def test_where_no_link_can_be_made_the_files_are_copied(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    volume.publish()
    archived = volume.take_up()
    assert archived.data.read_bytes() == b'{"_id":"site_1"}\n'
    assert archived.data.stat().st_nlink == 1
    assert volume.take_up() is None


def test_a_release_published_meanwhile_is_taken_up_instead(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    volume.publish()
    link, calls = os.link, []

    def link_and_publish(*args: Any, **kwargs: Any) -> None:
        link(*args, **kwargs)
        calls.append(args)
        if len(calls) == 1:
            volume.publish(SECOND, b'{"_id":"site_2"}\n')

    monkeypatch.setattr(os, "link", link_and_publish)
    assert volume.take_up().release.text == SECOND
    assert volume.names() == [SECOND]
    assert (volume.archive / SECOND / "data.ndjson").read_bytes() == b'{"_id":"site_2"}\n'


def test_a_folder_that_keeps_changing_is_given_up_with_a_reason(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.publish()
    link, hours = os.link, iter(range(2, 100))

    def link_and_publish(*args: Any, **kwargs: Any) -> None:
        link(*args, **kwargs)
        volume.publish(f"2026-11-23T{next(hours) % 24:02}:00:00Z")

    monkeypatch.setattr(os, "link", link_and_publish)
    with pytest.raises(ReleaseError, match="times in a row"):
        volume.take_up()
    assert volume.names() == []


def test_what_a_killed_run_left_is_removed(volume: Volume) -> None:
    volume.publish()
    leftover = volume.archive / ".staging-1"
    leftover.mkdir(parents=True)
    (leftover / "data.ndjson").write_text("half")
    volume.take_up()
    assert volume.names() == [FIRST]


def _hold(volume: Volume) -> None:
    """What must always hold of the archive, after whatever happened."""
    archived = find_archived(volume.archive)
    for name in volume.names():
        if not name.startswith("."):
            assert name == FIRST
            assert (volume.archive / name / "data.ndjson").read_bytes() == b'{"_id":"site_1"}\n'
            assert (volume.archive / name / "release.txt").read_text() == f"{FIRST}\n"
    assert archived is None or archived.release.text == FIRST


def _nth_call(number: int, act: Callable[[], None]) -> Callable[[], bool]:
    """Have ``act`` called before the system call of that number; whether that many were made."""
    count = 0

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                act()
            return call(*args, **kwargs)

        return counted

    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name)))
    return lambda: count >= number


def _in_child(number: int, volume: Volume, act: Callable[[], None]) -> int:
    """Take up in a process of its own, with ``act`` before the call of that number; 0 done, 1 refused, 2 not that many calls."""
    child = os.fork()
    if child == 0:
        reached = _nth_call(number, act)
        try:
            volume.take_up()
            os._exit(0 if reached() else 2)
        except ReleaseError:
            os._exit(1)
        except BaseException:
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_before_any_of_its_system_calls_the_archive_holds_and_the_next_run_finishes(volume: Volume) -> None:
    volume.publish()
    number = 0
    ended = None
    while ended != 2:
        number += 1
        ended = _in_child(number, volume, lambda: os._exit(9))
        assert ended in (2, 9)
        _hold(volume)
        assert volume.take_up() is None or ended == 9
        assert volume.names() == [FIRST]
        shutil.rmtree(volume.archive)
    assert number > 20


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_when_any_of_its_system_calls_fails_the_archive_holds_and_the_reason_is_told(
    volume: Volume, fault: int
) -> None:
    def fail() -> None:
        raise OSError(fault, os.strerror(fault))

    volume.publish()
    number = 0
    ended = None
    while ended != 2:
        number += 1
        ended = _in_child(number, volume, fail)
        assert ended in (0, 1, 2), f"call {number} ended with {ended}"
        _hold(volume)
        assert [name for name in volume.names() if not name.startswith(".")] == (
            [] if ended == 1 else [FIRST]
        ) or ended == 1
        volume.take_up()
        assert volume.names() == [FIRST]
        shutil.rmtree(volume.archive)
    assert number > 20


def test_the_module_needs_no_biothings() -> None:
    assert "biothings" not in vars(module)
