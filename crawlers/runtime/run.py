"""A crawl under way: what the parts of it share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crawlers.runtime.addresses import Addresses
from crawlers.runtime.http import PATIENCE, Patience
from crawlers.runtime.manifest import Source
from crawlers.runtime.progress import Progress
from crawlers.runtime.record import complete
from crawlers.runtime.signals import Stop
from crawlers.runtime.tally import Tally
from crawlers.runtime.withdrawals import Withdrawals, read_withdrawn
from crawlers.runtime.writer import ReleaseWriter


@dataclass
class Run:
    """A crawl under way.

    ``base_url``: where requests go instead of the real hosts; empty: to them. ``limit``: stop after so many records; 0: never.
    ``on_record``: called with each record as it will be published. ``origins``: by ``id(item)``, the page that it came from.
    ``halt``: ends the crawl at once, where it doesn't end by the error that is raised.
    ``end_reason``: how Scrapy says that the spider ended. ``limited``: whether the limit cut the crawl short.
    ``addresses``: where it may connect to. ``withdrawn``: by ``_id``, why the site's checks keep a record out. ``ending``: called when the spider has ended, however it did.
    """

    source: Source
    writer: ReleaseWriter
    tally: Tally
    progress: Progress
    stop: Stop
    base_url: str = ""
    limit: int = 0
    contact: str = ""
    patience: Patience = PATIENCE
    on_record: Callable[[dict[str, Any]], None] | None = None
    origins: dict[int, str] = field(default_factory=dict)
    halt: Callable[[], None] = lambda: None
    end_reason: str = ""
    limited: bool = False
    ending: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.addresses = Addresses(self.source.manifest, self.base_url)
        checked = self.source.manifest.check is not None
        self.withdrawn = read_withdrawn(self.writer.folder.parent, self.source.name) if checked else {}

    def accept(self, record: Any, url: str = "") -> None:
        """Take a record that the source's code made."""
        if isinstance(record, dict):
            record = complete(record, self.source.manifest)
            if reason := self.withdrawn.get(record.get("_id", "")):
                self.writer.withdraw(record, reason, url)
                return
        self.writer.write(record, url)
        if self.on_record and isinstance(record, dict):
            self.on_record(record)
        self.progress.tick()

    def see_alive(self, record: dict[str, Any]) -> None:
        """A record's page is alive in this crawl: if it was withdrawn, it comes back."""
        identifier = complete(record, self.source.manifest).get("_id", "")
        if self.withdrawn.pop(identifier, None):
            with Withdrawals(self.writer.folder.parent, self.source.name) as state:
                state.restore(identifier)

    def fail_page(self, kind: str, url: str, message: str, field: str = "", *, harmless: bool = False) -> None:
        """Count a page that gave no record, or not all of them, and keep it in the rejects; ``field``: where in the page.

        :param harmless: it was no page of the site.
        """
        self.tally.error(kind, url, message, harmless=harmless)
        self.writer.reject(f"{kind}: {message}", url=url, field=field)
