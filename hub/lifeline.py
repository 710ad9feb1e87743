"""Processes that don't outlive the one that started them, even when that one is killed (Linux: prctl(2), PR_SET_PDEATHSIG).

``python -m hub.lifeline SIGNAL PARENT COMMAND…`` becomes COMMAND, and is sent SIGNAL when the process PARENT ends.
``python -m hub.lifeline guard SECONDS PARENT COMMAND…`` stays beside COMMAND: when it gets SIGTERM, or PARENT ends, COMMAND is told
to end, and killed where it hasn't after so many seconds.
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals, parent: int) -> None:
    """Have this process sent the signal ``number`` when its parent, the process ``parent``, ends.

    The setting outlives execve(2). The signal is also sent when only the *thread* that started this process ends,
    so start it from the main thread.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), number)


def lifeline(number: signal.Signals, command: list[str]) -> list[str]:
    """``command``, wrapped so that it gets the signal ``number`` when this process ends."""
    return [sys.executable, "-m", "hub.lifeline", str(int(number)), str(os.getpid()), *command]


def guarded(seconds: float, command: list[str]) -> list[str]:
    """``command``, wrapped so that it ends within so many ``seconds`` after SIGTERM, or the end of this process: for one that may hang."""
    return [sys.executable, "-m", "hub.lifeline", "guard", str(seconds), str(os.getpid()), *command]


def _guard(seconds: float, parent: int, command: list[str]) -> int:
    """Run ``command`` to its end; returns its exit code, or 128 + the signal that ended it, as shells do."""
    watched = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)  # fetched by sigwait, so that none can come between
    die_with_parent(signal.SIGTERM, parent)
    child = subprocess.Popen(
        lifeline(signal.SIGKILL, command), preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
    )
    while child.poll() is None:
        if signal.sigwait(watched) != signal.SIGTERM:
            continue
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
            break
        print(f"{command[0]} did not end within {seconds:g} s and is killed", file=sys.stderr)
        child.kill()
        child.wait()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        sys.exit(_guard(float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
    die_with_parent(signal.Signals(int(sys.argv[1])), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606
