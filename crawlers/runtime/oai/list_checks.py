"""What a list of records has to add up to: in order, of the dates that were asked for, without a leap, as long as was announced."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.dates import DAY, floor_to, is_day, parse_date, write_date
from crawlers.runtime.oai.endpoint import AskError, Endpoint, Reply
from crawlers.runtime.oai.ledger import Plan
from crawlers.runtime.oai.windows import WindowWriter

logger = logging.getLogger(__name__)

# A record by itself: it was asked for in vain before, as part of a page.
RECORD_TRIES = 3
_EDGES = 3
SHORT = "short"
SKIP = "skip"
LOOP = "loop"
HOLE = "hole"


class ListFailed(Exception):
    """A list did not come to its end. ``kind``: as in ``AskError``, a protocol error, or one of this module's.

    ``records``: how many came.
    """

    def __init__(self, kind: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.records = 0


class TooMany(Exception):
    """The window holds more records than it should.

    ``size``: how many, None where the server doesn't say; ``page``: how many are on one page; ``dates``: from when to when those on
    the first page are, in seconds since 1970; None where they are in no order.
    """

    def __init__(self, size: int | None, page: int, dates: tuple[int, int] | None) -> None:
        super().__init__()
        self.size = size
        self.page = page
        self.dates = dates


@dataclass
class Seen:
    """What a list gave so far. ``last``: the latest datestamp; ``in_order``: whether none was older than one before it.

    ``missing``: the records that are, by identifier, with the reason; ``lost``: why others may be that can't be named.
    ``page_seconds``: from the first date on the last page to the last one; ``strict``: whether the first page held nothing but
    what was asked for.
    ``edges``: the dates at which the first pages were turned: that of the last record on one, and of the first on the next.
    """

    records: int = 0
    deleted: int = 0
    pages: int = 0
    size: int | None = None
    first_cursor: int | None = None
    first: str = ""
    last: str = ""
    in_order: bool = True
    holes: bool = False
    page_keys: set[int] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)
    lost: str = ""
    page_seconds: int = 0
    strict: bool = False
    edges: list[tuple[str, str]] = field(default_factory=list)

    def add_page(self, records: list[OaiRecord]) -> None:
        if self.pages and records and len(self.edges) < _EDGES:
            self.edges.append((self.last, records[0].datestamp))
        for record in records:
            if not record.datestamp or record.datestamp < self.last:
                self.in_order = False
            else:
                self.last = record.datestamp
            self.first = self.first or record.datestamp
            self.deleted += record.deleted
        if records:
            first, last = parse_date(records[0].datestamp), parse_date(records[-1].datestamp)
            self.page_seconds = max(last - first, 0) if first is not None and last is not None else 0
        self.records += len(records)
        self.pages += 1

    def is_instant(self) -> bool:
        """Whether all came with one date: the rest can't be asked for by date without all of it."""
        return self.pages > 0 and self.first == self.last

    def resume_at(self, start: int, granularity: int) -> int | None:
        """From where the rest of the list can be asked for by date; None where that would be no gain, or leave some out."""
        moment = parse_date(self.last) if self.in_order and self.first != self.last and not self.holes else None
        if moment is None or (moment := floor_to(moment, granularity)) <= start:
            return None
        return moment


