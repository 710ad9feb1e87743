"""``fleet check``: do the records of the last release still have their pages?

A slice of them is visited at a time, politely. Nothing is marked unless the checker proves, before the slice and after it, that it
tells a page that is gone from one that is not, by two URLs that the manifest names.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import msgspec
import requests

from crawlers.runtime.api import ApiClient, RequestFailed
from crawlers.runtime.errors import FleetError, LockedError, UsageError
from crawlers.runtime.heartbeat import CHECKING
from crawlers.runtime.history import name_run
from crawlers.runtime.http import PATIENCE, Patience, is_http_url
from crawlers.runtime.lock import source_lock
from crawlers.runtime.manifest import Checking, Source
from crawlers.runtime.progress import Progress
from crawlers.runtime.release import DATA, Counts, read_release, release_folder, state_folder
from crawlers.runtime.signals import stopping
from crawlers.runtime.tally import Tally
from crawlers.runtime.watch import Watch, stuck_seconds
from crawlers.runtime.withdrawals import TIMES_MISSING, Visit, Withdrawals

logger = logging.getLogger(__name__)


class CheckReport(msgspec.Struct, kw_only=True):
    """What a check found. ``visited``: by verdict; ``withdrawn``: records that it marked now; ``marked``: all that are."""

    visited: dict[str, int]
    withdrawn: list[str]
    marked: int


def check(
    source: Source,
    shared_dir: Path,
    *,
    base_url: str = "",
    contact: str = "",
    patience: Patience = PATIENCE,
    stuck_minutes: float | None = None,
) -> CheckReport:
    """Visit the next slice of the records of the last release.

    :param stuck_minutes: as of ``crawl``. :raises StuckError: nothing moved for too long. :raises Interrupted: SIGTERM or SIGINT ended it.
    :raises UsageError: the manifest has no ``[check]``. :raises LockedError: another check is under way.
    :raises FleetError: there is no release, or the checker failed its own test: nothing was marked then.
    """
    name, checking = source.name, source.manifest.check
    if checking is None:
        raise UsageError(f"{name}: its manifest has no [check] table: docs/checking.md tells what goes into it")
    folder = release_folder(shared_dir, name)
    if read_release(folder) is None:
        raise FleetError(f"{name}: nothing to check, no release was published yet. Crawl it first: fleet crawl {name}")
    tally, counts, state_dir = Tally(quiet=True), Counts(), state_folder(shared_dir, name)
    client = ApiClient(
        source.manifest, tally, lambda *_, **__: None, base_url=base_url, contact=contact, patience=patience
    )
    checker = _Checker(name, checking, client)
    limit_seconds = stuck_seconds(source.manifest, patience, stuck_minutes)
    progress = Progress(f"{name}, check", tally, counts)
    try:
        with Withdrawals(shared_dir, name) as state, _locked(state_dir / CHECKING, name), stopping() as stop:
            with Watch(state_dir / CHECKING, state_dir, name_run(), tally, counts, limit_seconds, name) as watch:
                with stop.heeding():
                    checker.prove()
                    state.take_up(_records(folder / DATA))
                    visits: list[Visit] = []
                    due = state.due(checking.slice, time.time() - checking.every_hours * 3600)
                    watch.expected = len(due)
                    for identifier, url in due:
                        visits.append(checker.visit(identifier, url))
                        counts.items += 1
                        progress.tick()
                    checker.prove()
                with stop.too_late():
                    withdrawn = state.note(visits, time.time())
            return CheckReport(
                visited=dict(Counter(visit.verdict for visit in visits)),
                withdrawn=withdrawn,
                marked=len(state.withdrawn()),
            )
    finally:
        progress.close()
        client.close()


def says_gone(checking: Checking, text: str) -> str:
    """By which selector a page says that its record is gone; empty where it doesn't."""
    from parsel import Selector

    for kind, expression in (("css", checking.gone_css), ("xpath", checking.gone_xpath)):
        if not expression:
            continue
        page = Selector(text or " ")
        if page.css(expression) if kind == "css" else page.xpath(expression):
            return f"its page says so, at gone_{kind} {expression!r}"
    return ""


class _Checker:
    def __init__(self, name: str, checking: Checking, client: ApiClient) -> None:
        self._name = name
        self._checking = checking
        self._client = client

    def prove(self) -> None:
        """:raises FleetError: the checker does not tell the manifest's two references apart."""
        for url, expected in (
            (self._checking.reference_alive, ("alive",)),
            (self._checking.reference_gone, ("missing", "gone")),
        ):
            found = self.visit("", url)
            if found.verdict not in expected:
                raise FleetError(
                    f"{self._name}: the checker failed its own test, so nothing was marked: {url} must come out as "
                    f"{' or '.join(expected)}, and is {found.verdict}{f' ({found.reason})' if found.reason else ''}. See whether the "
                    "site is well; correct gone_css or gone_xpath, or the references, in [check] of the manifest"
                )

    def visit(self, identifier: str, url: str) -> Visit:
        if not is_http_url(url):
            return Visit(identifier, "unknown", "its url can't be asked for")
        try:
            answer = self._client.get(url)
        except RequestFailed as error:
            verdict = "missing" if error.kind == "not_found" else "unknown"
            return Visit(identifier, verdict, f"{url} answered {error.message}, {TIMES_MISSING} times in a row")
        assert answer is not None
        gone = says_gone(self._checking, _text(answer))
        return Visit(identifier, "gone" if gone else "alive", gone)


class _Line(msgspec.Struct):
    identifier: str = msgspec.field(name="_id")
    url: Any = ""


def _records(data: Path) -> Iterator[tuple[str, str]]:
    decoder = msgspec.json.Decoder(_Line)
    with data.open("rb") as lines:
        for line in lines:
            record = decoder.decode(line)
            yield record.identifier, record.url if isinstance(record.url, str) else ""


def _text(answer: requests.Response) -> str:
    from w3lib.encoding import html_to_unicode

    return html_to_unicode(answer.headers.get("Content-Type"), answer.content, default_encoding="utf-8")[1]


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    lock = source_lock(folder)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise LockedError(f"{name}: another check of this source is under way (it holds {lock.lock_file})") from error
    try:
        yield
    finally:
        lock.release()
