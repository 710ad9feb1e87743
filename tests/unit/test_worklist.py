"""The hub's worklist: jobs wait, are done, fail or are stopped, and each is noted once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime.errors import FleetError, ReleaseError, UsageError
from hub import progress
from hub.progress import Progress, StoppedError, as_job, stop_if_asked, tell
from hub.views.jobs import look_at_job
from hub.worklist import THE_HUB, Job, Worklist


class Books(list[dict[str, Any]]):
    def note_job(self, entry: dict[str, Any]) -> None:
        self.append(entry)

    def forget_jobs(self) -> None:
        pass


@pytest.fixture
def worklist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worklist:
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)
    return Worklist(tmp_path, Books())


def test_a_job_waits_begins_and_is_done(worklist: Worklist, tmp_path: Path) -> None:
    with worklist.job("upload", "site", "ana") as job:
        assert [it.state for it in worklist.list_open()] == ["queued"]
        worklist.begin(job, in_worker=True)
        assert [it.state for it in worklist.list_open()] == ["queued"]

        def load() -> dict[str, Any]:
            tell(5, 20, 3, 1)
            (open_job,) = worklist.list_open()
            assert open_job.state == "running"
            assert open_job.progress and (open_job.progress.done, open_job.progress.documents) == (5, 3)
            return {"release": "2026-11-22T01:02:03Z", "documents": 3, "rejects": 1}

        worklist.settle(job, as_job(load, tmp_path)())
    assert (job.state, job.documents, job.rejects) == ("done", 3, 1)
    assert job.started and job.ended
    assert worklist.list_open() == []
    assert worklist.list_ended() == [job]
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_told_and_passed_on(worklist: Worklist) -> None:
    with pytest.raises(ReleaseError), worklist.job("dump", "site", THE_HUB) as job:
        worklist.begin(job, in_worker=False)
        raise ReleaseError("no such file")
    assert (job.state, job.reason) == ("failed", "no such file")


def test_a_job_that_waits_is_stopped_before_it_begins(worklist: Worklist) -> None:
    with pytest.raises(StoppedError, match="before it began"), worklist.job("upload", "site", THE_HUB) as job:
        worklist.stop(job.job, "ana")
        worklist.begin(job, in_worker=True)
    assert (job.state, job.stopping) == ("cancelled", "ana")


def test_an_upload_in_a_worker_is_stopped_where_it_next_tells_how_far_it_is(worklist: Worklist, tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="stopped by ana"), worklist.job("upload", "site", THE_HUB) as job:

        def load() -> None:
            tell(1, 20, 0, 0)
            worklist.stop(job.job, "ana")
            tell(2, 20, 0, 0)

        as_job(load, tmp_path)()
    assert job.state == "cancelled"
    stop_if_asked()  # outside of a job nothing is asked


@pytest.mark.parametrize("action", ["dump", "compare", "diff"])
def test_what_can_not_be_stopped_says_why(worklist: Worklist, action: str) -> None:
    with worklist.job(action, "site", THE_HUB) as job, pytest.raises(FleetError, match="can't be stopped: "):
        worklist.stop(job.job, "ana")
    with pytest.raises(FleetError, match="has ended: done"):
        worklist.stop(job.job, "ana")
    with pytest.raises(UsageError, match="no job is called"):
        worklist.stop("../x", "ana")


def test_what_the_hub_did_in_vain_is_not_noted(worklist: Worklist) -> None:
    books: Any = worklist._books
    for by in (THE_HUB, "ana"):
        with worklist.job("dump", "site", by) as job:
            worklist.settle(job, {"outcome": "nothing to do"})
        worklist.keep(job)
    assert [(entry["by"], entry["state"]) for entry in books] == [("ana", "nothing to do")]
    assert "progress" not in books[0]


def test_share_rate_and_time_left_follow_from_the_bytes() -> None:
    told = Progress(pid=1, started="2026-11-22T01:00:00Z", at="2026-11-22T01:00:10Z", done=25, total=100, documents=500)
    job = Job(
        job="1", source="site", action="upload", by="ana", asked=told.started, started=told.started, progress=told
    )
    look = look_at_job(job, datetime(2026, 11, 22, 1, 0, 10, tzinfo=UTC))
    assert (look.seconds, look.share, look.per_second, look.left_seconds) == (10, 0.25, 50, 30)
