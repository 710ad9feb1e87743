"""The page store: every answer of a site, kept on disk by the fingerprint of its request.

One SQLite database in the source's state folder. Each answer is a transaction of its own, in the write-ahead log before the spider
sees it: a process that is killed loses none of them, and none is there in part. Who holds the source's lock is its only user, so
no shared memory is needed (https://sqlite.org/wal.html#noshm), which some network file systems lack.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from crawlers.runtime.errors import FleetError

FOLDER = "pages"
_FILE = "pages.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pages (
    fingerprint BLOB PRIMARY KEY,
    url TEXT NOT NULL,
    status INTEGER NOT NULL,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    packed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    fetched TEXT NOT NULL,
    used TEXT NOT NULL
)"""
# The fastest level; pages are packed while others wait.
_LEVEL = 1
_WORTH_PACKING_BYTES = 256


class StoredPage(NamedTuple):
    """An answer. ``headers``: as they were sent; ``body``: as it was sent, with its content encoding.

    ``seconds``: when it was stored or confirmed, a Unix time; ``fetched``, ``used``: the runs that did so, and that used it last.
    """

    url: str
    status: int
    headers: bytes
    body: bytes
    seconds: float
    fetched: str
    used: str


class PageStore:
    """The store of a source, open until ``close``.

    :param folder: the source's state folder.
    :raises FleetError: when it is opened, or later: the disk fails, or the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FOLDER / _FILE
        with self._disk():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_SCHEMA)

    def get(self, fingerprint: bytes) -> StoredPage | None:
        """The answer to the request of this fingerprint; None where there is none."""
        with self._disk():
            row = self._database.execute(
                "SELECT url, status, headers, body, packed, seconds, fetched, used FROM pages WHERE fingerprint = ?",
                (fingerprint,),
            ).fetchone()
            if row is None:
                return None
            url, status, headers, body, packed, *when = row
            return StoredPage(url, status, headers, zlib.decompress(body) if packed else body, *when)

    def put(
        self,
        fingerprint: bytes,
        *,
        url: str,
        status: int,
        headers: bytes,
        body: bytes,
        encoded: bool,
        seconds: float,
        run: str,
    ) -> None:
        """Keep an answer in place of an older one. ``encoded``: its body has a content encoding, so it is packed already."""
        packed = not encoded and len(body) >= _WORTH_PACKING_BYTES
        kept = zlib.compress(body, _LEVEL) if packed else body
        with self._disk():
            self._database.execute(
                "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (fingerprint, url, status, headers, kept, packed, seconds, run, run),
            )

    def confirm(self, fingerprint: bytes, headers: bytes, seconds: float, run: str) -> None:
        """The site said that the answer has not changed."""
        with self._disk():
            self._database.execute(
                "UPDATE pages SET headers = ?, seconds = ?, fetched = ?, used = ? WHERE fingerprint = ?",
                (headers, seconds, run, run, fingerprint),
            )

    def use(self, fingerprint: bytes, run: str) -> None:
        """``run`` takes the answer as it is."""
        with self._disk():
            self._database.execute("UPDATE pages SET used = ? WHERE fingerprint = ?", (run, fingerprint))

    def doubt(self, fingerprint: bytes) -> None:
        """The answer is not what it should be: whatever run it is of, the site is asked again."""
        with self._disk():
            self._database.execute("UPDATE pages SET fetched = '' WHERE fingerprint = ?", (fingerprint,))

    def remove_unused(self, run: str) -> int:
        """Remove the answers that ``run`` did not use; returns how many."""
        with self._disk():
            return self._database.execute("DELETE FROM pages WHERE used != ?", (run,)).rowcount

    def __len__(self) -> int:
        with self._disk():
            return self._database.execute("SELECT count(*) FROM pages").fetchone()[0]

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, zlib.error) as error:
            raise FleetError(
                f"{self.path}: the page store failed: {error}. See that the disk has room and works; if the file is damaged, remove "
                f"{self.path.parent}: the next crawl fetches all pages anew."
            ) from error
