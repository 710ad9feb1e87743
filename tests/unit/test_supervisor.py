"""The supervisor of a crawler's container, on processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys
from crawlers.images import supervisor
from pathlib import Path
from subprocess import Popen
cron = Popen(["sleep", "300"])
Path(sys.argv[1], "cron").write_text(str(cron.pid))
jobs = Path(sys.argv[1])
supervisor._LOOK_SECONDS = 0.05
# Of a continuous source the test says by a file that it is due.
is_next_due = (jobs / "due").exists if sys.argv[3:] else None
sys.exit(supervisor.supervise(cron.pid, jobs, [sys.argv[2]], is_next_due))
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
    yield from supervised(jobs, CRAWL)


@pytest.fixture
def continuous(jobs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Of a continuous source, whose crawl ends at once."""
    yield from supervised(jobs, "#!/bin/sh\necho $$ >{jobs}/crawled\n", "continuous")


def supervised(jobs: Path, code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    crawl = jobs / "crawl.sh"
    crawl.write_text(code.format(jobs=jobs))
    crawl.chmod(0o755)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(jobs), str(crawl), *arguments]) as process:
        yield process
        process.kill()
    for name in ("cron", *(path.name for path in jobs.iterdir() if path.name.isdecimal())):
        number = int((jobs / name).read_text() or 0) if name == "cron" else int(name)
        if Path(f"/proc/{number}").is_dir():
            os.kill(number, signal.SIGKILL)


def wait_for_a_crawl(jobs: Path) -> None:
    wait_until("a crawl was started", lambda: any(path.name.isdecimal() for path in jobs.iterdir()))


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
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


def test_a_continuous_source_s_container_sleeps_after_its_crawl_and_ends_when_the_next_is_due(
    continuous: subprocess.Popen[bytes], jobs: Path
) -> None:
    wait_until("the crawl has ended", (jobs / "crawled").exists)
    with pytest.raises(subprocess.TimeoutExpired):
        continuous.wait(0.5)
    (jobs / "due").touch()
    assert continuous.wait(60) == 0


def test_a_continuous_source_s_container_can_be_stopped_while_it_sleeps(
    continuous: subprocess.Popen[bytes], jobs: Path
) -> None:
    wait_until("the crawl has ended", (jobs / "crawled").exists)
    continuous.terminate()
    assert continuous.wait(60) == 0
    assert (jobs / "stopping").exists()
