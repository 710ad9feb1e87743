"""``fleet up``: the whole thing on one machine, what ``make run`` starts."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from filelock import FileLock, Timeout

from crawlers.runtime.errors import FleetError, LockedError, UnreachableError
from crawlers.runtime.lock import is_locked
from crawlers.runtime.manifest import find_source
from crawlers.runtime.orders import ORDERS, drop_unreadable, take_order
from crawlers.runtime.release import release_folder, state_folder
from hub.access.users_file import UsersFile
from hub.client import HubClient
from hub.dataload.archive import read_published
from hub.lifeline import lifeline
from hub.settings import HubSettings

logger = logging.getLogger(__name__)

DEMO = "demo"
_READY_SECONDS = 90.0
_END_SECONDS = 45.0
# How often orders are looked for, as each source's container does.
_LOOK_SECONDS = 1.0
_CRAWL_AGAIN_AFTER = timedelta(days=1)


@click.command(epilog="Example: fleet up")
def up() -> None:
    """Start the database and the hub, crawl the demonstration site, and say where to look. Ctrl-C stops all of it.

    The data of the last time is gone on with. The demonstration site is crawled when nothing was published yet, or the day
    before; what is ordered of any source, by `fleet order` or in the browser, is carried out at once. Schedules are for containers.
    """
    settings = HubSettings.from_environment()
    settings.make_data_dir()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # also SIGINT: a shell has its background jobs ignore it
    lock = FileLock(settings.runtime.data_dir / "up.lock")
    try:
        with lock.acquire(timeout=0):
            _run(settings)
    except KeyboardInterrupt:
        click.echo("Stopped, with everything that was started.")
    except Timeout as error:
        raise LockedError(
            f"`fleet up` runs already on {settings.runtime.data_dir}: stop it, or set FLEET_DATA_DIR to another folder (and "
            "FLEET_HUB_PORT and FLEET_MONGO_PORT to free ports) for a second fleet beside it"
        ) from error


def _run(settings: HubSettings) -> None:
    started: list[subprocess.Popen[bytes]] = []
    try:
        click.echo(f"Starting the hub and its database; they log to {settings.log_dir / 'hub.log'}")
        hub = _start(settings, "hub", started)
        client = HubClient(settings)
        _wait_for_hub(hub, client, settings)
        if _is_crawl_due(settings):
            click.echo(f"Crawling the demonstration site; it logs to {settings.log_dir / 'crawl.log'}")
            crawl = _start(settings, "crawl", started, DEMO)
            _wait_for_crawl(crawl, hub, settings)
        live = _wait_until_live(hub, client, settings)
        click.echo(
            f"\n  {live['documents']} documents of the source {DEMO} are live (release {live['live']})\n"
            f"  Look at   {settings.url}/   or run `{_command()} status`\n"
            f"{_how_to_log_in(settings, client)}"
            f"  Data in   {settings.runtime.data_dir}\n"
            "  Stop with Ctrl-C; the next start goes on with this data\n"
        )
        while hub.poll() is None:
            _carry_out_orders(settings, started)
            time.sleep(_LOOK_SECONDS)
        _check_hub(hub, settings)
    finally:
        for process in reversed(started):
            _stop(process)


def _carry_out_orders(settings: HubSettings, started: list[subprocess.Popen[bytes]]) -> None:
    """Start what was ordered of a source that is not being crawled."""
    started[:] = [process for process in started if process.poll() is None]
    shared_dir = settings.runtime.shared_dir
    for name in {path.parts[-3].removesuffix("_state") for path in shared_dir.glob(f"*_state/{ORDERS}/c*.json")}:
        try:
            find_source(settings.runtime.sources_dir, name)
            state = state_folder(shared_dir, name)
            drop_unreadable(state)
            if not is_locked(release_folder(shared_dir, name)) and (order := take_order(state)):
                logger.info("%s: %s, ordered by %s", name, order.command, order.by)
                _start(settings, order.command, started, name, FLEET_TRIGGER="order", FLEET_BY=order.by)
        except FleetError as error:
            logger.warning("%s: an order can't be carried out: %s", name, error)


def _command() -> str:
    """How a person calls ``fleet``: by its path, where the checkout's folder of commands is not on theirs."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "fleet" and not shutil.which("fleet") else "fleet"


def _how_to_log_in(settings: HubSettings, client: HubClient) -> str:
    """A line that says how to make the first user; empty where there is one."""
    if settings.password or UsersFile(settings.access.users_file).read().users:
        return ""
    link = client.ask("POST", "/fleet/invitations", role="admin")["link"]
    return f"  Change things by the browser: make the first user, once, within half an hour, at\n            {link}\n"


def _start(
    settings: HubSettings, command: str, started: list[subprocess.Popen[bytes]], *arguments: str, **environment: str
) -> subprocess.Popen[bytes]:
    """Start ``fleet COMMAND``, logging to a file; it ends when we do, however that happens."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    with (settings.log_dir / f"{command}.log").open("ab") as log:
        # In a session of its own: Ctrl-C reaches only us, and we end what we started in order.
        process = subprocess.Popen(
            lifeline(signal.SIGTERM, [sys.executable, "-m", "fleet", command, *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "FLEET_DATA_DIR": str(settings.runtime.data_dir), **environment},
        )
    started.append(process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_crawl_due(settings: HubSettings) -> bool:
    find_source(settings.runtime.sources_dir, DEMO)
    published = read_published(release_folder(settings.runtime.shared_dir, DEMO))
    return published is None or published.at < datetime.now(UTC) - _CRAWL_AGAIN_AFTER


def _wait_for_hub(hub: subprocess.Popen[bytes], client: HubClient, settings: HubSettings) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        _check_hub(hub, settings)
        try:
            client.status()
            return
        except UnreachableError:
            time.sleep(0.1)
    raise FleetError(f"the hub did not answer within {_READY_SECONDS:.0f} s: see {settings.log_dir / 'hub.log'}")


def _wait_for_crawl(crawl: subprocess.Popen[bytes], hub: subprocess.Popen[bytes], settings: HubSettings) -> None:
    while crawl.poll() is None:
        _check_hub(hub, settings)
        time.sleep(0.1)
    if crawl.returncode:
        raise FleetError(f"the crawl of {DEMO} ended with {crawl.returncode}: {_last_line(settings, 'crawl')}")


def _wait_until_live(hub: subprocess.Popen[bytes], client: HubClient, settings: HubSettings) -> dict[str, Any]:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        _check_hub(hub, settings)
        status = next(source for source in client.status() if source["name"] == DEMO)
        if status["live"] and status["live"] == status["published"]:
            return status
        for step in (status["dump"], status["upload"]):
            if step and step["status"] == "failed" and status["state"] in ("dump failed", "upload failed"):
                raise FleetError(step["reason"])
        time.sleep(0.1)
    raise FleetError(f"{DEMO} did not go live within {_READY_SECONDS:.0f} s: see {settings.log_dir / 'hub.log'}")


def _check_hub(hub: subprocess.Popen[bytes], settings: HubSettings) -> None:
    if hub.poll() is None:
        return
    error = FleetError(f"the hub ended: {_last_line(settings, 'hub')}")
    error.exit_code = hub.returncode if hub.returncode > 0 else error.exit_code
    raise error


def _last_line(settings: HubSettings, command: str) -> str:
    lines = (settings.log_dir / f"{command}.log").read_text(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return last.removeprefix("fleet: ")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
