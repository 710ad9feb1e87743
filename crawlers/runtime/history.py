"""The run history of a source: how each crawl went, also one that published nothing, and one that was killed.

``last-run.json`` is written when a crawl starts, and again when it ends; ``history.ndjson`` gets one line when it ends. A crawl
that was killed leaves the first at ``running``: the source's lock, which the kernel drops with the process, tells the two apart,
and the next crawl writes its line. So each crawl has one line, whatever became of it.
"""

import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import filelock
import msgspec

from crawlers.runtime.errors import (
    EXIT_FAILED,
    EXIT_HELD,
    EXIT_OK,
    EXIT_PARTIAL,
    EmptyError,
    Interrupted,
    ReleaseError,
    StuckError,
)
from crawlers.runtime.heartbeat import remove_heartbeat
from crawlers.runtime.held import find_held
from crawlers.runtime.json_files import decode, read_json, read_plain, write_json
from crawlers.runtime.lock import is_locked, source_lock
from crawlers.runtime.masking import mask
from crawlers.runtime.pace import Pace, advance, replay_pace
from crawlers.runtime.release import format_release, read_release
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.schedule import Schedule
from crawlers.runtime.tally import Tally
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path
from crawlers.runtime.verdict import read_verdict, remove_verdict
from crawlers.runtime.writer import ReleaseWriter

logger = logging.getLogger(__name__)

LAST_RUN = "last-run.json"
HISTORY = "history.ndjson"
# Years of daily crawls. The older half goes when it is full.
MAX_BYTES = 8 << 20
_MOST_RUNS = 50_000
_MOST_FAULTS = 100
_ADVICE = "It is the history of the source's crawls; move it away, the next crawl begins a new one."
_KILLED = "the crawl ended without a word: it was killed, or its machine went down."


@contextmanager
def recorded(
    writer: ReleaseWriter, tally: Tally, code_version: str, trigger: str = "hand", by: str = "", limit: int = 0
) -> Iterator[RunEntry]:
    """Record the crawl within the block, which holds the source's lock: its start, and its end however it comes.

    ``trigger``, ``by`` and ``limit`` are those of the entry.
    The block sets ``outcome`` of the entry where that isn't ``published``; one that it leaves by an error is told by the error.
    """
    folder = writer.folder
    last = _settle_last(folder)
    run = RunEntry(
        source=writer.manifest.name,
        release=writer.release,
        started=format_release(writer.started),
        run=name_run(),
        code_version=code_version,
        trigger=trigger,
        by=by,
        limit=limit,
        pace=_pace_after(folder, writer.manifest.timing, last),
    )
    _write(folder, run)
    try:
        yield run
        run.exit_code = EXIT_OK
        if run.outcome == "running":
            run.outcome = "published"
    except BaseException as error:
        run.exit_code = getattr(error, "exit_code", EXIT_FAILED)
        run.outcome = _outcome_of(error, run.exit_code)
        run.message = mask(str(error)) or type(error).__name__
        raise
    finally:
        tally.fill(writer.counts)
        run.ended, run.counts, run.errors = format_release(datetime.now(UTC)), writer.counts, tally.errors
        append(folder, run)
        _write(folder, run)


