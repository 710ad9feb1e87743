"""A window, harvested whatever it takes: from the plain list to its records one by one, and a word on each that is lost."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from crawlers.runtime import http
from crawlers.runtime.errors import FleetError
from crawlers.runtime.oai.answer import BAD_ARGUMENT, BAD_TOKEN, BAD_VERB, NO_FORMAT, NO_RECORDS, NO_SETS
from crawlers.runtime.oai.dates import floor_to, parse_date, write_date
from crawlers.runtime.oai.endpoint import AskError, Endpoint
from crawlers.runtime.oai.ledger import GapNote, Ledger, Plan, Range
from crawlers.runtime.oai.list_checks import HOLE, LOOP, SHORT, SKIP, ListFailed
from crawlers.runtime.oai.listing import RECORD_FAILURES_MAX, Listing
from crawlers.runtime.oai.windows import DONE, EMPTY, WindowWriter

logger = logging.getLogger(__name__)

# In a window that failed already, the same is not asked often: it is halved some thirty times, at worst.
_RESCUE_TRIES = 2
# So many windows that fail one after the other are more than one bad record, halved down to its second.
_FAILURES_MAX = 48
_TOKEN_KINDS = {BAD_TOKEN, SHORT, SKIP, LOOP, HOLE}
# What is wrong with the whole harvest, unless the server answered such requests before.
_REFUSALS = {BAD_ARGUMENT, NO_FORMAT, NO_SETS}
# Narrower windows than so many seconds, or days, are halved without looking where their first page lies.
_WIDE = 64
# An answer such as these says that the verb is not there, rather than that the records can't be had.
_NO_VERB_STATUSES = (404, 405, 501)


# From, until, and whether it is where the fault is.
_Part = tuple[int, int, bool]


class ServerDown(FleetError):
    """The server answers nothing at all: there is nothing to rescue now."""


class Refused(FleetError):
    """The server can't do what it was asked for. ``kind``: the protocol's word for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Outcome:
    """What became of a window. ``lost``: gaps whose records can't be named."""

    records: int = 0
    deleted: int = 0
    gaps: int = 0
    lost: int = 0


