"""The heartbeat of a crawl under way: ``heartbeat.json`` in the source's release folder, written anew every few seconds.

It is there while a crawl runs, and after one that was killed, until the next one starts.
"""

from pathlib import Path

import msgspec

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.json_files import read_json, write_json
from crawlers.runtime.lock import is_locked

HEARTBEAT = "heartbeat.json"
# In a source's state folder: heartbeat and lock of the check under way, as those of a crawl lie in its release folder.
CHECKING = "checking"


class Heartbeat(msgspec.Struct, kw_only=True):
    """How far a crawl is. ``run``: which one, as in ``RunEntry``. Times are ISO 8601 in UTC.

    ``at``: when this was written; ``moved``: when any of the counts changed last; ``stuck_seconds``: how long none may change
    before the run is ended as stuck, 0: for ever.
    ``requests``: sent; ``responses``: received, ``bytes`` of them; ``records``: accepted; ``rejects``: lines of rejects;
    ``failed``: pages given up. ``last_url``: where the last answer came from; ``under_way``: what is being asked for, some of it.
    ``expected``: how many records there will be, None where nothing tells; ``expected_by``: who says so, ``site`` or ``last release``.
    ``harvested``, ``windows``, ``expected_windows``: of an OAI-PMH harvest, whose records are accepted in the end: those that came, the
    windows that are done, and about how many there are; 0, 0 and None elsewhere.
    """

    run: str
    started: str
    at: str
    moved: str = ""
    stuck_seconds: float = 0.0
    requests: int = 0
    responses: int = 0
    bytes: int = 0
    records: int = 0
    rejects: int = 0
    failed: int = 0
    expected: int | None = None
    expected_by: str = ""
    harvested: int = 0
    windows: int = 0
    expected_windows: int | None = None
    last_url: str = ""
    under_way: list[str] = msgspec.field(default_factory=list)

    @property
    def came(self) -> int:
        """Records so far: accepted, or, of a harvest, which accepts them in the end, harvested."""
        return self.harvested or self.records

    @property
    def total(self) -> int | None:
        """How many records there will be; None where nothing tells, or more came. A harvest may ask for what is new alone: of that the site tells."""
        is_told = self.expected_windows is None or self.expected_by == "site"
        return self.expected if is_told and self.expected and self.came <= self.expected else None

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None where nothing tells."""
        if self.total:
            return self.came / self.total
        if self.expected_windows and self.windows:
            return min(self.windows / self.expected_windows, 1.0)
        return None

    def in_words(self) -> str:
        """How far it is, e.g. ``59%, 118 of 200 records``."""
        share = "" if self.share is None else f"{self.share:.0%}, "
        return f"{share}{self.came:,}{f' of {self.total:,}' if self.total else ''} records"


def read_heartbeat(folder: Path) -> Heartbeat | None:
    """How far the crawl into the release folder ``folder`` is; None where none is under way, or it is one of a foreign crawler."""
    try:
        heartbeat = read_json(folder / HEARTBEAT, Heartbeat, "")
        return heartbeat if is_locked(folder) else None
    except ReleaseError:
        return None


def write_heartbeat(folder: Path, heartbeat: Heartbeat) -> None:
    """Put it in place of the one before. Only the crawl under way may.

    :raises OSError: the disk failed.
    """
    write_json(folder, HEARTBEAT, heartbeat)


def remove_heartbeat(folder: Path) -> None:
    """The crawl is over."""
    (folder / HEARTBEAT).unlink(missing_ok=True)
