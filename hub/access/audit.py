"""The audit: a line for every login and every change that somebody asked for. Lines are only ever added."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hub.access.ownership import give_to_hub

logger = logging.getLogger(__name__)

# A file of this size is set aside as `audit-<time>.ndjson`, and so many of those are kept.
_MAX_BYTES = 16 * 1024 * 1024
_KEPT_FILES = 20
_WORDS = 500


class Entry(msgspec.Struct, omit_defaults=True):
    """``at``: ISO 8601, UTC. ``who``: the user or token; empty: nobody who is known. ``way``: how that is known (see ``User``).

    ``what``: ``login``, ``logout``, or the method and path of a call. ``source``: the one concerned. ``with_``: parameters, in JSON
    ``with``. ``outcome``: ``done``, ``refused`` (nothing was done) or ``failed``; ``status``: that of HTTP. ``address``: where from.
    """

    at: str
    who: str
    role: str
    way: str
    what: str
    address: str
    outcome: str
    status: int = 0
    source: str = ""
    with_: dict[str, str] = msgspec.field(default_factory=dict, name="with")
    reason: str = ""


class Audit:
    """The audit in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, entry: Entry) -> None:
        """Add a line. What can't be written is logged instead: no action waits for a full disk."""
        entry.with_ = {key[:_WORDS]: value[:_WORDS] for key, value in entry.with_.items()}
        entry.reason, entry.what = entry.reason[:_WORDS], entry.what[:_WORDS]
        line = msgspec.json.encode(entry) + b"\n"
        try:
            self._set_aside()
            # One write to a file opened for appending: the hub and the command may both write.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
            give_to_hub(self._path)
        except OSError as error:
            logger.error("%s can't be written: %s. What it should hold: %s", self._path, error, line.decode())

    def read(self, limit: int, who: str = "", source: str = "") -> list[Entry]:
        """The last entries, the newest first; ``who``, ``source``: only of that user, of that source."""
        found: list[Entry] = []
        for path in [self._path, *reversed(self._set_asides())]:
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in reversed(lines):
                try:
                    entry = msgspec.json.decode(line, type=Entry)
                except msgspec.DecodeError:  # cut off, by a full disk
                    continue
                if (not who or entry.who == who) and (not source or entry.source == source):
                    found.append(entry)
                    if len(found) == limit:
                        return found
        return found

    def _set_aside(self) -> None:
        try:
            if self._path.stat().st_size < _MAX_BYTES:
                return
        except FileNotFoundError:
            return
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{at}{self._path.suffix}"))
        for path in self._set_asides()[:-_KEPT_FILES]:
            path.unlink(missing_ok=True)

    def _set_asides(self) -> list[Path]:
        return sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"))


def now_text() -> str:
    """This moment, as entries have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
