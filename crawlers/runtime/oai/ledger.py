"""The ledger of a harvest: a folder whose files say what was harvested, what is missing, and by that what is left to do.

- ``plan.json``: what is harvested from where, and the ranges of dates that the harvest under way has to cover.
- ``0001-<from>-<until>.done.gz``: a window whose records are all in it; ``….empty.gz``: one in which there are none.
- ``0001-<from>-<until>.gap.json``: what a window lacks. Beside a ``.done.gz`` of the same range it lacks the records that it names;
  without one, all of it is missing.
- ``0001-<from>-<until>.mend.gz``: records that were missing, and came later.

Each is renamed into place when it is whole: there is no other record of progress, so none that could contradict it. A window that
has no file is open. The number in front counts the harvests; a later one asks again for what may have changed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.oai.conversion import WindowConversion
from crawlers.runtime.oai.converted import FOLDER
from crawlers.runtime.oai.dates import DAY, parse_date, write_date
from crawlers.runtime.oai.windows import EMPTY, GAP, MEND, Window, WindowWriter
from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path

PLAN = "plan.json"
LEDGER = "oai"
_NAME = re.compile(r"(\d{4,})-(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)\.(done|empty|mend|gap)\.(gz|json)")
Range = tuple[int, int]


class Plan(msgspec.Struct, kw_only=True, frozen=True):
    """What the harvest under way has to cover.

    ``url``, ``prefix``, ``set``: what is harvested, the same for all of a ledger's life. ``run``: counts the harvests from 1.
    ``ranges``: of dates, in seconds since 1970, oldest first. ``granularity``: seconds, 1 or those of a day.
    ``now``: the server's clock when the plan was made; what it dates later is not in it for certain.
    ``asked_from``, ``asked_until``: the range that a person asked for, as written; empty: all there is.
    ``open_start``, ``open_end``: whether the first range is asked for without ``from``, and the last without ``until``: what is
    dated before the server's earliest date, or after its clock, is then in it as well.
    """

    url: str
    prefix: str
    set: str = ""
    run: int = 1
    ranges: tuple[Range, ...] = ()
    now: int = 0
    granularity: int = DAY
    asked_from: str = ""
    asked_until: str = ""
    open_start: bool = False
    open_end: bool = False

    @property
    def start(self) -> int:
        return self.ranges[0][0] if self.ranges else 0

    @property
    def until(self) -> int:
        return self.ranges[-1][1] if self.ranges else -1


class GapNote(msgspec.Struct, kw_only=True):
    """The content of a ``.gap.json``. ``identifiers``: the records that are missing; empty: all of the window's."""

    reason: str
    kind: str = ""
    tries: int = 1
    first: str = ""
    last: str = ""
    identifiers: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing of a window."""

    window: Window
    note: GapNote

    def describe(self) -> dict[str, object]:
        """As ``release.json`` and ``fleet gaps --json`` show it."""
        return {
            "from": write_date(self.window.start, 1),
            "until": write_date(self.window.until, 1),
            "reason": self.note.reason,
            "kind": self.note.kind,
            "tries": self.note.tries,
            "first": self.note.first,
            "last": self.note.last,
            "identifiers": self.note.identifiers,
        }


class Ledger:
    """The ledger in ``folder``. Any number of processes may write windows; each window is written by one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder, and remove what killed processes left half written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.folder)
        remove_abandoned(self.folder / FOLDER)

    def plan(self) -> Plan | None:
        """The plan under way, or the last one; None where nothing was harvested yet.

        :raises FleetError: it can't be read.
        """
        path = self.folder / PLAN
        try:
            return msgspec.json.decode(path.read_bytes(), type=Plan)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise FleetError(
                f"{path}: {error}. It tells what is harvested here; remove the folder {self.folder} to harvest all of it anew."
            ) from error

    def write_plan(self, plan: Plan) -> None:
        """Make ``plan`` the one under way."""
        self._write_json(PLAN, plan)

    def windows(self) -> list[Window]:
        """The windows that have records, or none: oldest first, by when they were harvested and then by date."""
        return [window for window in self._files() if window.state != GAP]

    def filled(self) -> list[Path]:
        """The files of the windows that have records, in the order of ``windows``."""
        return [window.path for window in self.windows() if window.state != EMPTY]

    def files_of(self, run: int) -> list[Window]:
        """What the harvest ``run`` came to an end with, gaps too."""
        return [window for window in self._files() if window.run == run and window.state != MEND]

    def gaps(self) -> list[Gap]:
        """What is missing, oldest first."""
        gaps = []
        for window in self._files():
            if window.state == GAP:
                try:
                    gaps.append(Gap(window, msgspec.json.decode(window.path.read_bytes(), type=GapNote)))
                except FileNotFoundError:  # closed meanwhile
                    continue
                except msgspec.DecodeError as error:
                    note = GapNote(reason=f"{window.path.name} can't be read: {error}", kind="ledger")
                    gaps.append(Gap(window, note))
        return gaps

    def open_ranges(self, plan: Plan) -> list[Range]:
        """What of the plan has no file yet, oldest first."""
        covered = sorted((window.start, window.until) for window in self.files_of(plan.run))
        return [left for wanted in plan.ranges for left in subtract(wanted, covered)]

    @contextmanager
    def writing(self, run: int, start: int, until: int) -> Iterator[WindowWriter]:
        """Write the file of a window, and convert it on the way. It gets its name, by the writer's ``state`` and ``until``, when the
        block ends well; without a state there is none."""
        name = window_name(run, start, until)
        temporary = temporary_path(self.folder, name)
        with create_temporary(self.folder, name) as file, WindowConversion(self.folder, name) as conversion:
            try:
                writer = WindowWriter(file, temporary, until, conversion.add)
                yield writer
                writer.finish()
                if not writer.state:
                    return
                os.fsync(file.fileno())
                path = self.folder / f"{window_name(run, start, writer.until)}.{writer.state}.gz"
                if writer.state != EMPTY:
                    conversion.finish(os.fstat(file.fileno()), path)
                temporary.replace(path)
                self._sync()
            finally:
                temporary.unlink(missing_ok=True)

    def note_gap(self, run: int, start: int, until: int, note: GapNote) -> None:
        """Note what a window lacks. It has to be there before the window's own file is."""
        note.last = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        note.first = note.first or note.last
        self._write_json(f"{window_name(run, start, until)}.{GAP}.json", note)

    def close_gap(self, gap: Gap) -> None:
        """Forget a gap: what was missing is there now, or is noted in another."""
        gap.window.path.unlink(missing_ok=True)
        self._sync()

    def require_same(self, url: str, prefix: str, set_spec: str) -> None:
        """:raises UsageError: the ledger is that of another harvest."""
        plan = self.plan()
        if plan and (plan.url, plan.prefix, plan.set) != (url, prefix, set_spec):
            raise UsageError(
                f"{self.folder} holds a harvest of {plan.url} (metadataPrefix {plan.prefix}, set {plan.set or 'none'}), not of {url} "
                f"(metadataPrefix {prefix}, set {set_spec or 'none'}). Use another folder, or remove this one."
            )

    def _files(self) -> list[Window]:
        windows = []
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - twice as fast, and there may be many
        except FileNotFoundError:
            return []
        for name in names:
            if found := _NAME.fullmatch(name):
                start, until = (_read_compact(found[part]) for part in (2, 3))
                windows.append(Window(self.folder / name, start, until, found[4], int(found[1])))
        windows.sort(key=lambda window: (window.run, window.start, window.until, window.state))
        return windows

    def _write_json(self, name: str, value: msgspec.Struct) -> None:
        with create_temporary(self.folder, name) as file:
            temporary = temporary_path(self.folder, name)
            try:
                file.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
                os.fsync(file.fileno())
                temporary.replace(self.folder / name)
                self._sync()
            finally:
                temporary.unlink(missing_ok=True)

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def window_name(run: int, start: int, until: int) -> str:
    """What the names of a window's files begin with."""
    return f"{run:04d}-{_compact(start)}-{_compact(until)}"


def subtract(wanted: Range, covered: list[Range]) -> list[Range]:
    """What of ``wanted`` is in none of ``covered``, which is sorted; all ends belong to their range."""
    left, (start, until) = [], wanted
    for low, high in covered:
        if high < start or low > until:
            continue
        if low > start:
            left.append((start, low - 1))
        start = max(start, high + 1)
    if start <= until:
        left.append((start, until))
    return left


def _compact(seconds: int) -> str:
    return write_date(seconds, 1).replace("-", "").replace(":", "")


def _read_compact(text: str) -> int:
    moment = parse_date(f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}:{text[13:15]}Z")
    assert moment is not None, text
    return moment
