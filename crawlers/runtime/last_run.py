"""How the last crawl of a source went, also one that published nothing: ``last-run.json`` beside its release.

It is written when a crawl starts and again when it ends. A crawl that was killed leaves it at ``running``; the source's lock, which
the kernel drops with the process, tells the two apart.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crawlers.runtime.errors import EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, Interrupted, ReleaseError
from crawlers.runtime.release import Counts, ErrorCount, format_release
from crawlers.runtime.tally import Tally
from crawlers.runtime.temporary import create_temporary, temporary_path
from crawlers.runtime.writer import LOCK, ReleaseWriter

logger = logging.getLogger(__name__)

LAST_RUN = "last-run.json"


class LastRun(msgspec.Struct, kw_only=True):
    """``last-run.json``. Times are ISO 8601 in UTC; ``ended`` is empty and ``exit_code`` null until the crawl ended.

    ``outcome``: ``running``, ``published``, ``partial``, ``failed``, ``interrupted`` (by a signal), or, only when read, ``killed``.
    ``message``: why nothing was published, in words.
    """

    source: str
    release: str
    started: str
    outcome: str = "running"
    ended: str = ""
    exit_code: int | None = None
    message: str = ""
    code_version: str = ""
    counts: Counts = msgspec.field(default_factory=Counts)
    errors: dict[str, ErrorCount] = msgspec.field(default_factory=dict)


@contextmanager
def recorded(writer: ReleaseWriter, tally: Tally, code_version: str) -> Iterator[None]:
    """Record the crawl within the block, which holds the source's lock: its start, and its end however it comes."""
    run = LastRun(
        source=writer.manifest.name,
        release=writer.release,
        started=format_release(writer.started),
        code_version=code_version,
    )
    _write(writer.folder, run)
    try:
        yield
        run.outcome, run.exit_code = "published", EXIT_OK
    except BaseException as error:
        run.exit_code = getattr(error, "exit_code", EXIT_FAILED)
        run.outcome = "partial" if run.exit_code == EXIT_PARTIAL else "failed"
        if isinstance(error, Interrupted | KeyboardInterrupt):
            run.outcome = "interrupted"
        run.message = str(error) or type(error).__name__
        raise
    finally:
        tally.fill(writer.counts)
        run.ended, run.counts, run.errors = format_release(datetime.now(UTC)), writer.counts, tally.errors
        _write(writer.folder, run)


def read_last_run(folder: Path) -> LastRun | None:
    """How the last crawl into the release folder ``folder`` went; None where no crawler of ours has left word.

    :raises ReleaseError: the file is there, but not of the expected form.
    """
    path = folder / LAST_RUN
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            run = msgspec.json.decode(file.read(), type=LastRun)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReleaseError(
            f"{path}: {error}. It tells of the last crawl; remove it, the next crawl writes it anew."
        ) from error
    if run.outcome == "running" and not is_locked(folder):
        run.outcome = "killed"
        run.message = "the crawl ended without a word: it was killed, or its machine went down. Nothing was published."
    return run


def is_locked(folder: Path) -> bool:
    """Whether a crawl holds the lock of the release folder ``folder`` now."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Held for a moment only; a crawl that starts just then tries more than once.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _write(folder: Path, run: LastRun) -> None:
    try:
        with create_temporary(folder, LAST_RUN) as file:
            file.write(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
            temporary_path(folder, LAST_RUN).replace(folder / LAST_RUN)
    except OSError as error:  # the crawl's own outcome matters more
        logger.warning("%s: %s can't be written: %s", run.source, folder / LAST_RUN, error)
        temporary_path(folder, LAST_RUN).unlink(missing_ok=True)
