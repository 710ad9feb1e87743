"""Rejects run again, with today's code and manifest: those that pass enter the next release.

Records go through what they go through in a crawl (``Run.accept``), into a release that is never published. Pages that are kept
go through the spider's method again; that asks for nothing more, and what it would ask for is but counted.
"""

import hashlib
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import filelock
import msgspec
import orjson

from crawlers.runtime import release as protocol
from crawlers.runtime import replayed
from crawlers.runtime.case_run import scrapy_response, synchronous
from crawlers.runtime.errors import FleetError, LockedError, PageError, ReleaseError
from crawlers.runtime.loading import load_spider
from crawlers.runtime.lock import source_lock
from crawlers.runtime.manifest import Source
from crawlers.runtime.progress import Progress
from crawlers.runtime.reject_files import UNPUBLISHED, RejectsFile, find_rejects
from crawlers.runtime.reject_groups import Group, group
from crawlers.runtime.rejects import Answer, Reject, read_rejects
from crawlers.runtime.run import Run
from crawlers.runtime.signals import Stop
from crawlers.runtime.sorted_lines import SortedLines
from crawlers.runtime.tally import Tally
from crawlers.runtime.temporary import REPLAY_FOLDER
from crawlers.runtime.writer import ReleaseWriter

logger = logging.getLogger(__name__)


class Replay(msgspec.Struct, kw_only=True):
    """What became of a run's rejects. ``rejects`` = ``run_again`` + the counts of ``not_replayable``, always.

    ``release``: the run that they were left by; ``of``: see ``RejectsFile``.
    ``passed``: records that enter the next release; ``in_release``: those that are in this one already, a listing's others say.
    ``still_rejected``: groups of records and pages; ``not_replayable``: by reason. ``follows``: requests that pages would lead to.
    ``kept``: where those that passed wait; empty where none did, or it was but a trial.
    """

    source: str
    release: str = ""
    of: str = ""
    rejects: int = 0
    run_again: int = 0
    passed: int = 0
    in_release: int = 0
    still_rejected: list[Group] = msgspec.field(default_factory=list)
    not_replayable: dict[str, int] = msgspec.field(default_factory=dict)
    follows: int = 0
    kept: str = ""


def replay(source: Source, shared_dir: Path, *, dry_run: bool = False) -> Replay:
    """Run the newest rejects of ``source`` again, and keep the records that pass for the next release.

    :param dry_run: keep nothing. It needs no lock, so it works also while a crawl is under way.
    :raises LockedError: a crawl of the source is under way.
    :raises FleetError: the rejects can't be read, or the folder can't be written.
    """
    try:
        return _replay(source, shared_dir, dry_run)
    except OSError as error:
        raise FleetError(
            f"{source.name}: the rejects could not be run again: {error}. Nothing was kept; see that the disk has room and works, "
            "and that this user may write to the shared volume."
        ) from error


def _replay(source: Source, shared_dir: Path, dry_run: bool) -> Replay:
    folder = protocol.release_folder(shared_dir, source.name)
    outcome = Replay(source=source.name)
    with ExitStack() as stack:
        if not dry_run and folder.is_dir():
            stack.enter_context(_locked(folder, source.name))
        files = find_rejects(folder)
        if not files:
            return outcome
        scratch = stack.enter_context(_scratch(protocol.state_folder(shared_dir, source.name), dry_run))
        outcome.release, outcome.of = files[0].release, files[0].of
        writer = _run_again(source, files[0], scratch, outcome)
        outcome.still_rejected = group(read_rejects(writer.folder / protocol.REJECTS))
        passing = _passing(writer.folder / protocol.DATA, files[0], scratch, outcome)
        if dry_run:
            for _ in passing:
                pass
        else:
            made = outcome.of != UNPUBLISHED
            kept = replayed.keep(shared_dir, source.name, outcome.release, passing, published=made)
            outcome.kept = str(kept or "")
    return outcome


def _run_again(source: Source, file: RejectsFile, scratch: Path, outcome: Replay) -> ReleaseWriter:
    tally = Tally(quiet=True)
    refused: Counter[str] = Counter()
    with ReleaseWriter(scratch, source.manifest) as writer:
        progress = Progress(source.name, tally, writer.counts)
        try:
            again = _Again(source, Run(source, writer, tally, progress, Stop()))
            for reject in read_rejects(file.path):
                outcome.rejects += 1
                why = again.take(reject) if reject else "the line is no reject: torn, or changed by hand"
                refused[why] += 1
        finally:
            progress.close()
        writer.publish(writer.describe())
    outcome.run_again, outcome.follows = refused.pop("", 0), again.follows
    outcome.not_replayable = dict(refused.most_common())
    return writer


