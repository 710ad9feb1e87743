"""The hub in the foreground: its database, if it is the embedded one, and the server."""

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack

from filelock import FileLock, Timeout

from crawlers.runtime.errors import LockedError, UsageError
from hub.access.exposure import check_exposure, tls_context
from hub.embedded import EmbeddedDatabase
from hub.log import keep_log
from hub.replica_set import initiate
from hub.settings import HubSettings

logger = logging.getLogger(__name__)


def run(settings: HubSettings) -> None:
    """Run the hub until SIGINT or SIGTERM, then end every process it started.

    :raises UsageError: a setting is wrong, or a port is taken.
    :raises LockedError: another hub uses the same data folder.
    """
    check_exposure(settings)
    tls_context(settings)
    _check_port(settings)
    settings.make_data_dir()
    keep_log(settings)
    # Python's default would end us before what we started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        lock = FileLock(settings.runtime.data_dir / "hub.lock")
        try:
            stack.enter_context(lock.acquire(timeout=0))
        except Timeout as error:
            raise LockedError(
                f"another hub runs on {settings.runtime.data_dir}: stop it, or set FLEET_DATA_DIR to another folder"
            ) from error
        if settings.mongo_uri is None:
            stack.enter_context(EmbeddedDatabase(settings))
        else:
            initiate(settings.mongo_uri)
        _serve(settings)


def _serve(settings: HubSettings) -> None:
    os.environ["HUB_CONFIG"] = "hub.config"
    # The SDK imports a library that looks for git at once, and does without it when told so.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("IPYTHONDIR", str(settings.runtime.data_dir / "hub" / "ipython"))
    _quieten_sdk()
    path = list(sys.path)
    # Imported only now: importing the SDK reads the configuration and connects to the database.
    from hub.server import FleetHubServer

    sys.path[:] = path  # the SDK puts hub/ and the current folder first, where they could hide libraries
    asyncio.set_event_loop(asyncio.new_event_loop())
    server = FleetHubServer(settings)
    server.configure()
    loop = server.managers["job_manager"].loop
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, loop.stop)
    try:
        server.start()
    finally:
        server.stop()
    logger.info("the hub has stopped")


def _quieten_sdk() -> None:
    """The SDK logs all that it does, at DEBUG and INFO, much of it to the root logger: unless asked for, only its warnings."""
    if logging.getLogger().level <= logging.DEBUG:
        return
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.INFO)
        handler.addFilter(
            lambda record: record.levelno >= logging.WARNING or record.name.split(".")[0] not in ("root", "biothings")
        )


def _check_port(settings: HubSettings) -> None:
    """Before anything is started: the hub's own port must be free."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family[0], family[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(family[4])
    except OSError as error:
        raise UsageError(
            f"the hub can't listen on {settings.host}:{settings.port}: {error}. "
            "Set FLEET_HUB_PORT to a free port, or FLEET_HUB_HOST to an address of this machine."
        ) from error
