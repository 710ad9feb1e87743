"""Runs code in processes that are killed, or whose disk fails, at any chosen call into the kernel.

``sys.setprofile`` sees every call from Python into C before it is made: those of ``os``, files, ``fcntl`` and SQLite are
counted, and at the chosen one the process is killed or the call fails. Between two such calls nothing changes on the disk, so to
be killed before each is to be killed after each. A process of its own forks one child a run: a run takes milliseconds.
"""

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import Any

KILL = "kill"
FAULTS = (KILL, "ENOSPC", "EIO")
_MODULES = {"posix", "_io", "io", "fcntl", "sqlite3", "_sqlite3"}
# These ask nothing of a disk.
_HARMLESS = {
    "fspath",
    "getpid",
    "geteuid",
    "getuid",
    "fsencode",
    "fsdecode",
    "fileno",
    "isatty",
    "kill",
    "uname",
    "putenv",
}
_TEXT = {"TextIOWrapper", "StringIO", "BytesIO"}


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``value``: what the function returned; ``raised``: the text of what it raised, and ``kinds`` its class
    and those that it inherits from; ``killed``: by us.

    ``calls``: how many were made; ``reached``: whether the chosen one was.
    """

    value: Any = None
    raised: str = ""
    kinds: tuple[str, ...] = ()
    killed: bool = False
    calls: tuple[str, ...] = ()
    reached: bool = False

    @property
    def well(self) -> bool:
        return not self.killed and not self.raised


class Crasher:
    """Runs functions, named as ``module:function``, that take and return what JSON can carry."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, function: str, *arguments: Any, at: int = 0, fault: str = KILL) -> Outcome:
        """Run ``function``; if ``at`` is not 0, ``fault`` strikes at that call, counted from 1."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([function, arguments, at, fault]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks the runs is gone"
        fields = json.loads(answer)
        return Outcome(**{**fields, "calls": tuple(fields.get("calls", ()))})

    def each_call(self, function: str, arguments: Callable[[], tuple], fault: str) -> Iterator[Outcome]:
        """Run ``function`` with the fault at its first call, then at its second, and so on until it passes undisturbed."""
        at = 0
        while True:
            at += 1
            outcome = self.run(function, *arguments(), at=at, fault=fault)
            yield outcome
            if not outcome.reached:
                assert outcome.well, outcome
                return


@contextmanager
def start_crasher() -> Iterator[Crasher]:
    """The process that forks the runs."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.crash"],
        env=environment | {"FLEET_CODE_VERSION": "tests"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # thousands of logs of failures that were made
        text=True,
    ) as process:
        try:
            yield Crasher(process)
        finally:
            process.communicate()


class _Injector:
    def __init__(self, at: int, fault: str) -> None:
        self.at = at
        self.fault = fault
        self.calls: list[str] = []

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called.__name__ in _HARMLESS:
            return
        owner = type(getattr(called, "__self__", None))
        module = called.__module__ or owner.__module__
        if module not in _MODULES or owner.__name__ in _TEXT:
            return
        self.calls.append(f"{module}.{called.__name__}")
        if len(self.calls) != self.at:
            return
        if self.fault == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, self.fault)
        if module in ("sqlite3", "_sqlite3"):
            raise sqlite3.OperationalError("database or disk is full" if code == errno.ENOSPC else "disk I/O error")
        raise OSError(code, os.strerror(code))


def _run(function: Callable[..., Any], arguments: list[Any], at: int, fault: str) -> dict[str, Any]:
    injector = _Injector(at, fault)
    sys.setprofile(injector)
    try:
        fields = {"value": function(*arguments)}
    except BaseException as error:
        sys.setprofile(None)
        fields = {"raised": f"{error}" or "nothing said", "kinds": [kind.__name__ for kind in type(error).__mro__]}
    finally:
        sys.setprofile(None)
    return {**fields, "calls": injector.calls, "reached": 0 < at <= len(injector.calls)}


def _serve() -> None:
    for line in sys.stdin:
        name, arguments, at, fault = json.loads(line)
        module, _, attribute = name.partition(":")
        function = getattr(import_module(module), attribute)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            with os.fdopen(writer, "w") as file:
                file.write(json.dumps(_run(function, arguments, at, fault)))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            answer = file.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            answer = json.dumps({"killed": True, "reached": True})
        print(answer, flush=True)


if __name__ == "__main__":
    _serve()
