"""Runs a crawler's container, as the user biothings: one crawl at the start, then whatever cron starts, until it is stopped.

Cron forwards no signals and runs each job in a session of its own, so ``docker stop`` would cut a crawl off. Therefore
``run-spider.sh`` records each crawl's process id as a file in ``JOBS`` before it becomes the crawl, and the supervisor, told to
stop, signals those and waits for them. Whichever of the two comes second sees the other's file, so none slips through.

Usage: supervisor.py PID, the process id of cron, a child of this process. Exits with 0 when it was told to stop, with 1 when
cron ended, so that the container is restarted.
"""

import logging
import os
import select
import signal
import sys
from pathlib import Path

JOBS = Path("/run/fleet/jobs")
RUN_SPIDER = str(Path(__file__).resolve().parents[2] / "scripts" / "run-spider.sh")
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

logger = logging.getLogger("supervisor")


def supervise(cron: int, jobs: Path = JOBS, run_spider: str = RUN_SPIDER) -> int:
    """Run until told to stop, or until the process ``cron`` ends; returns the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # fetched by sigwait, one by one, so that none can come between
    (jobs / "supervisor").write_text(f"{os.getpid()}\n")
    first = os.posix_spawn(run_spider, [run_spider], os.environ, setsigmask=())
    logger.info("first crawl started, process %d", first)
    while True:
        if signal.sigwait(_SIGNALS) != signal.SIGCHLD:
            end_jobs(jobs)
            return 0
        for process, status in ended_children():
            code = os.waitstatus_to_exitcode(status)
            if process == cron:
                logger.error("cron ended with code %d: nothing would be crawled any more, so the container ends", code)
                end_jobs(jobs)
                return 1
            if process == first:
                logger.info("first crawl ended with code %d", code)


def ended_children() -> list[tuple[int, int]]:
    """The children that ended since the last call: process id and wait status of each."""
    ended = []
    try:
        while (child := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(child)
    except ChildProcessError:
        pass
    return ended


def end_jobs(jobs: Path) -> None:
    """Let no further job start, tell those that run to end, and wait until they have."""
    (jobs / "stopping").touch()
    running = select.poll()
    handles = []
    for process in [int(path.name) for path in jobs.iterdir() if path.name.isdecimal()]:
        try:
            handle = os.pidfd_open(process)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        except (ProcessLookupError, PermissionError):  # ended long ago; its number may be another user's by now
            continue
        logger.info("stopping: waiting for the crawl of process %d to end", process)
        running.register(handle, select.POLLIN)
        handles.append(handle)
    while handles:
        for handle, _ in running.poll():
            running.unregister(handle)
            handles.remove(handle)


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
    )
    sys.exit(supervise(int(sys.argv[1])))
