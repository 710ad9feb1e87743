"""The logs of runs: whole while they are short, head and tail where they are long, and a place in them stays the same."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.housekeeping_table import Housekeeping
from crawlers.runtime.logs import as_json, as_text, context, describe
from crawlers.runtime.run_log import LOGS, list_run_logs, read_run_log
from crawlers.runtime.run_logging import RunLogHandler

RUN = "20261122T010203.000000-7"
logger = logging.getLogger("crawlers.tests")


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)
    context.source = context.run = ""


def write(state: Path, lines: int, run: str = RUN, **keeping: float) -> None:
    with RunLogHandler() as log:
        log.begin(state, "little", run, Housekeeping(**keeping))  # type: ignore[arg-type]
        for number in range(lines):
            logger.info("line %d %s", number, "x" * 1000)


def test_lines_wait_until_the_run_begins_and_tell_where_they_belong(tmp_path: Path) -> None:
    with RunLogHandler() as log:
        logger.warning("before: https://user:secret@example.org/")
        log.begin(tmp_path, "little", RUN, Housekeeping())
        try:
            raise ValueError("odd")
        except ValueError:
            logger.exception("it failed")
    before, failed = read_run_log(tmp_path, RUN).lines
    assert (before.level, before.source, before.run, before.logger) == ("WARNING", "little", RUN, "crawlers.tests")
    assert before.message == "before: https://user:***@example.org/"
    assert failed.message == "it failed"
    assert failed.trace.startswith("Traceback") and failed.trace.endswith("ValueError: odd")
    assert len((tmp_path / LOGS / f"{RUN}.ndjson").read_bytes().splitlines()) == 2


def test_a_run_that_never_got_the_lock_leaves_no_log(tmp_path: Path) -> None:
    with pytest.raises(FleetError), RunLogHandler():
        logger.warning("it is locked")
        raise FleetError("locked")
    assert list_run_logs(tmp_path) == []


def test_what_ended_the_run_is_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="odd"), RunLogHandler() as log:
        log.begin(tmp_path, "little", RUN, Housekeeping())
        raise ValueError("odd")
    [line] = read_run_log(tmp_path, RUN, level="error").lines
    assert line.message == "odd"
    assert "ValueError" in line.trace


def test_of_a_long_log_head_and_tail_are_kept(tmp_path: Path) -> None:
    write(tmp_path, 3000, log_mb=1)
    [log] = list_run_logs(tmp_path)
    assert 700_000 < log.bytes <= 1 << 20
    lines, place, left_out = [], 0, 0
    while True:
        part = read_run_log(tmp_path, RUN, place, max_bytes=300_000)
        lines += [int(line.message.split()[1]) for line in part.lines]
        place, left_out = part.next_byte, left_out + part.left_out
        if not part.more:
            break
    assert lines[0] == 0 and lines[-1] == 2999
    assert lines == sorted(set(lines))
    head = next(number for number, line in enumerate(lines) if number != line)
    assert lines[head:] == list(range(lines[head], 3000))
    assert left_out > 1_000_000
    assert place > 3_000_000  # of the whole log


def test_a_log_is_followed_from_where_one_is(tmp_path: Path) -> None:
    path = tmp_path / LOGS / f"{RUN}.ndjson"
    write(tmp_path, 2)
    part = read_run_log(tmp_path, RUN)
    assert (len(part.lines), part.more, part.next_byte) == (2, False, path.stat().st_size)
    with path.open("ab") as file:
        file.write(b'{"at": "2026-11-22T01:02:03.000Z", "level": "INFO", "logger": "x", "mess')
        file.flush()
        assert read_run_log(tmp_path, RUN, part.next_byte).lines == []
        file.write(b'age": "whole"}\n')
    later = read_run_log(tmp_path, RUN, part.next_byte)
    assert [line.message for line in later.lines] == ["whole"]
    assert read_run_log(tmp_path, RUN, later.next_byte).lines == []


def test_the_logs_of_the_last_runs_stay(tmp_path: Path) -> None:
    runs = [f"2026112{day}T010203.000000-7" for day in range(5)]
    for run in runs:
        write(tmp_path, 1, run, logs=3)
    assert [log.run for log in list_run_logs(tmp_path)] == runs[:1:-1]


@pytest.mark.parametrize("run", ["../../etc/passwd", "20261122T010203.000000-8", ""])
def test_a_run_without_a_log_is_an_error_that_names_the_latest(tmp_path: Path, run: str) -> None:
    write(tmp_path, 1)
    with pytest.raises(UsageError, match=RUN):
        read_run_log(tmp_path, run)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOGS).mkdir()
    (tmp_path / "other").write_text('{"at": "x", "level": "INFO", "logger": "x"}\n')
    (tmp_path / LOGS / f"{RUN}.ndjson").symlink_to(tmp_path / "other")
    assert read_run_log(tmp_path, RUN).lines == []


def test_a_run_that_is_killed_keeps_its_log(tmp_path: Path) -> None:
    code = (
        "import logging, os, sys; from pathlib import Path; from crawlers.runtime.run_logging import RunLogHandler\n"
        "from crawlers.runtime.housekeeping_table import Housekeeping\n"
        "logging.getLogger().setLevel(logging.INFO)\n"
        f"log = RunLogHandler().__enter__(); log.begin(Path(sys.argv[1]), 'little', '{RUN}', Housekeeping())\n"
        "logging.info('the last word'); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == -signal.SIGKILL
    assert [line.message for line in read_run_log(tmp_path, RUN).lines] == ["the last word"]


def test_an_event_is_a_line_for_people_and_for_programs() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s: two\nlines", ("little",), None)
    event = describe(record)
    assert event["source"] == "little"
    assert as_text(event).endswith(" INFO x [little]: little: two ⏎ lines")
    assert json.loads(as_json(event))["message"] == "little: two\nlines"
    assert "\n" not in as_json(event)


def test_a_message_that_can_not_be_made_and_one_without_end_harm_nothing() -> None:
    wrong = logging.LogRecord("x", logging.INFO, "", 0, "%d", ("no number",), None)
    assert "no number" in describe(wrong)["message"]
    long = logging.LogRecord("x", logging.INFO, "", 0, "a" * 50_000, None, None)
    assert len(describe(long)["message"]) < 17_000
    assert "characters left out" in describe(long)["message"]


def test_a_disk_that_fails_ends_the_log_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / LOGS).write_text("a file where a folder should be")
    write(tmp_path, 3)
    assert "the log of this run can't be kept" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [LOGS]
