"""A release as people look at it, with its rejects and its run: made by a real crawl, taken up, held."""

from pathlib import Path

import pytest

from crawlers.runtime.errors import UsageError
from hub.dataload.archive import take_up
from hub.dataload.changes import note_changes
from hub.settings import HubSettings
from hub.views.rejects import group_rejects, list_rejects
from hub.views.releases import find_download, find_folder, look_at_release
from hub.views.runs import find_run, list_runs
from tests.command import Fleet


def _crawl(fleet: Fleet, records: int, named: int) -> int:
    """Crawl a source of so many records; those beyond the first ``named`` have no name, which it demands."""
    code = f"""
        def parse(api):
            for number in range({records}):
                name = "Name" if number < {named} else ""
                yield {{"_id": f"{{number:03}}", "name": name, "url": f"http://site.invalid/{{number}}"}}
    """
    fleet.write_source("little", "api", code, require=["name"], reject_budget=0.5, coverage_budget=1)
    return fleet.run("crawl", "little").returncode


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> HubSettings:
    """The source ``little``: two releases archived, a third held."""
    root = tmp_path_factory.mktemp("fleet")
    fleet = Fleet(root / "sources", root / "shared")
    names = {"FLEET_DATA_DIR": "data", "FLEET_SHARED_DIR": "shared", "FLEET_SOURCES_DIR": "sources"}
    settings = HubSettings.from_environment({key: str(root / folder) for key, folder in names.items()})
    archive = settings.archive_dir / "little"
    for records, named in ((20, 20), (24, 18)):
        assert _crawl(fleet, records, named) == 0
        assert take_up(fleet.folder("little"), archive)
    note_changes(archive)
    assert _crawl(fleet, 6, 4) == 4
    return settings


def test_an_archived_release_tells_what_it_counts_and_where_it_is(settings: HubSettings) -> None:
    first, second = (run.release for run in reversed(list_runs(settings, "little")[1:]))
    look = look_at_release(settings, "little", second, live=second)
    assert look.places == ["published", "archived", "live"]
    assert look.description and (look.description.records, look.description.rejects) == (18, 6)
    assert look.changes and (look.changes.removed, look.changes.unchanged) == (2, 18)
    assert (look.before, look.after) == (first, None)
    assert {file.name for file in look.files} == {"data.ndjson", "rejects.ndjson", "release.json"}
    assert look_at_release(settings, "little", "live", live=second) == look
    assert look_at_release(settings, "little", "published", live=second) == look
    assert look_at_release(settings, "little", "archived", live=second) == look
    assert look_at_release(settings, "little", first, live=None).after == second


def test_a_held_release_tells_why(settings: HubSettings) -> None:
    look = look_at_release(settings, "little", "held", live=None)
    assert look.places == ["held"]
    assert look.description and look.description.outcome == "held"
    assert "4 records, 14 fewer than the 18" in look.description.reasons[0]
    assert find_folder(settings, "little", look.release, None)[1].name == "held"


def test_rejects_are_grouped_and_each_shows_the_place_of_its_fault(settings: HubSettings) -> None:
    found = group_rejects(settings, "little", "archived", "crawl", None)
    assert [(it.kind, it.count, it.field) for it in found.groups] == [("schema", 6, "name")]
    assert (found.looked_at, found.cut_off) == (6, False)
    shown = list_rejects(settings, "little", "archived", "crawl", None, reason=found.groups[0].reason, skip=4, limit=10)
    assert [it.record["_id"] for it in shown] == ["little_022", "little_023"]
    assert shown[0].field == "name"
    assert list_rejects(settings, "little", "archived", "crawl", None, kind="parse") == []
    assert group_rejects(settings, "little", "archived", "upload", None).groups == []
    assert group_rejects(settings, "little", "held", "crawl", None).groups[0].count == 2


def test_a_run_is_found_by_its_name(settings: HubSettings) -> None:
    runs = list_runs(settings, "little")
    assert [run.outcome for run in runs] == ["held", "published", "published"]
    assert find_run(settings, "little", runs[1].run) == runs[1]
    assert find_run(settings, "little", "last") == runs[0]
    with pytest.raises(UsageError, match="the history knows no run"):
        find_run(settings, "little", "../../etc/passwd")


@pytest.mark.parametrize("word", ["../little", "live", "2026-11-22T01:02:03Z", "", "..", "/etc"])
def test_what_is_no_release_is_not_found(settings: HubSettings, word: str) -> None:
    with pytest.raises(UsageError):
        find_folder(settings, "little", word, None)


@pytest.mark.parametrize("file", ["../release.json", "release.txt", "/etc/passwd", "..", "", "data.ndjson/", ".lock"])
def test_nothing_but_the_files_of_a_release_can_be_downloaded(settings: HubSettings, file: str) -> None:
    assert find_download(settings, "little", "archived", "data.ndjson", None)[1].name == "data.ndjson"
    with pytest.raises(UsageError, match="can't be downloaded"):
        find_download(settings, "little", "archived", file, None)


def test_a_link_that_stands_for_a_file_is_not_followed(settings: HubSettings) -> None:
    held = settings.runtime.shared_dir / "little_crawled" / "held" / "upload-rejects.ndjson"
    held.symlink_to(Path("/etc/passwd"))
    with pytest.raises(UsageError, match="has no upload-rejects"):
        find_download(settings, "little", "held", "upload-rejects.ndjson", None)
    held.unlink()