class WindowHarvest:
    """Harvests windows of ``plan`` into ``ledger``."""

    def __init__(
        self, endpoint: Endpoint, ledger: Ledger, plan: Plan, on_page: Callable[[int], None] = lambda records: None
    ) -> None:
        self._endpoint = endpoint
        self._ledger = ledger
        self._plan = plan
        self._on_page = on_page
        self._restarted: set[Range] = set()
        self._page_seconds = 0

    def run(self, start: int, until: int, limit: int | None = None, cap: int | None = None) -> Outcome:
        """Harvest a window. When it returns, all of the window has its files, those that say what is missing included.

        :raises TooMany: it should be a smaller one; see ``Listing.run``. It is still open then.
        :raises ServerDown: it is still open, apart from what came.
        """
        outcome = Outcome()
        try:
            rest = self._list(start, until, outcome, http.RETRIES + 1, limit, cap)
        except ListFailed as failure:
            if failure.kind in _REFUSALS and not self._endpoint.proved:
                raise Refused(failure.kind, str(failure)) from failure
            if (failure.kind == BAD_VERB or failure.status in _NO_VERB_STATUSES) and not self._endpoint.proved:
                self._without_lists(start, until, failure, outcome)
            else:
                self._probe(failure)
                self._rescue(self._parts(start, until), outcome)
        else:
            if rest:
                self._probe(rest[1])
                self._rescue([(*rest[0], False)], outcome)
        return outcome

    def _list(
        self, start: int, until: int, outcome: Outcome, tries: int, limit: int | None = None, cap: int | None = None
    ) -> tuple[Range, ListFailed] | None:
        """List a window; returns what is left of it, and why, where a part of it came."""
        listing = Listing(self._endpoint, self._plan, start, until, self._on_page)
        rest = None
        with self._ledger.writing(self._plan.run, start, until) as writer:
            try:
                listing.run(writer, tries, limit, cap, whole=self._is_instant(start, until))
            except ListFailed as failure:
                resume_at = None
                if failure.kind != SHORT and not self._endpoint.ignores_dates:
                    resume_at = listing.seen.resume_at(start, self._plan.granularity)
                if resume_at is not None:
                    self._endpoint.count("restarted")
                    logger.info("restarting from %s: %s", listing.seen.last, failure)
                    self._page_seconds = listing.seen.page_seconds
                    writer.until = resume_at - 1
                    rest = (resume_at, until), failure
                elif failure.kind == HOLE or (
                    self._is_instant(start, until) and not self._may_restart(listing, failure)
                ):
                    self._one_by_one(writer, listing, failure)
                else:
                    failure.records = listing.seen.records
                    raise
            self._note_missing(writer, listing, outcome)
        outcome.records += listing.seen.records
        outcome.deleted += listing.seen.deleted
        return rest

    def _may_restart(self, listing: Listing, failure: ListFailed) -> bool:
        """Whether an instant that can't be halved is worth to be listed again before its records are asked for one by one."""
        again = listing.seen.pages > 0 and failure.kind in (BAD_TOKEN, "connection", "timeout", LOOP)
        key = (listing.start, listing.until)
        if again and key not in self._restarted:
            self._restarted.add(key)
            return True
        return False

    def _rescue(self, stack: list[_Part], outcome: Outcome) -> None:
        """Harvest the windows on the stack, the last one first, each cut into parts as often as it must be."""
        failures = 0
        while stack:
            start, until, located = stack.pop()
            lost = outcome.lost
            try:
                rest = self._list(start, until, outcome, 1 if located else _RESCUE_TRIES)
            except ListFailed as failure:
                failures += 1
                if failures > _FAILURES_MAX and failure.kind not in _TOKEN_KINDS:
                    self._give_up((start, until), failure, outcome)
                else:
                    stack += self._parts(start, until, located)
            else:
                failures = failures + 1 if outcome.lost > lost else 0
                if rest:
                    stack.append((*rest[0], False))

    def _parts(self, start: int, until: int, located: bool = False) -> list[_Part]:
        """The parts of a window that failed, the last one first. ``located``: it is where the fault is, so it is halved."""
        if self._is_instant(start, until):  # once more; then record by record
            self._endpoint.count("restarted")
            return [(start, until, True)]
        self._endpoint.count("halved")
        step = self._plan.granularity
        page = (
            None
            if located or until - start < _WIDE * step
            else self._first_page(start, until) or self._next_page(start, until)
        )
        if page is None:
            middle = start + (until - start + 1) // step // 2 * step
            return [(middle, until, True), (start, middle - 1, True)]
        low, high = page
        parts = [(high + 1, until, False), (low, high, True), (start, low - 1, True)]
        return [part for part in parts if part[0] <= part[1]]

    def _first_page(self, start: int, until: int) -> Range | None:
        """Where the first page of a window lies, by the dates that ListIdentifiers gives; None where that is of no help."""
        self._endpoint.count("located")
        arguments = Listing(self._endpoint, self._plan, start, until).arguments()
        try:
            answer = self._endpoint.list_identifiers(arguments, _RESCUE_TRIES).answer
        except AskError:
            return None
        dates = [date for record in answer.records() if (date := parse_date(record.datestamp)) is not None]
        step = self._plan.granularity
        low, high = (
            (max(floor_to(min(dates), step), start), min(floor_to(max(dates), step) + step - 1, until))
            if dates
            else (1, 0)
        )
        return (low, high) if low <= high and high - low < (until - start) // 2 else None

    def _next_page(self, start: int, until: int) -> Range | None:
        """Where the first page of a window probably lies, by how far apart the records before it were."""
        step = self._plan.granularity
        high = floor_to(start + 2 * self._page_seconds, step) + step - 1
        return (start, high) if self._page_seconds and high - start < (until - start) // 2 else None

    def _one_by_one(self, writer: WindowWriter, listing: Listing, failure: ListFailed) -> None:
        """Ask for what the list did not give record by record, by the identifiers that ListIdentifiers gives."""
        self._endpoint.count("listed")
        logger.info("asking for records one by one: %s", failure)
        try:
            listed = self._identifiers(writer, listing)
        except ListFailed as error:
            self._probe(error)
            listing.seen.lost = f"{failure}; ListIdentifiers: {error}"
            return
        have = writer.identifiers()
        failed = 0
        for number, identifier in enumerate(wanted := [name for name in listed if name not in have]):
            if listing.fetch(writer, identifier, str(failure)):
                listing.seen.records += 1
                failed = 0
                continue
            failed += 1
            if failed > RECORD_FAILURES_MAX:
                self._probe(failure)
                for lost in wanted[number + 1 :]:
                    listing.seen.missing[lost] = f"{failure}; not asked for, as {failed} before it failed"
                return
        if failure.kind == SHORT and not wanted:  # two lists agree with each other, and not with their announced size
            self._endpoint.sizes_lie = True
            self._endpoint.count("sizes_doubted")

    def _identifiers(self, writer: WindowWriter, listing: Listing) -> list[str]:
        """The identifiers in a window, those of deleted records left out: their header is all there is, and is written."""
        found: dict[str, None] = {}
        arguments, tokens = listing.arguments(), set()
        while True:
            try:
                reply = self._endpoint.list_identifiers(arguments, _RESCUE_TRIES + 1)
            except AskError as error:
                raise ListFailed(error.kind, str(error), error.status) from error
            answer = reply.answer
            if answer.error and answer.error != NO_RECORDS:
                raise ListFailed(answer.error, answer.describe_errors(), reply.frame.status)
            writer.add(reply.frame, reply.body, answer)
            for record in answer.records():
                if not record.deleted:
                    found[record.identifier] = None
                else:
                    writer.state = DONE
            if answer.token is None or not answer.token.text:
                return list(found)
            if answer.token.text in tokens:
                raise ListFailed(LOOP, "the token of ListIdentifiers repeats")
            tokens.add(answer.token.text)
            arguments = {"resumptionToken": answer.token.text}

    def _without_lists(self, start: int, until: int, failure: ListFailed, outcome: Outcome) -> None:
        """Harvest from a server that has no ListRecords."""
        listing = Listing(self._endpoint, self._plan, start, until, self._on_page)
        with self._ledger.writing(self._plan.run, start, until) as writer:
            self._one_by_one(writer, listing, failure)
            self._note_missing(writer, listing, outcome)
        outcome.records += listing.seen.records

    def _note_missing(self, writer: WindowWriter, listing: Listing, outcome: Outcome) -> None:
        seen = listing.seen
        if not seen.missing and not seen.lost:
            return
        reason = seen.lost or next(iter(seen.missing.values()))
        # Where some can't be named, naming others would say that they are all.
        note = GapNote(
            reason=reason,
            kind="window" if seen.lost else "record",
            identifiers=[] if seen.lost else sorted(seen.missing),
        )
        self._ledger.note_gap(self._plan.run, listing.start, writer.until, note)
        if seen.lost and writer.state == EMPTY:
            writer.state = ""
        outcome.gaps += 1
        outcome.lost += bool(seen.lost)
        logger.warning(
            "missing: %s: %s", ", ".join(note.identifiers[:5]) or self._describe(listing.start, writer.until), reason
        )

    def _give_up(self, window: Range, failure: ListFailed, outcome: Outcome) -> None:
        self._probe(failure)
        self._ledger.note_gap(self._plan.run, *window, GapNote(reason=str(failure), kind=failure.kind))
        outcome.gaps += 1
        logger.warning("missing: %s: %s", self._describe(*window), failure)

    def _probe(self, failure: ListFailed) -> None:
        """See that the server is there at all, where that is in doubt.

        :raises ServerDown: it isn't.
        """
        if failure.kind in _TOKEN_KINDS:
            return
        try:
            self._endpoint.identify(_RESCUE_TRIES)
            return
        except AskError as error:
            # A server that never knew Identify, and answered other requests, is there as long as it says so.
            if error.status and not self._endpoint.identifies and self._endpoint.proved:
                return
            reason = f"it does not answer Identify either: {error}"
        raise ServerDown(
            f"{failure}; {reason}. What was harvested is kept: once the server is back, run this again, and it goes on from here."
        )

    def _describe(self, start: int, until: int) -> str:
        return f"all from {write_date(start, self._plan.granularity)} until {write_date(until, self._plan.granularity)}"

    def _is_instant(self, start: int, until: int) -> bool:
        return until - start < self._plan.granularity or self._endpoint.ignores_dates
