"""Which ``_id`` a release holds already, in constant memory."""

import sqlite3
from pathlib import Path

from crawlers.runtime.temporary import temporary_path

_CACHE_KIB = 32 * 1024


class IdentifierIndex:
    """The set of ``_id`` written so far, in a SQLite file beside the release: flat memory whatever its size.

    The file loses its name at once and so ends with the process, however that ends: no write waits for the disk.
    """

    def __init__(self, folder: Path) -> None:
        path = temporary_path(folder, "identifiers")
        path.unlink(missing_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            for pragma in (
                "journal_mode=MEMORY",
                "locking_mode=EXCLUSIVE",
                "synchronous=OFF",
                f"cache_size=-{_CACHE_KIB}",
            ):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.execute("CREATE TABLE identifiers (id TEXT PRIMARY KEY) WITHOUT ROWID")
        except sqlite3.Error:
            self._connection.close()
            raise
        finally:
            path.unlink()

    def add(self, identifiers: list[str]) -> list[bool]:
        """Add them; for each, whether it was new. Those within one call must differ."""
        insert = "INSERT OR IGNORE INTO identifiers VALUES (?)"
        self._connection.execute("BEGIN")
        before = self._connection.total_changes
        self._connection.executemany(insert, ((identifier,) for identifier in identifiers))
        if self._connection.total_changes - before == len(identifiers):
            self._connection.execute("COMMIT")
            return [True] * len(identifiers)
        # Some were there: once more, one by one, to see which.
        self._connection.execute("ROLLBACK")
        return [self._connection.execute(insert, (identifier,)).rowcount == 1 for identifier in identifiers]

    def close(self) -> None:
        """Forget all of it."""
        self._connection.close()
