"""A harvest by many machines: its windows as tasks of Celery over Redis, its ledger on the volume that they share.

Redis carries the tasks to whoever is free, and nothing else: what became of a window is in the ledger, and what its worker saw is in
a file beside it. So workers, the broker and whoever hands out the windows may be killed at any moment:

- A worker holds a lock on the window that it harvests. The kernel drops it with the worker; the window is handed out once more.
- A task that comes a second time finds the window locked, or with its files, or the plan of another run, and does nothing.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from celery import Celery

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.http import Patience
from crawlers.runtime.oai.endpoint import Endpoint, Stopping
from crawlers.runtime.oai.ledger import Ledger, Plan, Range, subtract, window_name
from crawlers.runtime.oai.list_checks import TooMany
from crawlers.runtime.oai.rescue import Outcome, Refused, ServerDown, WindowHarvest
from crawlers.runtime.oai.transport import Transport
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.tally import Tally
from crawlers.runtime.temporary import create_temporary, temporary_path

BROKER = "FLEET_BROKER"
TASKS = "tasks"
_POLL_SECONDS = 0.2
# A window that nobody has begun within this time is handed out again: the broker may have lost it.
_UNTAKEN_SECONDS = 15.0
# A worker that is done lets go of its window just before it says so.
_GRACE_POLLS = 3

logger = logging.getLogger(__name__)

app = Celery("crawler-fleet", broker=os.environ.get(BROKER) or "memory://", set_as_current=False)
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 3600},
)


class WindowTask(msgspec.Struct, kw_only=True):
    """What a worker is told. ``learned``: what is known of the server, as attributes of ``Endpoint``."""

    folder: str
    plan: Plan
    window: Range
    limit: int | None
    cap: int | None
    user_agent: str
    rate: float
    base_url: str
    post: bool
    learned: dict[str, bool]


class WindowReport(msgspec.Struct, kw_only=True):
    """What a worker says of a window. ``failure``: the name of an error, with its ``kind`` and ``message``; empty if there is none."""

    records: int = 0
    deleted: int = 0
    gaps: int = 0
    requests: int = 0
    responses: int = 0
    steps: dict[str, int] = msgspec.field(default_factory=dict)
    learned: dict[str, bool] = msgspec.field(default_factory=dict)
    too_many: tuple[int | None, int, tuple[int, int] | None] | None = None
    failure: str = ""
    kind: str = ""
    message: str = ""


class RemoteWindows:
    """Has windows of ``plan`` harvested by whoever takes them; stands in for ``WindowHarvest``. Threads may share it.

    :param rate: requests per second of this harvest, at most, for each window that is under way.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        plan: Plan,
        tally: Tally,
        on_page: Callable[[int], None],
        *,
        rate: float,
        base_url: str,
        post: bool,
    ) -> None:
        self._endpoint = endpoint
        self._ledger = ledger
        self._plan = plan
        self._tally = tally
        self._on_page = on_page
        self._lock = threading.Lock()
        self._rate = rate
        self._base_url = base_url
        self._post = post
        self._folder = ledger.folder / TASKS
        shared_dir = RuntimeSettings.from_environment().shared_dir
        if not _is_shared(ledger.folder, shared_dir):
            raise UsageError(
                f"{ledger.folder} is not below {shared_dir}, which the harvesters share: choose a folder there, or unset "
                f"{BROKER} to harvest without them"
            )
        self._folder.mkdir(exist_ok=True)

    def run(self, start: int, until: int, limit: int | None = None, cap: int | None = None) -> Outcome:
        """Have a window harvested; as ``WindowHarvest.run``."""
        task = WindowTask(
            folder=str(self._ledger.folder),
            plan=self._plan,
            window=(start, until),
            limit=limit,
            cap=cap,
            user_agent=self._endpoint.transport.user_agent,
            rate=self._rate,
            base_url=self._base_url,
            post=self._post,
            learned=self._endpoint.learned(),
        )
        name = window_name(self._plan.run, start, until)
        report = self._wait(name, task)
        self._endpoint.learn(report.learned)
        for step, number in report.steps.items():
            self._endpoint.count(step, number)
        with self._lock:
            self._tally.requests += report.requests
            self._tally.responses += report.responses
        self._on_page(report.records)
        if report.too_many:
            raise TooMany(*report.too_many)
        if report.failure == Refused.__name__:
            raise Refused(report.kind, report.message)
        if report.failure:
            raise (ServerDown if report.failure == ServerDown.__name__ else FleetError)(report.message)
        return Outcome(report.records, report.deleted, report.gaps)

    def _wait(self, name: str, task: WindowTask) -> WindowReport:
        path = self._folder / f"{name}.json"
        path.unlink(missing_ok=True)  # from before the window was handed out again, in parts
        _send(task)
        taken, free, sent_at = False, 0, time.monotonic()
        while not path.exists():
            if self._endpoint.transport.stopping.is_set():
                raise Stopping
            self._endpoint.transport.stopping.wait(_POLL_SECONDS)
            if is_claimed(self._folder / f"{name}.lock"):
                self._tally.wait(
                    _POLL_SECONDS
                )  # a worker that lives is at it; only for one to come we must not wait for ever
                taken, free = True, 0
                continue
            free += taken
            if free >= _GRACE_POLLS or time.monotonic() - sent_at > _UNTAKEN_SECONDS:
                if not taken:
                    logger.warning("no harvester has taken window %s: does one run? `fleet harvester` starts it", name)
                self._endpoint.count("handed_out_again")
                _send(task)
                taken, free, sent_at = False, 0, time.monotonic()
        report = msgspec.json.decode(path.read_bytes(), type=WindowReport)
        for left in (path, self._folder / f"{name}.lock"):
            left.unlink(missing_ok=True)
        return report


