"""What people ask of a crawler's container, by files in the source's state folder: no network leads from the hub to a crawler.

``<source>_state/orders/`` holds ``crawl.json`` and ``check.json``, each an order that waits, and ``pause.json`` while the source is
paused. Each is written in one step, and removed by who carries the order out: the container looks each minute.
"""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.json_files import read_json, write_json
from crawlers.runtime.release import format_release

ORDERS = "orders"
PAUSE = "pause.json"
_MAX_CHARACTERS = 500

Command = Literal["crawl", "check"]
COMMANDS: tuple[Command, ...] = get_args(Command)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """``command``: ``crawl`` or ``check``; ``by`` whom, at what moment (``at``, ISO 8601 in UTC), and why (may be empty)."""

    command: Command
    by: str
    at: str
    reason: str = ""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Since when the source is paused, by whom, why, and until when; ``until`` is empty where it is for good. Times: ISO 8601 in UTC."""

    by: str
    since: str
    reason: str
    until: str = ""

    def __str__(self) -> str:
        end = f" until {self.until}" if self.until else ""
        return f"paused since {self.since}{end} by {self.by}: {self.reason}"


def order(state_dir: Path, command: Command, by: str, reason: str = "") -> Order:
    """Ask for ``command``; returns the order that waits: the one which waited already, if there was one.

    :param state_dir: the source's state folder (``release.state_folder``); it is made where it is not there.
    :raises UsageError: there is no such command. :raises FleetError: the folder can't be written.
    """
    if command not in COMMANDS:
        raise UsageError(f"{command!r} can't be ordered: {' or '.join(COMMANDS)} is expected")
    if waiting := _read_order(state_dir, command):
        return waiting
    new = Order(command=command, by=_in_a_line(by), at=_now(), reason=_in_a_line(reason))
    _write(state_dir, f"{command}.json", new)
    return new


def read_orders(state_dir: Path) -> list[Order]:
    """The orders that wait, the oldest first. One that can't be read is not among them."""
    found = [waiting for command in COMMANDS if (waiting := _read_order(state_dir, command))]
    return sorted(found, key=lambda waiting: waiting.at)


def take_order(state_dir: Path) -> Order | None:
    """Take the oldest order that waits, so that nobody else does; None where there is none.

    :raises FleetError: it can't be taken away.
    """
    for waiting in read_orders(state_dir):
        if _remove(state_dir / ORDERS / f"{waiting.command}.json"):
            return waiting
    return None


def drop_unreadable(state_dir: Path) -> None:
    """Remove what lies there as an order and is none: it would be found again each minute.

    :raises FleetError: it can't be removed.
    """
    for command in COMMANDS:
        if _read_order(state_dir, command) is None:
            _remove(state_dir / ORDERS / f"{command}.json")


def withdraw(state_dir: Path, command: Command) -> bool:
    """Take back the order that waits; False where none does any more.

    :raises FleetError: the folder can't be written.
    """
    return command in COMMANDS and _remove(state_dir / ORDERS / f"{command}.json")


def pause(state_dir: Path, by: str, reason: str, until: datetime | None = None) -> Pause:
    """Pause the source: it is crawled by hand and by order only. A pause that there was is replaced.

    :param until: when it ends by itself (aware); None: ``resume`` ends it.
    :raises UsageError: there is no reason, or ``until`` is past. :raises FleetError: the folder can't be written.
    """
    if not reason.strip():
        raise UsageError("a pause needs a reason: others will ask why the source isn't crawled")
    if until is not None and until <= datetime.now(UTC):
        raise UsageError(f"the pause would end at {format_release(until)}, which is past: a later moment is expected")
    new = Pause(
        by=_in_a_line(by), since=_now(), reason=_in_a_line(reason), until=format_release(until) if until else ""
    )
    _write(state_dir, PAUSE, new)
    return new


def resume(state_dir: Path) -> bool:
    """End the pause of the source; False where there was none.

    :raises FleetError: the folder can't be written.
    """
    return _remove(state_dir / ORDERS / PAUSE)


def read_pause(state_dir: Path, now: datetime | None = None) -> Pause | None:
    """The pause that holds at the moment ``now`` (aware; None: at present); None where none does.

    :raises ReleaseError: what is there can't be read.
    """
    path = state_dir / ORDERS / PAUSE
    found = read_json(path, Pause, "It tells why the source is paused; `fleet resume` removes it.")
    if found is None or not found.until:
        return found
    return found if (now or datetime.now(UTC)) < _moment(found.until, path) else None


def _read_order(state_dir: Path, command: Command) -> Order | None:
    try:
        found = read_json(state_dir / ORDERS / f"{command}.json", Order, "")
    except FleetError:
        return None
    return found if found and found.command == command else None


def _write(state_dir: Path, name: str, content: msgspec.Struct) -> None:
    folder = state_dir / ORDERS
    try:
        _require_own(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder, name, content)
    except OSError as error:
        raise FleetError(_refused(folder, error)) from error


def _remove(path: Path) -> bool:
    try:
        _require_own(path.parent)
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise FleetError(_refused(path.parent, error)) from error
    return True


def _require_own(folder: Path) -> None:
    """:raises OSError: the folder, or the state folder that it lies in, is a link: who writes through it writes somewhere else."""
    for it in (folder.parent, folder):
        if it.is_symlink():
            raise OSError(errno.ELOOP, f"{it} is a symbolic link, a folder is expected")


def _refused(folder: Path, error: OSError) -> str:
    return f"{folder} can't be written: {error}. Run the command as the user that crawls; uid {os.geteuid()} may not."


def _moment(text: str, path: Path) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # somebody wrote it by hand: a pause that is not understood is one that holds
        raise FleetError(
            f"{path}: until is {text!r}, a date and time as 2026-11-22T01:02:03Z is expected. `fleet resume` removes the file."
        ) from None


def _in_a_line(text: str) -> str:
    """Words for a terminal and a page: nothing that moves a cursor, and not a book."""
    return " ".join("".join(it if it.isprintable() else " " for it in text).split())[:_MAX_CHARACTERS]


def _now() -> str:
    return format_release(datetime.now(UTC))
