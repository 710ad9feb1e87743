"""The hub's log in a file: lines of several processes, found again by level, text and job, and followed across files."""

import logging
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import log
from hub.log import HubLogHandler, read_log
from hub.progress import current_job


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    found = logging.getLogger("hub.test")
    found.setLevel(logging.INFO)
    found.propagate = False
    handler = HubLogHandler(tmp_path / "hub.ndjson")
    found.addHandler(handler)
    yield found
    found.removeHandler(handler)
    handler.close()


def test_lines_are_found_by_level_text_and_job(logger: logging.Logger, tmp_path: Path) -> None:
    logger.info("site: \u202e<script>")
    token = current_job.set("job-1")
    logger.warning("a job says\nsomething")
    current_job.reset(token)
    path = tmp_path / "hub.ndjson"
    assert [it.message for it in read_log(path).lines] == ["site: \u202e<script>", "a job says\nsomething"]
    assert [it.level for it in read_log(path, level="WARNING").lines] == ["WARNING"]
    assert [it.job for it in read_log(path, job="job-1").lines] == ["job-1"]
    assert len(read_log(path, text="SCRIPT").lines) == 1
    assert len(read_log(path, last=1).lines) == 1


def test_a_trace_is_told_apart_from_what_happened(logger: logging.Logger, tmp_path: Path) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("it failed")
    logger.error("err no\nTraceback (most recent call last):\n  File …\nValueError: no")
    first, second = read_log(tmp_path / "hub.ndjson").lines
    assert (first.message, second.message) == ("it failed", "err no")
    assert first.trace.endswith("ValueError: no\n")
    assert second.trace.startswith("Traceback")


def test_a_log_is_followed_from_where_one_was_also_into_the_next_file(
    logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hub.ndjson"
    logger.info("one")
    part = read_log(path)
    assert read_log(path, cursor=part.cursor).lines == []
    logger.info("two")
    monkeypatch.setattr(log, "_MAX_BYTES", 1)
    logger.info("three")
    monkeypatch.setattr(log, "_MAX_BYTES", 8 << 20)
    logger.info("four")
    part = read_log(path, cursor=part.cursor)
    assert [it.message for it in part.lines] == ["two", "three", "four"]
    logger.info("five")
    assert [it.message for it in read_log(path, cursor=part.cursor).lines] == ["five"]


def test_a_cursor_of_a_file_that_is_gone_gives_what_is_there(logger: logging.Logger, tmp_path: Path) -> None:
    logger.info("one")
    assert [it.message for it in read_log(tmp_path / "hub.ndjson", cursor="1-99").lines] == ["one"]
    assert read_log(tmp_path / "nothing.ndjson", cursor="").lines == []


def _log_many(logger: logging.Logger) -> None:
    for number in range(200):
        logger.info("%d %s", number, "x" * 3000)


def test_lines_of_many_processes_do_not_mix(logger: logging.Logger, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_log_many, args=(logger,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = read_log(tmp_path / "hub.ndjson", last=1000).lines
    assert len(lines) == 600
    assert {len(it.message) for it in lines} <= {3002, 3003, 3004}
