"""What the hub notes of archived releases, and how it removes them: killed or failed at each call into the kernel in turn."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.dataload.archive import list_archived
from tests import keepers
from tests.crash import FAULTS, KILL, Crasher, start_crasher
from tests.protocol import memory_folder
from tests.running_hub import FIRST, SECOND, THIRD


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    with start_crasher() as crasher:
        yield crasher


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """Three releases: the first two are in order, the last is not."""
    with memory_folder(tmp_path) as folder:
        archive = folder / "little"
        for release, identifiers in ((FIRST, "abc"), (SECOND, "acd"), (THIRD, "dab")):
            (archive / release).mkdir(parents=True)
            lines = [f'{{"_id":"{identifier}","of":"{release}"}}\n' for identifier in identifiers]
            (archive / release / "data.ndjson").write_text("".join(lines))
        yield archive


def _books(archive: Path) -> dict[str, bytes]:
    books = archive / "books"
    return {str(path.relative_to(books)): path.read_bytes() for path in books.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fault", [KILL, "ENOSPC"])
def test_comparing_disturbed_at_any_call_is_made_up_for_by_the_next_time(
    crasher: Crasher, archive: Path, fault: str
) -> None:
    shutil.rmtree(archive / FIRST)
    keepers.note(str(archive))
    expected = _books(archive)
    assert sorted(expected) == [f"changes/{SECOND}.json", f"changes/{THIRD}.json", f"seen/{THIRD}.ndjson"]
    runs = 0

    def fresh() -> tuple[str]:
        nonlocal runs
        runs += 1
        if runs > 1:
            keepers.note(str(archive))
            assert _books(archive) == expected
        shutil.rmtree(archive / "books")
        return (str(archive),)

    for outcome in crasher.each_call("tests.keepers:note", fresh, fault):
        assert not outcome.raised or "OSError" in outcome.kinds
    assert _books(archive) == expected
    assert runs > 50


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pin_disturbed_at_any_call_is_the_old_or_the_new(crasher: Crasher, archive: Path, fault: str) -> None:
    def first() -> tuple[str, str]:
        keepers.pin(str(archive), FIRST)
        return str(archive), SECOND

    found = set()
    for _ in crasher.each_call("tests.keepers:pin", first, fault):
        found.add(keepers.pinned(str(archive)))
    assert found == {FIRST, SECOND}
    found = set()
    for _ in crasher.each_call("tests.keepers:unpin", lambda: first()[:1], fault):
        found.add(keepers.pinned(str(archive)))
    assert found == {FIRST, None}


@pytest.mark.parametrize("fault", [KILL, "EIO"])
def test_a_release_is_removed_whole_or_not_whatever_disturbs_it(crasher: Crasher, archive: Path, fault: str) -> None:
    keepers.note(str(archive))
    kept = archive.with_name("kept")
    shutil.copytree(archive, kept)

    def fresh() -> tuple[str]:
        shutil.rmtree(archive)
        shutil.copytree(kept, archive)
        return (str(archive),)

    for _ in crasher.each_call("tests.keepers:sweep", fresh, fault):
        for archived in list_archived(archive):
            assert archived.data.read_bytes() == (kept / archived.folder.name / "data.ndjson").read_bytes()
        assert [it.release.text for it in list_archived(archive)][-2:] == [SECOND, THIRD]
        keepers.sweep(str(archive))
        assert sorted(path.name for path in archive.iterdir()) == [SECOND, THIRD, "books"]
        assert f"changes/{FIRST}.json" not in _books(archive)
