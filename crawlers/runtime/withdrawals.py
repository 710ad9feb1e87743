"""Which records were withdrawn by their site, as ``fleet check`` found out: kept from crawl to crawl in the source's state folder.

A check and a crawl of one source may run at the same time: each change is one transaction of SQLite, so a process that is killed
leaves the state as it was before.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from crawlers.runtime.errors import FleetError
from crawlers.runtime.release import state_folder

STATE = "check.sqlite"
# 404 or 410 so many times in a row: a record is withdrawn.
TIMES_MISSING = 2
_TABLE = """
CREATE TABLE IF NOT EXISTS records (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, missing INTEGER NOT NULL DEFAULT 0, visited REAL NOT NULL DEFAULT 0,
    withdrawn TEXT NOT NULL DEFAULT '', listed INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID
"""


class Visit(NamedTuple):
    """What a visit of a record's page told. ``verdict``: ``alive``, ``missing``, ``gone`` (for good), or ``unknown``."""

    identifier: str
    verdict: str
    reason: str = ""


class Withdrawals:
    """The state of the checks of a source. ``withdrawn`` in a row: why, empty where it is not; ``visited``: a Unix time."""

    def __init__(self, shared_dir: Path, source: str) -> None:
        folder = state_folder(shared_dir, source)
        self.path = folder / STATE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=60)
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise FleetError(
                f"{source}: {self.path} can't be used: {error}. See that the disk has room and works; if the file is damaged, remove "
                "it: the checks then start anew, and records withdrawn so far come back until they are found out again"
            ) from error

    def __enter__(self) -> "Withdrawals":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def take_up(self, records: Iterable[tuple[str, str]]) -> None:
        """Take up the records of a release, by ``_id`` and URL; forget those that are no longer in it, but for the withdrawn."""
        upsert = (
            "INSERT INTO records (id, url) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET url = excluded.url, listed = 1"
        )
        with self._transaction():
            self._connection.execute("UPDATE records SET listed = 0")
            self._connection.executemany(upsert, records)
            self._connection.execute("DELETE FROM records WHERE listed = 0 AND withdrawn = ''")

    def due(self, limit: int, before: float) -> list[tuple[str, str]]:
        """``_id`` and URL of the records to visit next: those missing last time first, then those not visited for longest."""
        rows = self._connection.execute(
            "SELECT id, url FROM records WHERE visited <= ? AND url != '' ORDER BY missing = 0, visited, id LIMIT ?",
            (before, limit),
        )
        return rows.fetchall()

    def note(self, visits: Iterable[Visit], now: float) -> list[str]:
        """Take note of visits, all or none; returns the records that are withdrawn by them."""
        withdrawn = []
        with self._transaction():
            for visit in visits:
                row = self._connection.execute(
                    "SELECT missing, withdrawn FROM records WHERE id = ?", (visit.identifier,)
                ).fetchone()
                missing, why = row or (0, "")
                if visit.verdict == "alive":
                    missing, why = 0, ""
                elif visit.verdict == "missing":
                    missing += 1
                if visit.verdict == "gone" or missing >= TIMES_MISSING:
                    if not why:
                        withdrawn.append(visit.identifier)
                    why = visit.reason
                self._connection.execute(
                    "UPDATE records SET missing = ?, withdrawn = ?, visited = ? WHERE id = ?",
                    (missing, why, now, visit.identifier),
                )
        return withdrawn

    def restore(self, identifier: str) -> None:
        """A record's page was seen alive."""
        self._connection.execute("UPDATE records SET missing = 0, withdrawn = '' WHERE id = ?", (identifier,))

    def withdrawn(self) -> dict[str, str]:
        """Why each withdrawn record is, by ``_id``."""
        return dict(self._connection.execute("SELECT id, withdrawn FROM records WHERE withdrawn != ''"))

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection)


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._connection.execute("ROLLBACK" if error else "COMMIT")


def read_withdrawn(shared_dir: Path, source: str) -> dict[str, str]:
    """Why each withdrawn record of ``source`` is, by ``_id``; empty where it was never checked."""
    if not (state_folder(shared_dir, source) / STATE).exists():
        return {}
    with Withdrawals(shared_dir, source) as state:
        return state.withdrawn()
