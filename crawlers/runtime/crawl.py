"""One crawl of a source, from the lock to the published release."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.errors import FleetError, HeldError, Interrupted, PageError, ReleaseError, StuckError
from crawlers.runtime.gate import judge, require_whole
from crawlers.runtime.history import recorded
from crawlers.runtime.housekeeping import tidy_after_crawl
from crawlers.runtime.http import PATIENCE, Patience
from crawlers.runtime.loading import load_parse
from crawlers.runtime.manifest import Source
from crawlers.runtime.pages.keeping import Refetch, finish, give_up, keeping_pages, resumed_start
from crawlers.runtime.progress import Progress
from crawlers.runtime.release import DATA, Description, read_description, read_release, state_folder
from crawlers.runtime.replayed import add_replayed, remove_consumed
from crawlers.runtime.run import Run
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.run_logging import RunLogHandler
from crawlers.runtime.settings import code_version
from crawlers.runtime.signals import stopping
from crawlers.runtime.tally import Tally
from crawlers.runtime.watch import Watch, stuck_seconds
from crawlers.runtime.writer import ReleaseWriter

logger = logging.getLogger(__name__)


def crawl(
    source: Source,
    shared_dir: Path,
    *,
    base_url: str = "",
    limit: int = 0,
    contact: str = "",
    patience: Patience = PATIENCE,
    on_record: Callable[[dict[str, Any]], None] | None = None,
    refetch: Refetch = "stale",
    trigger: str = "hand",
    by: str = "",
    stuck_minutes: float | None = None,
) -> Description:
    """Crawl ``source`` now and publish its release below ``shared_dir``; returns the published ``release.json``.

    Where the same data are published already, nothing new is: what is returned is that release's, with the outcome ``unchanged``.

    :param refetch: which stored pages the site is asked for again, where the source keeps its pages; ``KeptPages`` says more.
    :param trigger: what had it start, and ``by`` whom: see ``RunEntry``.
    :param stuck_minutes: how long nothing may move before a watchdog ends this process, in place of what the manifest says; 0: for ever.
    :raises LockedError: another crawl of the source is under way.
    :raises HeldError: the publish gate holds its release back, for a person to approve or discard.
    :raises PartialError: ``limit`` cut it short.
    :raises StuckError: nothing moved for too long.
    :raises Interrupted: SIGTERM or SIGINT ended it.
    :raises FleetError: it failed, or found nothing. In all these cases nothing was published, and no temporary file is left.
    """
    version = code_version()
    manifest = source.manifest
    resumed = resumed_start(manifest, shared_dir, refetch)
    state_dir = state_folder(shared_dir, source.name)
    with (
        stopping() as stop,
        RunLogHandler() as log,
        ReleaseWriter(shared_dir, manifest, resumed, version) as writer,
        ExitStack() as ending,
    ):
        ending.callback(tidy_after_crawl, manifest, shared_dir)
        tally = Tally()
        with recorded(writer, tally, version, trigger, by, limit) as entry:
            log.begin(state_dir, source.name, entry.run, manifest.housekeeping)
            limit_seconds = stuck_seconds(manifest, patience, stuck_minutes)
            with (
                Watch(writer.folder, state_dir, entry.run, tally, writer.counts, limit_seconds) as watch,
                keeping_pages(manifest, shared_dir, refetch, writer.started, resumed) as pages,
            ):
                last = _read_published(writer.folder)
                watch.expected = last.records if last else None
                logger.info(
                    "%s: crawl %s, release %s", source.name, "gone on with" if resumed else "started", writer.release
                )
                progress = Progress(source.name, tally, writer.counts)
                run = Run(source, writer, tally, progress, stop, base_url, limit, contact, patience, on_record)
                run.pages = pages
                try:
                    return _crawl_to_the_end(run, entry, shared_dir)
                except Interrupted as signalled:
                    if verdict := watch.verdict():
                        raise StuckError(verdict) from signalled
                    raise


def _crawl_to_the_end(run: Run, entry: RunEntry, shared_dir: Path) -> Description:
    """Crawl, and publish what came of it, or hold it; and note what that means for the stored pages."""
    pages, manifest = run.pages, run.source.manifest
    try:
        with run.stop.heeding():
            _crawl_as_kind(run)
    finally:
        run.progress.close()
    try:
        description = _end(run, entry, shared_dir)
    except HeldError:
        if pages and not run.tally.failed_pages:
            give_up(pages, manifest, shared_dir)
        raise
    if pages:
        finish(pages, manifest, shared_dir)
    return description


def _end(run: Run, entry: RunEntry, shared_dir: Path) -> Description:
    """Publish what the crawl made, or hold it, or leave it where the same is published already."""
    manifest, writer = run.source.manifest, run.writer
    if not run.limited:
        add_replayed(writer, shared_dir, run.withdrawn)
    counts = writer.settle()
    run.tally.fill(counts)
    require_whole(manifest, run.tally, counts, limited=run.limited)
    description = writer.describe(run.tally.errors)
    description.validation = run.validator.summary()
    description.gaps, description.deleted = run.gaps, run.deleted
    last = _read_published(writer.folder)
    description.reasons = judge(manifest, run.tally, description, last)
    entry.describe(description)
    with run.stop.too_late():
        if description.reasons:
            description.outcome = "held"
            writer.hold(description)
            raise HeldError(_describe_held(manifest.name, description, run.tally))
        if last is not None and last.sha256 == description.sha256:
            entry.outcome = "unchanged"
            writer.drop_held()
            logger.info(
                "%s: unchanged: %d records, as published in release %s", manifest.name, counts.records, last.release
            )
            return msgspec.structs.replace(last, outcome="unchanged")
        writer.publish(description)
        remove_consumed(shared_dir, manifest.name)
        if manifest.files:
            from crawlers.runtime.file_stores import remove_unreferenced

            remove_unreferenced(manifest, writer.folder)
    logger.info(
        "%s: published %s: %d records, %d rejects, %d requests",
        manifest.name,
        description.release,
        counts.records,
        counts.rejects,
        counts.requests,
    )
    return description


def _read_published(folder: Path) -> Description | None:
    """What is published in ``folder`` and whole; None where nothing is, or a foreign crawler doesn't describe it."""
    try:
        release, description = read_release(folder), read_description(folder)
        if release is None or description is None or description.release != release.text:
            return None
        return description if (folder / DATA).stat().st_size == description.bytes else None
    except (ReleaseError, OSError) as error:
        logger.warning("what is published can't be compared with: %s", error)
        return None


