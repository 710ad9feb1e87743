"""One crawl of a source, from the lock to the published release."""

import logging
import os
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crawlers.runtime.errors import FleetError, PageError
from crawlers.runtime.http import PATIENCE, Patience
from crawlers.runtime.last_run import recorded
from crawlers.runtime.loading import load_parse
from crawlers.runtime.manifest import Source
from crawlers.runtime.progress import Progress
from crawlers.runtime.release import Description
from crawlers.runtime.run import Run
from crawlers.runtime.settings import CHECKOUT
from crawlers.runtime.signals import stopping
from crawlers.runtime.tally import Tally, require_good
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
) -> Description:
    """Crawl ``source`` now and publish its release below ``shared_dir``; returns the published ``release.json``.

    :raises LockedError: another crawl of the source is under way.
    :raises PartialError: pages or records are missing beyond the manifest's budgets, or ``limit`` cut it short.
    :raises Interrupted: SIGTERM or SIGINT ended it.
    :raises FleetError: it failed, or found nothing. In all these cases nothing was published, and no temporary file is left.
    """
    with stopping() as stop, ReleaseWriter(shared_dir, source.manifest, code_version=code_version()) as writer:
        tally = Tally()
        with recorded(writer, tally, code_version()):
            logger.info("%s: crawl started, release %s", source.name, writer.release)
            progress = Progress(source.name, tally, writer.counts)
            run = Run(source, writer, tally, progress, stop, base_url, limit, contact, patience, on_record)
            try:
                with stop.heeding():
                    _crawl_as_kind(run)
            finally:
                progress.close()
            counts = writer.settle()
            tally.fill(counts)
            require_good(source.manifest, tally, counts, limited=run.limited)
            with stop.too_late():
                description = writer.publish(tally.errors)
                if source.manifest.files:
                    from crawlers.runtime.file_stores import remove_unreferenced

                    remove_unreferenced(source.manifest, writer.folder)
    logger.info(
        "%s: published %s: %d records, %d rejects, %d requests",
        source.name,
        description.release,
        counts.records,
        counts.rejects,
        counts.requests,
    )
    return description


def code_version() -> str:
    """What the code of this crawl is: ``FLEET_CODE_VERSION`` (images set it), or the commit of the checkout, or the package's."""
    if given := os.environ.get("FLEET_CODE_VERSION"):
        return given
    if (CHECKOUT / ".git").exists():
        try:
            git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
            return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            logger.debug("git can't tell the version of %s", CHECKOUT)
    return version("crawler-fleet")


def _crawl_as_kind(run: Run) -> None:
    if run.source.manifest.kind == "api":
        _run_harvester(run)
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
            run.accept(record)
    except (RequestFailed, PageError) as error:
        raise FleetError(f"{manifest.name}: {error}. Nothing was published.{run.tally.describe_errors()}") from error
    except FleetError:
        raise
    except (Exception, SystemExit) as error:  # the code's sys.exit() must not end a crawl as if all were well
        raise FleetError(
            f"{manifest.name}: the harvester failed after {run.writer.counts.items} records: {type(error).__name__}: {error}. "
            f"Nothing was published. Record a case (`fleet record {manifest.name} URL`) and correct the code."
        ) from error
    finally:
        client.close()
