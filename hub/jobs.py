"""The worker processes of the hub: they die with it, and keep nothing of it open."""

import multiprocessing
import os
import signal
import socket
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from biothings.utils.manager import JobManager

from hub.lifeline import die_with_parent

# Sockets that the hub listens on: a worker made after they were opened would keep the port taken.
listening_sockets: list[socket.socket] = []


def start_worker(hub: int) -> None:
    """Run first in every worker of the hub with the process id ``hub``."""
    signal.set_wakeup_fd(-1)  # the event loop's, which is the hub's
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the hub ends its workers
    for listening in listening_sockets:
        listening.close()
    die_with_parent(signal.SIGKILL, hub)


class FleetJobManager(JobManager):
    """The SDK's job manager, with workers that don't outlive the hub."""

    def _get_process_executor(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            max_workers=self.num_workers,
            mp_context=multiprocessing.get_context("fork"),
            initializer=start_worker,
            initargs=(os.getpid(),),
        )
        executor.submit(os.getpid)  # forks all workers, while the hub is small and has no connection open
        return executor

    def stop_workers(self) -> None:
        """End every worker now, whatever it does: an upload that is cut off leaves the old collection live."""
        executor: Any = self.process_queue
        for process in list((executor._processes or {}).values()):
            process.kill()
        executor.shutdown(wait=True, cancel_futures=True)
        self.thread_queue.shutdown(wait=False, cancel_futures=True)