class _Again:
    """Runs rejects again, one by one. ``follows``: how many requests that led to."""

    def __init__(self, source: Source, run: Run) -> None:
        self._run = run
        self._spider: Any = None
        self._why_no_pages = (
            "only a spider's pages can be run again alone: an API or OAI-PMH source asks for page after page in one go"
        )
        self._pages: set[bytes] = set()
        self.follows = 0
        if source.manifest.kind not in ("api", "oai-pmh"):
            self._why_no_pages = self._load(source)

    def take(self, reject: Reject) -> str:
        """Run the reject again; why that can't be done, empty where it was."""
        if reject.kind == "withdrawn":
            return "its site withdrew it: it comes back when `fleet check` or a crawl sees its page again"
        why = self._why_no_page(reject)
        if not why:
            self._take_page(reject)
        elif reject.record is not None and not (why := self._why_no_record(reject)):
            self._run.accept(reject.record, reject.url)
        return why

    def _load(self, source: Source) -> str:
        spider = load_spider(source)
        try:
            self._spider = spider()
        except Exception as error:
            raise FleetError(f"{source.name}: the spider can't be made: {type(error).__name__}: {error}") from error
        own = (spider.custom_settings or {}).get("ITEM_PIPELINES")
        return "the spider has item pipelines of its own, which only a crawl runs" if own else ""

    def _why_no_record(self, reject: Reject) -> str:
        if reject.kind == "duplicate":
            return "another record of that run has its _id"
        if reject.kind != "schema":  # what is kept may not even be in the form of a record
            return "the source's own code turned the record down, and only a crawl asks it again"
        return "" if reject.exact else "JSON can't carry what the record held (NaN, say), so it isn't kept as it was"

    def _why_no_page(self, reject: Reject) -> str:
        response = reject.response
        if self._why_no_pages:
            return self._why_no_pages
        if response is None:
            return "no answer came from the site: only a crawl can ask again"
        if not 200 <= int(response.get("status") or 0) < 300 and response.get("status") not in getattr(
            self._spider, "handle_httpstatus_list", ()
        ):
            return f"the site answered with HTTP {response.get('status')}: only a crawl can ask again"
        if reject.truncated:
            return "the answer was too large to be kept whole"
        if reject.body is None:
            return "the answer was not kept"
        if not callable(self._method(response)):
            return f"the spider has no method {response.get('callback') or 'known by name'!r} that parses the page"
        if not isinstance(response.get("cb_kwargs"), dict):
            return (
                "JSON can't carry the arguments (cb_kwargs) of the method that parses the page, or they are too large"
            )
        return ""

    def _method(self, response: dict[str, Any]) -> Callable[..., Any] | None:
        name = response.get("callback")
        return getattr(self._spider, name, None) if isinstance(name, str) and name else None

    def _take_page(self, reject: Reject) -> None:
        """Run the page, but once for all rejects that came from it."""
        from scrapy import Request

        from crawlers.runtime.scrapy_parts import plain

        response = reject.response or {}
        page = orjson.dumps([response.get(name) for name in ("url", "sha256", "callback", "cb_kwargs")])
        key = hashlib.blake2b(page, digest_size=16).digest()
        if key in self._pages:
            return
        self._pages.add(key)
        method = self._method(response)
        assert method and reject.body is not None
        url, content_type = str(response.get("url") or reject.url), str(response.get("content_type") or "")
        gave = False
        try:
            request = Request(url, method, cb_kwargs=response["cb_kwargs"])
            answer = scrapy_response(request, int(response["status"]), content_type, reject.body)
            for output in synchronous(lambda: method(answer, **request.cb_kwargs)):
                gave = True
                if isinstance(output, Request):
                    self.follows += 1
                elif output is not None:
                    self._run.accept(plain(output), url)
            if not gave:
                self._run.fail_page("parse", url, "it gave neither a record nor a link", response=Answer(url))
        except PageError as error:
            self._run.fail_page("parse", error.url, error.reason, error.field)
        except FleetError:  # the disk failed
            raise
        except (Exception, SystemExit) as error:
            self._run.fail_page("parse", url, f"{type(error).__name__}: {error}")


def _passing(data: Path, file: RejectsFile, scratch: Path, outcome: Replay) -> Iterator[bytes]:
    """The lines of ``data`` that the release of the rejects doesn't hold already: two sorted files, side by side."""
    made = _identifiers(file.data, scratch) if file.data else iter(())
    current = next(made, None)
    with data.open("rb") as lines:
        for line in lines:
            identifier = _identifier(line)
            while current is not None and current < identifier:
                current = next(made, None)
            if current == identifier:
                outcome.in_release += 1
            else:
                outcome.passed += 1
                yield line


def _identifiers(data: Path, scratch: Path) -> Iterator[str]:
    """The ``_id`` of each line of a release, in order."""
    description = protocol.read_description(data.parent)
    with data.open("rb") as lines:
        if description and description.sorted:
            yield from map(_identifier, lines)
            return
        ordered = SortedLines(scratch)
        for line in lines:
            ordered.add(_identifier(line), b"")
        yield from (key for key, _, _ in ordered)
        ordered.close()


class _Identified(msgspec.Struct):
    identifier: str = msgspec.field(name="_id")


_decoder = msgspec.json.Decoder(_Identified)


def _identifier(line: bytes) -> str:
    try:
        return _decoder.decode(line).identifier
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReleaseError(f"the release that the rejects belong to holds a line that is no record: {error}") from error


@contextmanager
def _scratch(state: Path, dry_run: bool) -> Iterator[Path]:
    """A folder for the time of a replay; a trial leaves no trace on the shared volume."""
    if not dry_run:
        state.mkdir(parents=True, exist_ok=True)
        for left in state.glob(f"{REPLAY_FOLDER}*"):  # by a replay that was killed: we hold the lock
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=REPLAY_FOLDER, dir=None if dry_run else state) as folder:
        yield Path(folder)


@contextmanager
def _locked(folder: Path, source: str) -> Iterator[None]:
    try:
        with source_lock(folder):
            yield
    except filelock.Timeout as error:
        raise LockedError(
            f"{source}: a crawl of this source is under way. Wait for it to end, or look what would pass by --dry-run."
        ) from error
