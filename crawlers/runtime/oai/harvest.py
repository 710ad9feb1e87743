"""A harvest: what is missing is asked for once more, then what is new, by several workers at once, into the ledger."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from crawlers.runtime.errors import UsageError
from crawlers.runtime.oai.answer import BAD_ARGUMENT, NO_FORMAT
from crawlers.runtime.oai.dates import DAY, floor_to, is_day, parse_date
from crawlers.runtime.oai.endpoint import AskError, Endpoint, Identify, Stopping
from crawlers.runtime.oai.ledger import Gap, GapNote, Ledger, Plan, subtract
from crawlers.runtime.oai.list_checks import TooMany
from crawlers.runtime.oai.listing import Listing
from crawlers.runtime.oai.planning import Planner
from crawlers.runtime.oai.rescue import Outcome, Refused, WindowHarvest
from crawlers.runtime.oai.showing import HarvestProgress
from crawlers.runtime.oai.windows import EMPTY, MEND

logger = logging.getLogger(__name__)

# A plan that is older than this when it is finished is followed by one for what is new since.
_STALE_SECONDS = 3600
_UNKNOWN_START = "1990-01-01"  # a decade before the protocol


@dataclass(frozen=True)
class Wanted:
    """What is to be harvested. ``start``, ``until``: dates as a person writes them; empty: all there is.

    ``overlap_seconds``: how late a server may date a record; a later harvest begins so much before the end of the one before it.
    """

    prefix: str
    set: str = ""
    start: str = ""
    until: str = ""
    overlap_seconds: int = DAY
    workers: int = 1


class Windows(Protocol):
    """Who harvests windows: here, or elsewhere."""

    def run(self, start: int, until: int, limit: int | None = None, cap: int | None = None) -> Outcome:
        """As ``WindowHarvest.run``."""


class Harvest:
    """Harvests ``wanted`` from ``endpoint`` into ``ledger``. Whoever runs it holds the lock that goes with the ledger."""

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        wanted: Wanted,
        progress: HarvestProgress,
        windows: Callable[[Plan], Windows] | None = None,
    ) -> None:
        self._windows = windows or (lambda plan: WindowHarvest(endpoint, ledger, plan, progress.add))
        self._endpoint = endpoint
        self._ledger = ledger
        self._wanted = wanted
        self._progress = progress
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Harvest until no window is open.

        :raises UsageError: the request makes no sense, to us or to the server.
        :raises FleetError: the server is gone, or gives nothing of the kind. What was harvested stays.
        """
        wanted = self._wanted
        for name, text in (("--from", wanted.start), ("--until", wanted.until)):
            if text and parse_date(text) is None:
                raise UsageError(f"{name} is {text!r}: expected is a date, YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ")
        self._ledger.open()
        self._ledger.require_same(self._endpoint.url, wanted.prefix, wanted.set)
        before = self._ledger.plan()
        identify = self._identify()
        plan, resumed = self._next_plan(before, identify)
        while True:
            try:
                self._carry_out(plan)
                break
            except Refused as refusal:
                plan = self._explain(plan, refusal)
        if resumed and identify and (now := parse_date(identify.now)) and now - plan.now > _STALE_SECONDS:
            plan, _ = self._next_plan(plan, identify)
            self._carry_out(plan)

    def _identify(self) -> Identify | None:
        try:
            return self._endpoint.identify()
        except AskError as error:
            # Some servers answer all but this; a server that is not there says so at the next request, too.
            logger.warning("Identify: %s; the harvest goes on without what it would tell", error)
            self._endpoint.identifies = False
            return None

    def _next_plan(self, before: Plan | None, identify: Identify | None) -> tuple[Plan, bool]:
        """What to do now, and whether it is what a harvest before left undone."""
        wanted = self._wanted
        plan = self._whole(identify, before.granularity if before and not identify else None)
        if before is None:
            ranges, resumed = plan.ranges, False
        else:
            plan = msgspec.structs.replace(plan, run=before.run + 1)
            same = (before.asked_from, before.asked_until) == (plan.asked_from, plan.asked_until)
            left = tuple(self._ledger.open_ranges(before))
            if same and left and plan.granularity == before.granularity:
                # Its bounds stay, so that each window is asked for as it would have been.
                open_ends = {
                    "open_start": before.open_start and left[0][0] == before.start,
                    "open_end": before.open_end and left[-1][1] == before.until,
                }
                plan = msgspec.structs.replace(plan, ranges=left, now=before.now, **open_ends)
                ranges, resumed = left, True
            else:
                ranges, resumed = tuple(self._not_covered(plan, before)), False
                plan = msgspec.structs.replace(
                    plan,
                    open_start=plan.open_start and bool(ranges) and ranges[0][0] == plan.start,
                    open_end=plan.open_end and bool(ranges) and ranges[-1][1] == plan.until,
                )
        plan = msgspec.structs.replace(plan, ranges=ranges)
        self._ledger.write_plan(plan)
        logger.info(
            "%s: harvest %d%s, prefix %s", self._endpoint.url, plan.run, ", resumed" if resumed else "", wanted.prefix
        )
        return plan, resumed

    def _whole(self, identify: Identify | None, granularity: int | None) -> Plan:
        """The plan of a first harvest."""
        wanted = self._wanted
        if identify:
            granularity = identify.granularity
        elif granularity is None:
            granularity = 1 if any(text and not is_day(text) for text in (wanted.start, wanted.until)) else DAY
        now = parse_date(identify.now) if identify else None
        now = int(time.time()) if now is None else now
        earliest = parse_date(wanted.start or (identify.earliest if identify else "") or _UNKNOWN_START)
        start = floor_to(earliest if earliest is not None else 0, granularity)
        until = parse_date(wanted.until, end=True) if wanted.until else now
        assert until is not None
        until = floor_to(until, granularity) + granularity - 1
        if wanted.start and wanted.until and until < start:
            raise UsageError(f"--from {wanted.start} is after --until {wanted.until}")
        fits = all(not text or is_day(text) or granularity == 1 for text in (wanted.start, wanted.until))
        return Plan(
            url=self._endpoint.url,
            prefix=wanted.prefix,
            set=wanted.set,
            ranges=((start, max(until, start + granularity - 1)),),
            now=now,
            granularity=granularity,
            asked_from=wanted.start if fits else "",
            asked_until=wanted.until if fits else "",
            open_start=not wanted.start,
            open_end=not wanted.until,
        )

    def _not_covered(self, plan: Plan, before: Plan) -> list[tuple[int, int]]:
        """What of the plan was never harvested, or may have changed since."""
        fresh = floor_to(before.now - self._wanted.overlap_seconds, plan.granularity)
        known = [(gap.window.start, gap.window.until) for gap in self._ledger.gaps()]
        known += [(window.start, window.until) for window in self._ledger.windows()]
        covered = sorted((start, min(until, fresh - 1)) for start, until in known if start < fresh)
        return subtract(plan.ranges[0], covered)

    def _explain(self, plan: Plan, refusal: Refused) -> Plan:
        """What to try instead.

        :raises UsageError: nothing; says what the server offers.
        """
        if refusal.kind == BAD_ARGUMENT and plan.open_start and not plan.open_end:
            logger.warning("%s; trying with a date to begin from as well", refusal)
            plan = msgspec.structs.replace(plan, open_start=False)
            self._ledger.write_plan(plan)
            return plan
        if refusal.kind == BAD_ARGUMENT and plan.granularity == 1:
            logger.warning("%s; trying dates to the day", refusal)
            start, until = floor_to(plan.start, DAY), floor_to(plan.until, DAY) + DAY - 1
            plan = msgspec.structs.replace(plan, granularity=DAY, ranges=((start, until),))
            self._ledger.write_plan(plan)
            return plan
        offered = ""
        if refusal.kind == NO_FORMAT:
            try:
                offered = f" It offers: {', '.join(self._endpoint.formats())}."
            except AskError:
                logger.debug("the formats can't be had", exc_info=True)
        raise UsageError(f"{refusal}.{offered} Nothing was harvested.") from refusal

    def _carry_out(self, plan: Plan) -> None:
        self._failure = None
        self._endpoint.transport.stopping.clear()
        for gap in self._ledger.gaps():
            self._mend(plan, gap)
        open_ranges = self._ledger.open_ranges(plan)
        if not open_ranges:
            return
        planner = self._progress.planner = Planner(plan, open_ranges, self._wanted.workers)
        threads = [
            threading.Thread(target=self._work, args=(plan, planner), name=f"oai-{number}", daemon=True)
            for number in range(self._wanted.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # so that a signal is seen
        finally:
            planner.stop()
            self._endpoint.transport.stopping.set()
            for thread in threads:
                thread.join(2.0)
            self._endpoint.transport.stopping.clear()
        if self._failure:
            raise self._failure

    def _work(self, plan: Plan, planner: Planner) -> None:
        try:
            harvest = self._windows(plan)
            while taken := planner.take():
                window, limit, cap = taken
                try:
                    outcome = harvest.run(*window, limit, cap)
                except TooMany as many:
                    planner.split(window, many)
                    continue
                if self._endpoint.ignores_dates and outcome.records:
                    for rest in planner.drop_open():
                        self._close_unasked(plan, rest)
                planner.finish(window, outcome.records)
        except Stopping:
            planner.stop()
        except BaseException as error:
            self._failure = self._failure or error
            planner.stop()
            self._endpoint.transport.stopping.set()

    def _close_unasked(self, plan: Plan, window: tuple[int, int]) -> None:
        """A server that ignores dates has given this window's records with another's."""
        with self._ledger.writing(plan.run, *window) as writer:
            writer.state = EMPTY

    def _mend(self, plan: Plan, gap: Gap) -> None:
        """Ask once more for what is missing."""
        note, window = gap.note, gap.window
        self._endpoint.count("gaps_tried")
        if not note.identifiers:
            self._mend_window(plan, gap)
            return
        listing = Listing(self._endpoint, plan, window.start, window.until, self._progress.add)
        with self._ledger.writing(plan.run, window.start, window.until) as writer:
            for identifier in note.identifiers:
                listing.fetch(writer, identifier, note.reason.partition("; GetRecord: ")[0])
            writer.state = MEND if len(listing.seen.missing) < len(note.identifiers) else ""
        if listing.seen.missing:
            reason = next(iter(listing.seen.missing.values()))
            left = GapNote(
                reason=reason,
                kind=note.kind,
                tries=note.tries + 1,
                first=note.first,
                identifiers=sorted(listing.seen.missing),
            )
            self._ledger.note_gap(window.run, window.start, window.until, left)
        else:
            self._ledger.close_gap(gap)

    def _mend_window(self, plan: Plan, gap: Gap) -> None:
        window = gap.window
        WindowHarvest(self._endpoint, self._ledger, plan, self._progress.add).run(window.start, window.until)
        for new in self._ledger.gaps():
            if new.window.run == plan.run and window.start <= new.window.start and new.window.until <= window.until:
                new.note.tries, new.note.first = gap.note.tries + 1, gap.note.first
                self._ledger.note_gap(plan.run, new.window.start, new.window.until, new.note)
        if window.run != plan.run:
            self._ledger.close_gap(gap)