def name_run() -> str:
    """A name for the run that this process begins now."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}"


def read_last_run(folder: Path) -> RunEntry | None:
    """How the last crawl into the release folder ``folder`` went; None where no crawler of ours has left word.

    :raises ReleaseError: the file is there, but not of the expected form.
    """
    run = _read_last(folder)
    if run is not None and run.outcome == "running" and not is_locked(folder):
        return _killed(folder, run)
    return run


def read_history(folder: Path, last: int | None = None) -> list[RunEntry]:
    """The runs into the release folder ``folder``, oldest first, the one under way included; ``last``: only so many, the newest.

    A line that was torn by a power cut is passed over, and said in the log.

    :raises ReleaseError: the history, or the word of the last crawl, can't be read.
    """
    entries = deque(_read_lines(folder / HISTORY), maxlen=last or _MOST_RUNS)
    run = read_last_run(folder)
    if run is not None and not any(_same(run, entry) for entry in entries):
        entries.append(run)
    return list(entries)


def _read_lines(path: Path) -> Iterator[RunEntry]:
    """The runs in the history. What is larger than ours ever are, or holds little else than what is no run, is none."""
    try:
        content = read_plain(path, 2 * MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ReleaseError(f"{path} can't be read: {error}. {_ADVICE}") from error
    faults = 0
    for number, line in enumerate(BytesIO(content), start=1):
        try:
            yield decode(line, RunEntry)
        except ValueError as error:
            faults += 1
            if faults > _MOST_FAULTS:
                raise ReleaseError(
                    f"{path}: over {_MOST_FAULTS} of its first {number} lines are no runs. {_ADVICE}"
                ) from error
            logger.warning("%s:%d: passed over, it is no run: %s", path, number, error)


def find_pace(folder: Path, schedule: Schedule, last: RunEntry | None) -> Pace:
    """How the schedule of the source with the release folder ``folder`` stands after ``last``, what ``read_last_run`` gives.

    :raises ReleaseError: its history can't be read. It is only where a version before this one wrote the last line.
    """
    if last is None:
        return Pace()
    if last.pace is not None:
        return advance(last.pace, last, schedule)
    return replay_pace(read_history(folder), schedule)


def append(folder: Path, run: RunEntry) -> None:
    """Add a line to the history. Only who holds the source's lock may.

    Where the disk fails, that is but logged: what became of the crawl matters more.
    """
    path = folder / HISTORY
    try:
        _trim(path)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"  # by a power cut: ours begins a line of its own
            file.write((b"\n" if torn else b"") + msgspec.json.encode(run) + b"\n")
            os.fsync(descriptor)
    except OSError as error:
        logger.warning("%s: %s can't be written: %s", run.source, path, error)


def settle_held(folder: Path, release: str, outcome: str) -> None:
    """Have ``last-run.json`` say what became of the release that the last run made, and that was held."""
    run = _read_last(folder)
    if run is not None and run.release == release:
        _write(folder, msgspec.structs.replace(run, outcome=outcome, message=""))


def settle_killed(folder: Path) -> None:
    """Complete the history of a run that was killed, and remove what it left; unless the next crawl has begun, and does so."""
    try:
        with source_lock(folder):
            remove_abandoned(folder)
            remove_heartbeat(folder)
            if (run := _settle_last(folder)) is not None:
                _write(folder, run)
            remove_verdict(folder)
    except (filelock.Timeout, ReleaseError, OSError) as error:
        logger.warning("what the killed run left is for the next one to remove: %s", error)


def _outcome_of(error: BaseException, exit_code: int) -> str:
    if isinstance(error, StuckError):
        return "stuck"
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, EmptyError):
        return "empty"
    return {EXIT_PARTIAL: "partial", EXIT_HELD: "held"}.get(exit_code, "failed")


def _settle_last(folder: Path) -> RunEntry | None:
    """How the last crawl went; if it was killed before it could write its line, that is written. By who holds the source's lock."""
    try:
        run = _read_last(folder)
        if run is None or run.outcome != "running":
            return run
        killed = _killed(folder, run)
        if not any(_same(run, entry) and entry.outcome != "running" for entry in read_history(folder, last=20)):
            append(folder, killed)
        return killed
    except ReleaseError as error:
        logger.warning("%s", error)
        return None


def _killed(folder: Path, run: RunEntry) -> RunEntry:
    """What became of ``run``, whose process is gone: what lies in ``folder`` tells whether it came as far as to publish."""
    made = {"published": read_release, "held": find_held}
    for outcome, find in made.items():
        try:
            found = find(folder)
        except ReleaseError:
            continue
        if found is not None and str(getattr(found, "text", getattr(found, "release", ""))) == run.release:
            return msgspec.structs.replace(run, outcome=outcome, message=f"{_KILLED} Its release was made before that.")
    if verdict := read_verdict(folder, run.run):
        return msgspec.structs.replace(run, outcome="stuck", message=verdict)
    return msgspec.structs.replace(run, outcome="killed", message=f"{_KILLED} Nothing was published.")


def _read_last(folder: Path) -> RunEntry | None:
    return read_json(
        folder / LAST_RUN, RunEntry, "It tells of the last crawl; remove it, the next crawl writes it anew."
    )


def _pace_after(folder: Path, schedule: Schedule, last: RunEntry | None) -> Pace:
    try:
        return find_pace(folder, schedule, last)
    except ReleaseError as error:  # the crawl matters more
        logger.warning("%s", error)
        return Pace()


def _same(run: RunEntry, other: RunEntry) -> bool:
    return bool(run.run) and run.run == other.run


def _trim(path: Path) -> None:
    """Drop the older half of a history that has grown too large."""
    if not path.exists() or path.stat().st_size < MAX_BYTES:
        return
    with path.open("rb") as file:
        file.seek(-MAX_BYTES // 2, os.SEEK_END)
        file.readline()
        rest = file.read()
    with create_temporary(path.parent, path.name) as file:
        file.write(rest)
        os.fsync(file.fileno())
        temporary_path(path.parent, path.name).replace(path)


def _write(folder: Path, run: RunEntry) -> None:
    try:
        write_json(folder, LAST_RUN, run)
    except OSError as error:  # the crawl's own outcome matters more
        logger.warning("%s: %s can't be written: %s", run.source, folder / LAST_RUN, error)
