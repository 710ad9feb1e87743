"""A crawl under way: what the parts of it share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crawlers.runtime.addresses import Addresses
from crawlers.runtime.errors import FleetError
from crawlers.runtime.http import PATIENCE, Patience
from crawlers.runtime.manifest import Source
from crawlers.runtime.pages.keeping import KeptPages
from crawlers.runtime.progress import Progress
from crawlers.runtime.record import complete
from crawlers.runtime.rejects import Answer
from crawlers.runtime.schema.record import Record
from crawlers.runtime.schema.validation import Validator
from crawlers.runtime.signals import Stop
from crawlers.runtime.tally import Tally
from crawlers.runtime.withdrawals import Withdrawals, read_withdrawn
from crawlers.runtime.writer import ReleaseWriter


@dataclass
class Run:
    """A crawl under way.

    ``base_url``: where requests go instead of the real hosts; empty: to them. ``limit``: stop after so many records; 0: never.
    ``on_record``: called with each record as it will be published. ``origins``: by ``id(item)``, the answer that it came from.
    ``halt``: ends the crawl at once, where it doesn't end by the error that is raised.
    ``gaps``: what is known to be missing, as ``release.json`` says it; ``deleted``: records that the repository says are gone.
    ``pages``: the store of the pages, where they are kept.
    ``end_reason``: how Scrapy says that the spider ended. ``limited``: whether the limit cut the crawl short.
    ``failure``: why one of its parts ended the crawl. ``addresses``: where it may connect to.
    ``withdrawn``: by ``_id``, why the site's checks keep a record out. ``ending``: called when the spider has ended, however it did.
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
    origins: dict[int, Answer] = field(default_factory=dict)
    halt: Callable[[], None] = lambda: None
    end_reason: str = ""
    limited: bool = False
    gaps: list[dict[str, Any]] = field(default_factory=list)
    deleted: int = 0
    failure: FleetError | None = None
    pages: KeptPages | None = None
    ending: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        manifest = self.source.manifest
        self.validator = Validator([manifest.profile], manifest.require)
        self.addresses = Addresses(manifest, self.base_url)
        checked = manifest.check is not None
        self.withdrawn = read_withdrawn(self.writer.folder.parent, self.source.name) if checked else {}

    def fail(self, error: FleetError) -> None:
        """End the crawl at once; ``error`` says why, and nothing is published."""
        self.failure = self.failure or error
        self.halt()

    def accept(self, record: Any, url: str = "", response: Answer | None = None) -> None:
        """Take a record that the source's code made of ``response``, or of the page ``url``: a model's, or a dict."""
        if isinstance(record, Record):
            record.source, record.seen = self.source.name, self.writer.started
            url, record = url or record.source_url, record.to_dict()
        url = url or (response.url if response else "")
        refusal = None
        if isinstance(record, dict):
            record = complete(record, self.source.manifest, url)
            identifier = record.get("_id")
            if isinstance(identifier, str) and (reason := self.withdrawn.get(identifier)):
                self.writer.withdraw(record, reason, url, response)
                return
            refusal = self.validator.check(record)
        if refusal:
            self.writer.reject(
                refusal.reason, kind="schema", field=refusal.field, url=url, record=record, response=response
            )
        else:
            self.writer.write(record, url, response)
        if self.on_record and isinstance(record, dict) and not refusal:
            self.on_record(record)
        self.progress.tick()

    def see_alive(self, record: dict[str, Any]) -> None:
        """A record's page is alive in this crawl: if it was withdrawn, it comes back."""
        identifier = complete(record, self.source.manifest).get("_id")
        if isinstance(identifier, str) and self.withdrawn.pop(identifier, ""):
            with Withdrawals(self.writer.folder.parent, self.source.name) as state:
                state.restore(identifier)

    def note_unfollowable(self, url: str, message: str) -> None:
        """Count links on the page ``url`` that lead to nothing that can be asked for; the page itself is well."""
        self.tally.pages += 1  # `error` takes one off for what is no failure, and here was no request
        self.fail_page("unfollowable", url, message)

    def fail_page(
        self,
        kind: str,
        url: str,
        message: str,
        field: str = "",
        response: Answer | None = None,
        *,
        harmless: bool = False,
    ) -> None:
        """Count a page that gave no record, or not all of them, and keep it in the rejects; ``field``: where in the page.

        :param harmless: it was no page of the site.
        """
        self.tally.error(kind, url, message, harmless=harmless)
        self.writer.reject(f"{kind}: {message}", kind=kind, url=url, field=field, response=response)