class ListChecks:
    """One window, from ``start`` to ``until``, as it is asked for and as it came."""

    def __init__(
        self,
        endpoint: Endpoint,
        plan: Plan,
        start: int,
        until: int,
        on_page: Callable[[int], None] = lambda records: None,
    ) -> None:
        self._endpoint = endpoint
        self._plan = plan
        self.start = start
        self.until = until
        self.seen = Seen()
        self._on_page = on_page

    def arguments(self) -> dict[str, str]:
        """Those of the window's first request."""
        plan = self._plan
        found = {"metadataPrefix": plan.prefix}
        # A person's own words only where they mean the same: both ends of a range have to be written alike (section 3.3.1).
        first, last = plan.open_start and self.start == plan.start, plan.open_end and self.until == plan.until
        whole = (parse_date(plan.asked_from) == self.start if plan.asked_from else first) and (
            parse_date(plan.asked_until, end=True) == self.until if plan.asked_until else last
        )
        if not first:
            found["from"] = (whole and plan.asked_from) or write_date(self.start, plan.granularity)
        if not last:
            found["until"] = (whole and plan.asked_until) or write_date(self.until, plan.granularity)
        if plan.set:
            found["set"] = plan.set
        return found

    def _check_cursor(self, writer: WindowWriter, cursor: int, records: list[OaiRecord]) -> None:
        """See whether the server is further down the list than we are: it has skipped records then."""
        seen = self.seen
        if seen.pages == 0:
            seen.first_cursor = cursor
        if seen.first_cursor is None or self._endpoint.cursors_lie or cursor <= seen.records + seen.first_cursor:
            return
        told = f"the cursor is at {cursor}, after {seen.records} records"
        skipped = self._skipped(writer, [(seen.last, records[0].datestamp)] if records else [], records)
        if skipped is None:
            raise ListFailed(SHORT, told)
        if skipped:
            raise ListFailed(SKIP, told)
        self._endpoint.cursors_lie = True

    def _check_end(self, writer: WindowWriter) -> None:
        seen = self.seen
        if seen.holes:
            raise ListFailed(HOLE, "a page could not be read; the list went on by its token")
        self._check_last_day()
        # The size may be an estimate (section 3.5).
        if seen.size is None or seen.records >= seen.size or self._endpoint.sizes_lie:
            return
        told = f"{seen.records} records came, {seen.size} were announced"
        skipped = self._skipped(writer, [*seen.edges, (seen.last, "")], [])
        if skipped is None:
            raise ListFailed(SHORT, told)
        if skipped:
            seen.last = seen.edges[0][0] if seen.edges else seen.last  # what came up to here is whole
            raise ListFailed(SKIP, told)
        self._endpoint.sizes_lie = True
        self._endpoint.count("sizes_doubted")
        logger.warning("%s: %s, but nothing was skipped: its completeListSize is not heeded", self._endpoint.url, told)

    def _check_last_day(self) -> None:
        """See whether a day given as ``until`` was taken for its midnight, as django-oai-pmh does: the rest of it is missing then."""
        until = self.arguments().get("until", "")
        midnight = parse_date(until) if self._plan.granularity == 1 and is_day(until) else None
        if midnight is None or (parse_date(self.seen.last) or midnight) > midnight:
            return
        rest = ListChecks(self._endpoint, self._plan, midnight + 1, self.until)
        try:
            answer = self._endpoint.list_identifiers(rest.arguments(), 1).answer
        except AskError:
            return  # it can't be told
        if answer.elements:
            raise ListFailed(SHORT, f"until {until} did not give what the server dates later on that day")

    def _skipped(self, writer: WindowWriter, edges: list[tuple[str, str]], current: list[OaiRecord]) -> bool | None:
        """Whether there are records between two pages that came on neither: what is dated so is asked for. None: it can't be told.

        ``edges``: as in ``Seen``; the second date is empty at the end of the list.
        """
        if not edges or not self.seen.in_order:
            return None
        known = writer.identifiers() | {record.identifier for record in current}
        for last, first in edges:
            start, until = parse_date(last), parse_date(first) if first else self.until
            if start is None or until is None or until < start:
                return None
            between = ListChecks(self._endpoint, self._plan, start, until)
            try:
                reply = self._endpoint.list_records(between.arguments(), RECORD_TRIES)
            except AskError as error:
                raise ListFailed(error.kind, str(error), error.status) from error
            if any(record.identifier not in known for record in reply.answer.records()):
                self._endpoint.tokens_skip = True
                self._endpoint.count("skips_found")
                return True
            if reply.answer.error or (reply.answer.token and reply.answer.token.text):
                return None
        return False

    def _dates(self) -> tuple[int, int] | None:
        first, last = parse_date(self.seen.first), parse_date(self.seen.last)
        return (first, last) if self.seen.in_order and first is not None and last is not None else None

    def _check_range(self, records: list[OaiRecord], reply: Reply) -> None:
        """See whether a later page is still of the dates asked for: django-oai-pmh reads ``until`` as ``from`` there, and leaves out
        what lies between. Of an instant nothing is left out so: its list only goes on too far.
        """
        seen, arguments = self.seen, self.arguments()
        dates = [record.datestamp for record in records if record.datestamp]
        moments = (
            [moment for text in (min(dates), max(dates)) if (moment := parse_date(text)) is not None] if dates else []
        )
        # By less than a day it may miss: Digital Commons takes the whole day of an ``until`` at midnight.
        inside = all(
            ("from" not in arguments or moment > self.start - DAY)
            and ("until" not in arguments or moment < self.until + DAY)
            for moment in moments
        )
        if seen.pages == 0:
            seen.strict = inside
        elif seen.strict and not inside and self.until - self.start >= self._plan.granularity:
            raise ListFailed(
                SHORT, f"{reply.frame.url}: a page after the first holds records of other dates than asked for"
            )

    def _check_dates(self, records: list[OaiRecord]) -> None:
        """See whether the server heeds the dates that it was asked for."""
        if self.seen.pages or self._endpoint.ignores_dates or not records:
            return
        arguments = self.arguments()
        for record in (records[0], records[-1]):
            moment = parse_date(record.datestamp)
            if moment is None:
                continue
            if ("from" in arguments and moment < self.start - DAY) or (
                "until" in arguments and moment > self.until + DAY
            ):
                self._endpoint.ignores_dates = True
                self._endpoint.count("dates_ignored")
