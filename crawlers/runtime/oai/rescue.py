"""A window, harvested whatever it takes: from the plain list to its records one by one, and a word on each that is lost."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from crawlers.runtime import http
from crawlers.runtime.errors import FleetError
from crawlers.runtime.oai.answer import BAD_ARGUMENT, BAD_TOKEN, BAD_VERB, NO_FORMAT, NO_RECORDS, NO_SETS
from crawlers.runtime.oai.dates import write_date
from crawlers.runtime.oai.endpoint import AskError, Endpoint
from crawlers.runtime.oai.ledger import GapNote, Ledger, Plan, Range
from crawlers.runtime.oai.listing import HOLE, LOOP, SHORT, Listing, ListFailed
from crawlers.runtime.oai.windows import DONE, EMPTY, WindowWriter

logger = logging.getLogger(__name__)

# In a window that failed already, the same is not asked often: it is halved some thirty times, at worst.
_RESCUE_TRIES = 2
# So many windows that fail one after the other are more than one bad record, halved down to its second.
_FAILURES_MAX = 48
_RECORD_FAILURES_MAX = 20
_TOKEN_KINDS = {BAD_TOKEN, SHORT, LOOP, HOLE}
# What is wrong with the whole harvest, unless the server answered such requests before.
_REFUSALS = {BAD_ARGUMENT, NO_FORMAT, NO_SETS}
# An answer such as these says that the verb is not there, rather than that the records can't be had.
_NO_VERB_STATUSES = (404, 405, 501)


class ServerDown(FleetError):
    """The server answers nothing at all: there is nothing to rescue now."""


class Refused(FleetError):
    """The server can't do what it was asked for. ``kind``: the protocol's word for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Outcome:
    """What became of a window."""

    records: int = 0
    deleted: int = 0
    gaps: int = 0


@dataclass
class _Short:
    """A window whose list was shorter than announced: ``records`` it had, ``halves`` those of its halves."""

    records: int
    halves: list[int] = field(default_factory=list)


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
            if failure.kind == BAD_VERB or failure.status in _NO_VERB_STATUSES:
                self._without_lists(start, until, failure, outcome)
            else:
                self._probe(failure)
                self._halve(start, until, failure, outcome)
        else:
            if rest:
                self._probe(rest[1])
                self._rescue([rest[0]], outcome)
        return outcome

    def _list(
        self, start: int, until: int, outcome: Outcome, tries: int, limit: int | None = None, cap: int | None = None
    ) -> tuple[Range, ListFailed] | None:
        """List a window; returns what is left of it, and why, where a part of it came."""
        listing = Listing(self._endpoint, self._plan, start, until, self._on_page)
        rest = None
        with self._ledger.writing(self._plan.run, start, until) as writer:
            try:
                listing.run(writer, tries, limit, cap)
            except ListFailed as failure:
                resume_at = (
                    None
                    if self._endpoint.ignores_dates or failure.kind == SHORT
                    else listing.seen.resume_at(start, self._plan.granularity)
                )
                if resume_at is not None:
                    self._endpoint.count("restarted")
                    logger.info("restarting from %s: %s", listing.seen.last, failure)
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

    def _halve(self, start: int, until: int, failure: ListFailed, outcome: Outcome) -> None:
        if self._is_instant(start, until):
            self._endpoint.count("restarted")
            self._rescue([(start, until)], outcome)
            return
        self._endpoint.count("halved")
        short = _Short(failure.records) if failure.kind == SHORT else None
        left, right = self._halves(start, until)
        self._rescue([right, left], outcome, short)

    def _rescue(self, stack: list[Range], outcome: Outcome, short: _Short | None = None) -> None:
        """Harvest the windows on the stack, the last one first, each halved as often as it must be."""
        parents: dict[Range, _Short] = dict.fromkeys(stack, short) if short else {}
        failures = 0
        while stack:
            window = stack.pop()
            parent = parents.pop(window, None)
            before = outcome.records
            try:
                rest = self._list(*window, outcome, _RESCUE_TRIES)
            except ListFailed as failure:
                self._learn(parent, failure.records)
                failures += 1
                if self._is_instant(*window):  # it may be listed again once
                    stack.append(window)
                elif failures > _FAILURES_MAX and failure.kind not in _TOKEN_KINDS:
                    self._give_up(window, failure, outcome)
                else:
                    self._endpoint.count("halved")
                    left, right = self._halves(*window)
                    if failure.kind == SHORT and not self._endpoint.sizes_lie:
                        parents[left] = parents[right] = _Short(failure.records)
                    stack += [right, left]
            else:
                failures = 0
                self._learn(parent, outcome.records - before)
                if rest:
                    stack.append(rest[0])

    def _learn(self, parent: _Short | None, records: int) -> None:
        """Two halves that give no more than the whole did, which was announced to be more: the announcements are wrong."""
        if parent is None:
            return
        parent.halves.append(records)
        if len(parent.halves) == 2 and sum(parent.halves) <= parent.records:
            self._endpoint.sizes_lie = True
            self._endpoint.count("sizes_doubted")
            logger.warning("%s announces more records than it has: completeListSize is not heeded", self._endpoint.url)

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
            if failed > _RECORD_FAILURES_MAX:
                self._probe(failure)
                for lost in wanted[number + 1 :]:
                    listing.seen.missing[lost] = f"{failure}; not asked for, as {failed} before it failed"
                return
        if failure.kind == SHORT and not wanted:
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
            writer.add(reply.frame, reply.body)
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
        reason = "the server does not know Identify, and answered nothing before"
        if self._endpoint.identifies:
            try:
                self._endpoint.identify(_RESCUE_TRIES)
                return
            except AskError as error:
                reason = f"it does not answer Identify either: {error}"
        elif self._endpoint.proved:
            return
        raise ServerDown(
            f"{failure}; {reason}. What was harvested is kept: once the server is back, run this again, and it goes on from here."
        )

    def _describe(self, start: int, until: int) -> str:
        return f"all from {write_date(start, self._plan.granularity)} until {write_date(until, self._plan.granularity)}"

    def _is_instant(self, start: int, until: int) -> bool:
        return until - start < self._plan.granularity or self._endpoint.ignores_dates

    def _halves(self, start: int, until: int) -> tuple[Range, Range]:
        step = self._plan.granularity
        middle = start + (until - start + 1) // step // 2 * step
        return (start, middle - 1), (middle, until)
