"""Processes that don't outlive the one that started them, even when that one is killed (Linux: prctl(2), PR_SET_PDEATHSIG).

``python -m hub.lifeline SIGNAL PARENT COMMAND…`` becomes COMMAND, and is sent SIGNAL when the process PARENT ends.
"""

import ctypes
import os
import signal
import sys

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


if __name__ == "__main__":
    die_with_parent(signal.Signals(int(sys.argv[1])), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606
