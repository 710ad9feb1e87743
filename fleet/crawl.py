"""``fleet crawl``: one crawl, now, in the foreground."""

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec

from crawlers.runtime.crawl import crawl as run_crawl
from crawlers.runtime.errors import Interrupted
from crawlers.runtime.http import Patience, check_base_url
from crawlers.runtime.loading import load_site
from crawlers.runtime.manifest import find_source
from crawlers.runtime.ndjson import UnwritableError, encode, encode_reject
from crawlers.runtime.orders import read_pause
from crawlers.runtime.pages.keeping import Refetch
from crawlers.runtime.release import release_folder, state_folder
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.terminal import say
from fleet.options import shared_option

_name = click.argument("name")
_limit = click.option("--limit", type=click.IntRange(min=1), help="Try out: print the first N records, publish nothing if there are more.", metavar="N")  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print the release.json of the published release.")


@click.command(epilog="Example: fleet crawl demo --shared /tmp/shared")
@_name
@shared_option
@click.option(
    "--base-url",
    help="Send each request to URL instead of its own host; path and query stay.",
    metavar="URL",
)
@_limit
@_json
@click.option(
    "--refetch",
    type=click.Choice(["none", "stale", "all"]),
    default="stale",
    show_default=True,
    help="Of pages that earlier crawls stored: take them as they are, ask whether they changed, or fetch them all anew.",
)
def crawl(
    name: str, shared: Path | None, base_url: str | None, limit: int | None, as_json: bool, refetch: Refetch
) -> None:
    """Crawl the source NAME and publish its release.

    A crawl that fails, finds nothing or is stopped publishes nothing and exits with a code other than 0 (see `fleet --help`).
    One whose release is not as good as the manifest's budgets ask for is held: see `fleet approve` and `fleet discard`.
    Where the source keeps its pages, the next crawl goes on where one was cut off, and asks for no page that was stored since it
    began; `--refetch all` starts anew.
    """
    _crawl(name, shared, base_url, limit, as_json, refetch)


@click.command(epilog="Example: fleet transform my_archive")
@_name
@shared_option
@_limit
@_json
def transform(name: str, shared: Path | None, limit: int | None, as_json: bool) -> None:
    """Make a release of the source NAME from its stored pages, without the network: after its definition was changed.

    It is published by the same rules as a crawl's. A page that is not stored has failed.
    """
    _crawl(name, shared, None, limit, as_json, "never")


def _crawl(
    name: str, shared: Path | None, base_url: str | None, limit: int | None, as_json: bool, refetch: Refetch
) -> None:
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    shared_dir = (shared or settings.shared_dir).absolute()
    if settings.trigger == "hand" and (paused := read_pause(state_folder(shared_dir, name))):
        say(f"{name}: {paused}. It is crawled all the same, as it was started by hand.")
    serve = load_site(source) if base_url is None and refetch != "never" else None
    left = limit or 0

    def show(record: dict[str, Any]) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            try:
                click.echo(_line(record), nl=False)
            except BrokenPipeError:  # who reads has seen enough; that is no fault of the record
                left = 0

    with serve() if serve else nullcontext("" if base_url is None else check_base_url(base_url)) as base:
        try:
            description = run_crawl(
                source,
                shared_dir,
                base_url=base,
                limit=limit or 0,
                contact=settings.contact,
                patience=Patience(settings.timeout_seconds, settings.retry_pause_seconds),
                on_record=show if limit else None,
                refetch=refetch,
                trigger="transform" if refetch == "never" else settings.trigger,
                by=settings.by,
                stuck_minutes=settings.stuck_minutes,
            )
        except Interrupted as error:
            say(f"fleet: {name}: {error}", logging.ERROR)
            raise SystemExit(error.exit_code) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(description), indent=2).decode())
        return
    how = "unchanged since" if description.outcome == "unchanged" else "published as"
    where = release_folder(shared_dir, name)
    say(f"{name}: {description.records} records, {how} release {description.release} in {where}")


def _line(record: dict[str, Any]) -> bytes:
    """The record as a line, also one that is on its way to the rejects, whatever it holds."""
    try:
        return encode(record)
    except UnwritableError:
        return encode_reject(record)
