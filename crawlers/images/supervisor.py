"""Runs a crawler's container, as the user biothings: a crawl at the start if one is due, then whatever cron starts, until it is stopped.

A container whose schedule is ``continuous`` lives for one crawl: it sleeps after it until the next is due, or ordered, and ends, so
that its restart policy starts it again.

Cron forwards no signals and runs each job in a session of its own, so ``docker stop`` would cut a crawl off. Therefore
``run-spider.sh`` records each crawl's process id as a file in ``JOBS`` before it becomes the crawl, and the supervisor, told to
stop, signals those and waits for them. Whichever of the two comes second sees the other's file, so none slips through.

Usage: supervisor.py PID, the process id of cron, a child of this process. Exits with 0 when it was told to stop, or a continuous
source is due again, with 1 when cron ended; in all three but the first, the container is restarted.
"""

import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from crawlers.runtime.container import find_schedule, note_start, read_setting
from crawlers.runtime.errors import EXIT_NOT_DUE, FleetError
from crawlers.runtime.logs import start_logging
from crawlers.runtime.manifest import find_source
from crawlers.runtime.release import state_folder
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.standing import find_standing, is_due

JOBS = Path("/run/fleet/jobs")
TICK = str(Path(__file__).resolve().parents[2] / "scripts" / "tick.sh")
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_LOOK_SECONDS = 20

logger = logging.getLogger("supervisor")


def supervise(cron: int, jobs: Path, first: list[str], is_next_due: Callable[[], bool] | None = None) -> int:
    """Run until told to stop, or until the process ``cron`` ends; returns the exit code.

    :param first: the command that is run at the start, which crawls if a crawl is due.
    :param is_next_due: of a continuous source: once the first crawl has ended and this is true, the container has done its work.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # fetched one by one, so that none can come between
    (jobs / "supervisor").write_text(f"{os.getpid()}\n")
    crawl = os.posix_spawn(first[0], first, os.environ, setsigmask=())
    has_ended = False
    while True:
        got = signal.sigtimedwait(_SIGNALS, _LOOK_SECONDS) if is_next_due else signal.sigwaitinfo(_SIGNALS)
        if got is None:
            if has_ended and is_next_due and is_next_due():
                logger.info("the next crawl is due: the container ends, to be started again")
                end_jobs(jobs)
                return 0
            continue
        if got.si_signo != signal.SIGCHLD:
            end_jobs(jobs)
            return 0
        for process, status in ended_children():
            code = os.waitstatus_to_exitcode(status)
            if process == cron:
                logger.error("cron ended with code %d: nothing would be crawled any more, so the container ends", code)
                end_jobs(jobs)
                return 1
            if process == crawl:
                has_ended = True
                if code != EXIT_NOT_DUE:  # what is not due has said so
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


def main(cron: int) -> int:
    """Say on the shared volume that the container starts, and supervise it."""
    settings, cron_fields = RuntimeSettings.from_environment(), read_setting(os.environ)
    manifest = find_source(settings.sources_dir, os.environ["FLEET_SOURCE"]).manifest
    try:
        note_start(state_folder(settings.shared_dir, manifest.name), cron_fields, datetime.now(UTC))
    except FleetError as error:  # each crawl will say so, too
        logger.error("%s", error)

    def is_next_due() -> bool:
        now = datetime.now(UTC)
        return is_due(find_standing(settings, manifest, now), now)

    continuous = find_schedule(manifest, cron_fields).kind == "continuous"
    return supervise(cron, JOBS, [TICK, manifest.name], is_next_due if continuous else None)


if __name__ == "__main__":
    start_logging()
    sys.exit(main(int(sys.argv[1])))
