"""Processes that end with the one that started them, also where they would rather not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.lifeline import guarded

DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
PARENT = """
import subprocess, sys, time
from hub.lifeline import guarded
child = subprocess.Popen(guarded(0.2, [sys.executable, "-c", {deaf!r}]))
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("code", "expected"), [("import sys; sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_the_exit_code_is_that_of_the_command(code: str, expected: int) -> None:
    assert subprocess.run(guarded(5, [sys.executable, "-c", code]), timeout=30).returncode == expected


def test_a_command_that_heeds_sigterm_ends_by_it() -> None:
    code = "print('ready', flush=True); import signal; signal.pause()"
    with subprocess.Popen(guarded(30, [sys.executable, "-c", code]), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM


def test_a_command_that_does_not_heed_it_is_killed() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(guarded(0.2, [sys.executable, "-c", DEAF]), text=True, **pipes) as process:
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGKILL
    assert "did not end within 0.2 s and is killed" in said


def test_it_ends_with_the_process_that_started_it_even_if_that_is_killed() -> None:
    command = [sys.executable, "-c", PARENT.format(deaf=DEAF)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        parent.stdout.readline()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        os.kill(parent.pid, signal.SIGKILL)
        assert parent.stdout.read() == ""  # at the end of the last process that holds it
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}/fd").exists() and _is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(process: str) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
