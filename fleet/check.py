"""``fleet check``: visit records of the last release, and mark those that their site withdrew."""

import logging
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from crawlers.runtime.check import check as run_check
from crawlers.runtime.errors import Interrupted, NotDueError
from crawlers.runtime.http import Patience, check_base_url
from crawlers.runtime.loading import load_site
from crawlers.runtime.manifest import find_source
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.standing import find_rest
from crawlers.runtime.terminal import say


@click.command(epilog="Example: fleet check demo")
@click.argument("name")
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    help="The shared volume with the release. Default: FLEET_SHARED_DIR.",
    metavar="DIR",
)
@click.option(
    "--base-url", help="Send each request to URL instead of its own host; path and query stay.", metavar="URL"
)
def check(name: str, shared: Path | None, base_url: str | None) -> None:
    """Visit the next slice of the records of NAME's last release, and mark those that are gone.

    Marked ones leave the next release. Nothing is marked unless the references in [check] of the manifest come out right.
    """
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    shared_dir = (shared or settings.shared_dir).absolute()
    if settings.trigger == "schedule" and (rest := find_rest(shared_dir, source.manifest, datetime.now(UTC))):
        raise NotDueError(f"{name}: not checked: {rest}")
    serve = load_site(source) if base_url is None else None
    with serve() if serve else nullcontext("" if base_url is None else check_base_url(base_url)) as base:
        try:
            report = run_check(
                source,
                shared_dir,
                base_url=base,
                contact=settings.contact,
                patience=Patience(settings.timeout_seconds, settings.retry_pause_seconds),
                stuck_minutes=settings.stuck_minutes,
            )
        except Interrupted as error:
            say(f"fleet: {name}: {error} Nothing was marked.", logging.ERROR)
            raise SystemExit(error.exit_code) from error
    visited = ", ".join(f"{count} {verdict}" for verdict, count in sorted(report.visited.items())) or "none was due"
    click.echo(f"{name}: visited {sum(report.visited.values())} records: {visited}. Withdrawn in all: {report.marked}")
    for identifier in report.withdrawn:
        click.echo(f"  {identifier} is withdrawn, and leaves the next release")
