"""The embedded database: SecantusDB in a process of its own, for the demonstration and for tests.

It speaks MongoDB's protocol and is licensed under the GPL 2: it is run, never imported. It listens on loopback only, asks for a
password that is made at its first start, ends with the process that started it, and can't be shared by two.
"""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from crawlers.runtime.errors import FleetError, UsageError
from hub.lifeline import guarded
from hub.settings import HubSettings

logger = logging.getLogger(__name__)

_USER = "fleet"
_READY_SECONDS = 60.0
# It hangs now and then when it is told to end.
_END_SECONDS = 20.0
# For one whose hub was killed, and which was told to end then.
_ORPHAN_END_SECONDS = 25.0


class EmbeddedDatabase:
    """The database of a fleet, running for the time of a ``with`` block."""

    def __init__(self, settings: HubSettings) -> None:
        self._folder = settings.mongodb_dir
        self._port = settings.mongo_port
        self._password = self._folder / "password"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._wait_for_predecessor()
        self._check_port()
        try:
            if not self._password.exists():
                self._start(self._free_port(), auth=False)
                self._make_user()
                self.stop()
            self._start(self._port, auth=True)
        except BaseException:
            self.stop()
            raise
        logger.info("the embedded database listens on 127.0.0.1:%d, its data is in %s", self._port, self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, and wait until it has written what it has."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.wait()
        self._process = None
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self._folder / "pid"

    def _start(self, port: int, auth: bool) -> None:
        self._started_port = port
        command = [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--storage-path", str(self._folder / "data"), *(["--auth"] if auth else [])]
        with (self._folder / "database.log").open("ab") as log:
            # In a session of its own: Ctrl-C is for the hub, which ends the database when it is done with it.
            self._process = subprocess.Popen(
                guarded(_END_SECONDS, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(str(self._process.pid))
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._started_port), 1):
                return
            time.sleep(0.05)
        log = self._folder / "database.log"
        raise FleetError(
            f"the embedded database did not start on port {self._started_port}: {_last_lines(log)} (see {log}). Install it "
            "with `pip install 'crawler-fleet[embedded]'`, or set FLEET_MONGO_URI to use a database of yours."
        )

    def _make_user(self) -> None:
        """Make the user and its password, while the database asks for none: on a port nobody knows, before it holds data."""
        password = secrets.token_urlsafe(24)
        client: MongoClient
        try:
            with MongoClient(f"mongodb://127.0.0.1:{self._started_port}", serverSelectionTimeoutMS=10_000) as client:
                try:
                    client.admin.command("createUser", _USER, pwd=password, roles=["root"])
                except OperationFailure:  # it is there: an earlier start was cut off before the password was written
                    client.admin.command("updateUser", _USER, pwd=password)
        except PyMongoError as error:
            raise FleetError(f"the embedded database can't be given a password: {error}") from error
        temporary = self._password.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        temporary.replace(self._password)

    def _wait_for_predecessor(self) -> None:
        """A database whose hub was killed ends by itself, as a rule: see to it, as two can't share the data.

        That its hub is gone is certain: the data folder's lock is ours.
        """
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if str(self._folder / "data").encode() not in command:
            return  # the number was given to another process since
        deadline = time.monotonic() + _ORPHAN_END_SECONDS
        while Path(f"/proc/{pid}").exists():
            if time.monotonic() > deadline:
                logger.warning("the embedded database of a killed hub, process %d, does not end and is killed", pid)
                os.kill(pid, signal.SIGKILL)
                deadline += _ORPHAN_END_SECONDS
            time.sleep(0.05)

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self._port))
            except OSError as error:
                raise UsageError(
                    f"the embedded database can't listen on 127.0.0.1:{self._port}: {error}. "
                    "Set FLEET_MONGO_PORT to a free port."
                ) from error

    @staticmethod
    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]


def _last_lines(log: Path) -> str:
    try:
        return " | ".join(log.read_text(errors="replace").splitlines()[-3:])
    except OSError:
        return "no log"