def _describe_held(name: str, description: Description, tally: Tally) -> str:
    reasons = "".join(f"\n  - {reason}" for reason in description.reasons)
    return (
        f"{name}: release {description.release} is held, what was published before stays:{reasons}\n"
        f"It lies whole in {name}_crawled/held/. See `fleet rejects {name}` and `fleet drift {name}`; then publish it by `fleet approve {name}`, or "
        f"remove it by `fleet discard {name}`. The next good crawl takes its place.{tally.describe_errors()}"
    )


def _crawl_as_kind(run: Run) -> None:
    if run.source.manifest.kind == "api":
        _run_harvester(run)
    elif run.source.manifest.kind == "oai-pmh":
        from crawlers.runtime.oai.source import crawl_oai

        crawl_oai(run)
    else:
        from crawlers.runtime.scrapy_run import (
            run_spider,
        )  # not at the top: it takes a while, and API sources do without

        run_spider(run)


def _run_harvester(run: Run) -> None:
    from crawlers.runtime.api import ApiClient, RequestFailed

    manifest = run.source.manifest
    parse = load_parse(run.source)
    client = ApiClient(
        manifest, run.tally, run.writer.reject, base_url=run.base_url, contact=run.contact, patience=run.patience
    )
    try:
        for record in parse(client):
            run.stop.check()  # where the signal came, its exception may have been swallowed
            if run.limit and run.writer.counts.items >= run.limit:
                run.limited = True
                break
            run.accept(record, response=client.last)
    except (RequestFailed, PageError) as error:
        if isinstance(error, PageError):
            run.fail_page("parse", error.url, error.reason, error.field, client.last)
        else:
            run.writer.reject(f"{error.kind}: {error.message}", kind=error.kind, url=error.url, response=error.answer)
        raise FleetError(f"{manifest.name}: {error}. Nothing was published.{run.tally.describe_errors()}") from error
    except FleetError:
        raise
    except (Exception, SystemExit) as error:  # the code's sys.exit() must not end a crawl as if all were well
        url = client.last.url if client.last else manifest.url
        run.fail_page("parse", url, f"{type(error).__name__}: {error}", response=client.last)
        raise FleetError(
            f"{manifest.name}: the harvester failed after {run.writer.counts.items} records: {type(error).__name__}: {error}. "
            f"Nothing was published. Record a case (`fleet record {manifest.name} URL`) and correct the code."
        ) from error
    finally:
        client.close()