def wait_for_claims(ledger: Ledger, endpoint: Endpoint) -> None:
    """Let workers end the windows that they have from a harvest that was cut off, so that none is harvested twice."""
    for path in sorted((ledger.folder / TASKS).glob("*")):
        while path.suffix == ".lock" and is_claimed(path):
            if endpoint.transport.stopping.is_set():
                raise Stopping
            endpoint.transport.pause(_POLL_SECONDS)
        path.unlink(missing_ok=True)


@app.task(name="harvest_window")
def harvest_window(sent: dict) -> None:
    """Harvest a window, unless somebody else does or did."""
    task = msgspec.convert(sent, WindowTask)
    settings = RuntimeSettings.from_environment()
    folder = Path(task.folder)
    if not _is_shared(folder, settings.shared_dir):
        raise FleetError(f"a task for {folder}, which is not in {settings.shared_dir}: it is not from this fleet")
    ledger = Ledger(folder)
    name = window_name(task.plan.run, *task.window)
    with claim(folder / TASKS / f"{name}.lock") as claimed:
        if not claimed or (ledger.plan() or task.plan).run != task.plan.run:
            return
        report = _harvest(task, ledger, Patience(settings.timeout_seconds, settings.retry_pause_seconds))
        with create_temporary(folder / TASKS, f"{name}.json") as file:
            file.write(msgspec.json.encode(report))
            temporary_path(folder / TASKS, f"{name}.json").replace(folder / TASKS / f"{name}.json")


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold the lock at ``path``, if nobody does: gives whether we do."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def is_claimed(path: Path) -> bool:
    """Whether a worker holds the lock at ``path``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_shared(folder: Path, shared_dir: Path) -> bool:
    return folder.resolve().is_relative_to(shared_dir.resolve())


def _send(task: WindowTask) -> None:
    try:
        app.send_task(
            harvest_window.name, [msgspec.to_builtins(task)], retry_policy={"max_retries": 30, "interval_max": 2}
        )
    except Exception as error:  # of kombu or redis, by the kind of failure
        raise FleetError(
            f"the broker of {BROKER} can't be reached: {error}. Start it: `docker compose --profile scale up`"
        ) from error


def _harvest(task: WindowTask, ledger: Ledger, patience: Patience) -> WindowReport:
    tally = Tally(quiet=True)
    transport = Transport(
        task.user_agent, tally, rate=task.rate, base_url=task.base_url, timeout_seconds=patience.timeout_seconds
    )
    endpoint = Endpoint(task.plan.url, transport, patience, post=task.post)
    endpoint.learn(task.learned)
    harvest, report = WindowHarvest(endpoint, ledger, task.plan), WindowReport()
    done = sorted((window.start, window.until) for window in ledger.files_of(task.plan.run))
    try:
        for start, until in subtract(task.window, done):  # a worker that was killed may have done a part of it
            outcome = harvest.run(start, until, task.limit, task.cap)
            report.records += outcome.records
            report.deleted += outcome.deleted
            report.gaps += outcome.gaps
    except TooMany as many:
        report.too_many = (many.size, many.page, many.dates)
    except Exception as error:
        report.failure, report.message = type(error).__name__, str(error)
        with suppress(AttributeError):
            report.kind = error.kind  # type: ignore[attr-defined]
    finally:
        transport.close()
    report.requests, report.responses = tally.requests, tally.responses
    report.steps, report.learned = dict(endpoint.steps), endpoint.learned()
    return report
