"""The supervisor of a crawler's container, on processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from subprocess import Popen
from crawlers.images.supervisor import supervise
cron = Popen(["sleep", "300"])
Path(sys.argv[1], "cron").write_text(str(cron.pid))
sys.exit(supervise(cron.pid, Path(sys.argv[1]), [sys.argv[2]]))
"""
# Records itself as run-spider.sh does; told to stop, it ends well, and says so.
CRAWL = """#!/bin/sh
trap 'kill $!; echo ended >{jobs}/ended; exit 143' TERM
sleep 300 &
: >{jobs}/$$
wait
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def supervisor(jobs: Path) -> Iterator[subprocess.Popen[bytes]]:
    crawl = jobs / "crawl.sh"
    crawl.write_text(CRAWL.format(jobs=jobs))
    crawl.chmod(0o755)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(jobs), str(crawl)]) as process:
        yield process
        process.kill()
    for name in ("cron", *(path.name for path in jobs.iterdir() if path.name.isdecimal())):
        number = int((jobs / name).read_text() or 0) if name == "cron" else int(name)
        if Path(f"/proc/{number}").is_dir():
            os.kill(number, signal.SIGKILL)


def wait_for_a_crawl(jobs: Path) -> None:
    deadline = time.monotonic() + 60
    while not any(path.name.isdecimal() for path in jobs.iterdir()):
        assert time.monotonic() < deadline, "no crawl was started"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_ends_the_crawl_and_waits_for_it(
    supervisor: subprocess.Popen[bytes], jobs: Path, number: signal.Signals
) -> None:
    wait_for_a_crawl(jobs)
    supervisor.send_signal(number)
    assert supervisor.wait(60) == 0
    assert (jobs / "ended").exists()
    assert (jobs / "stopping").exists()


def test_it_fails_when_cron_ends_and_ends_the_crawl_first(supervisor: subprocess.Popen[bytes], jobs: Path) -> None:
    wait_for_a_crawl(jobs)
    os.kill(int((jobs / "cron").read_text()), signal.SIGKILL)
    assert supervisor.wait(60) == 1
    assert (jobs / "ended").exists()


def test_what_was_recorded_by_a_crawl_that_ended_does_not_hold_it_up(
    supervisor: subprocess.Popen[bytes], jobs: Path
) -> None:
    wait_for_a_crawl(jobs)
    with subprocess.Popen(["true"]) as ended:
        pass
    (jobs / str(ended.pid)).touch()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0
