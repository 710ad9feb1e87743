"""What is being done now: the hub's jobs, the crawls under way by their heartbeats, what waits, and the memory that the hub takes."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.heartbeat import CHECKING, Heartbeat, read_heartbeat
from crawlers.runtime.history import read_last_run
from crawlers.runtime.lock import is_locked
from crawlers.runtime.orders import Command, Order, read_orders
from crawlers.runtime.release import DATA, release_folder, state_folder
from hub.worklist import Job


class JobLook(msgspec.Struct, kw_only=True):
    """``seconds``: since it began, or how long it took; null where it waits. ``share``: how much is done, 0 to 1; ``per_second``: documents, or records;
    ``left_seconds``: if it goes on so. Null where that can't be told.
    """

    job: Job
    seconds: float | None = None
    share: float | None = None
    per_second: float | None = None
    left_seconds: float | None = None


class CrawlLook(msgspec.Struct, kw_only=True):
    """A crawl, or a check, under way. ``silent_seconds``: since it last wrote its heartbeat."""

    source: str
    command: Command = "crawl"
    heartbeat: Heartbeat
    seconds: float
    silent_seconds: float
    share: float | None = None
    per_second: float | None = None
    left_seconds: float | None = None


class OrderLook(msgspec.Struct, kw_only=True):
    """What somebody asked of a source's crawler, and waits to be carried out."""

    source: str
    order: Order


class Process(msgspec.Struct, kw_only=True):
    """A process of the hub: ``hub``, ``worker`` or ``database``; ``bytes``: of memory (resident). ``cpu_seconds``: used so far."""

    pid: int
    what: str
    bytes: int
    cpu_seconds: float


class JobsLook(msgspec.Struct, kw_only=True):
    """``running`` and ``queued``: jobs of the hub; ``crawls`` and ``orders``: of the crawlers; ``processes``: of the hub."""

    at: str
    running: list[JobLook]
    queued: list[JobLook]
    crawls: list[CrawlLook]
    orders: list[OrderLook]
    processes: list[Process]


def look_at_jobs(shared_dir: Path, sources: Iterable[str], open_jobs: list[Job]) -> JobsLook:
    """What is being done. ``open_jobs``: those of the worklist."""
    now = datetime.now(UTC)
    jobs = [look_at_job(job, now) for job in open_jobs]
    crawls: list[CrawlLook] = []
    orders: list[OrderLook] = []
    for name in sources:
        heartbeat = _find_heartbeat(release_folder(shared_dir, name))
        if heartbeat:
            crawls.append(_look_at_crawl(name, heartbeat, now))
        state_dir = state_folder(shared_dir, name)
        if checking := read_heartbeat(state_dir / CHECKING):
            crawls.append(_look_at_crawl(name, checking, now, "check"))
        orders += [OrderLook(source=name, order=order) for order in read_orders(state_dir)]
    return JobsLook(
        at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        running=[look for look in jobs if look.job.state == "running"],
        queued=[look for look in jobs if look.job.state != "running"],
        crawls=sorted(crawls, key=lambda crawl: crawl.heartbeat.started),
        orders=sorted(orders, key=lambda order: order.order.at),
        processes=list_processes(),
    )


def look_at_job(job: Job, now: datetime | None = None) -> JobLook:
    """The job, and how far it is: by what its worker tells, else by how far that has read its files."""
    now = now or datetime.now(UTC)
    look = JobLook(job=job)
    if not job.started:
        return look
    until = datetime.fromisoformat(job.ended) if job.ended else now
    look.seconds = max(0.0, _seconds_since(job.started, until))
    if job.ended:
        return look
    progress = job.progress
    if progress is None:
        return look
    told = max(0.001, _seconds_since(progress.started, now) - _seconds_since(progress.at, now))
    if progress.total:
        look.share, look.per_second = min(1.0, progress.done / progress.total), progress.documents / told
    elif job.action in ("compare", "diff") and (read := _share_read(progress.pid)) is not None:
        look.share, told = read, look.seconds
    if look.share:
        look.left_seconds = told * (1 - look.share) / look.share
    return look


def list_processes() -> list[Process]:
    """This process and those that it started."""
    hub = psutil.Process()
    found = []
    for process in [hub, *hub.children(recursive=True)]:
        try:
            with process.oneshot():
                times = process.cpu_times()
                what = "hub" if process == hub else _kind(process)
                found.append(
                    Process(
                        pid=process.pid,
                        what=what,
                        bytes=process.memory_info().rss,
                        cpu_seconds=times.user + times.system,
                    )
                )
        except psutil.Error:  # it has just ended
            continue
    return found


def _find_heartbeat(folder: Path) -> Heartbeat | None:
    """How far the crawl into the release folder is; of one that writes no heartbeat, or not yet, only since when; None: none."""
    try:
        if not is_locked(folder):
            return None
        if heartbeat := read_heartbeat(folder):
            return heartbeat
        run = read_last_run(folder)
    except ReleaseError:
        return None
    if run is None or run.outcome != "running":  # a person approves, or a check is under way
        return None
    return Heartbeat(run=run.run, started=run.started, at="")


def _look_at_crawl(name: str, heartbeat: Heartbeat, now: datetime, command: Command = "crawl") -> CrawlLook:
    seconds = max(0.001, _seconds_since(heartbeat.started, now))
    look = CrawlLook(
        source=name,
        command=command,
        heartbeat=heartbeat,
        seconds=seconds,
        silent_seconds=max(0.0, _seconds_since(heartbeat.at, now)),
    )
    if heartbeat.at:
        look.per_second = heartbeat.came / seconds
    look.share = heartbeat.share
    if look.share:
        look.left_seconds = seconds * (1 - look.share) / look.share
    return look


def _share_read(pid: int) -> float | None:
    """How much of the data files that it has open the process has read. Linux tells; None elsewhere, and where it has none open."""
    try:
        files = [file for file in psutil.Process(pid).open_files() if Path(file.path).name == DATA]
        total = sum(Path(file.path).stat().st_size for file in files)
        return sum(getattr(file, "position", 0) for file in files) / total if total else None
    except (psutil.Error, OSError):
        return None


def _kind(process: psutil.Process) -> str:
    """The embedded database runs a program of its own; workers are forks of the hub."""
    return "database" if "secantus" in " ".join(process.cmdline()).lower() else "worker"


def _seconds_since(moment: str, now: datetime) -> float:
    try:
        return (now - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):  # a heartbeat is a file of the shared volume: it may hold anything
        return 0.0
