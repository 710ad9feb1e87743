"""What is being done now, as files of the shared volume tell it."""

from pathlib import Path

from crawlers.runtime.heartbeat import CHECKING, Heartbeat, write_heartbeat
from crawlers.runtime.lock import source_lock
from hub.views.jobs import look_at_jobs


def test_a_check_under_way_is_among_what_is_being_done(tmp_path: Path) -> None:
    folder = tmp_path / "little_state" / CHECKING
    folder.mkdir(parents=True)
    now = "2026-11-22T01:02:03Z"
    write_heartbeat(folder, Heartbeat(run="r", started=now, at=now, records=25, expected=100))
    assert not look_at_jobs(tmp_path, ["little"], []).crawls
    with source_lock(folder):
        [check] = look_at_jobs(tmp_path, ["little", "other"], []).crawls
    assert (check.source, check.command, check.share) == ("little", "check", 0.25)
