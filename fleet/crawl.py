"""``fleet crawl``: one crawl, now, in the foreground."""

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
from crawlers.runtime.release import release_folder
from crawlers.runtime.settings import RuntimeSettings


@click.command(epilog="Example: fleet crawl demo --shared /tmp/shared")
@click.argument("name")
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    help="Publish to DIR/NAME_crawled/. Default: FLEET_SHARED_DIR.",
    metavar="DIR",
)
@click.option(
    "--base-url",
    help="Send each request to URL instead of its own host; path and query stay.",
    metavar="URL",
)
@click.option("--limit", type=click.IntRange(min=1), help="Try out: print the first N records, publish nothing if there are more.", metavar="N")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the release.json of the published release.")
def crawl(name: str, shared: Path | None, base_url: str | None, limit: int | None, as_json: bool) -> None:
    """Crawl the source NAME and publish its release.

    A crawl that fails, finds nothing or is stopped publishes nothing and exits with a code other than 0 (see `fleet --help`).
    One whose release is not as good as the manifest's budgets ask for is held: see `fleet approve` and `fleet discard`.
    """
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    shared_dir = (shared or settings.shared_dir).absolute()
    serve = load_site(source) if base_url is None else None
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
            )
        except Interrupted as error:
            click.echo(f"fleet: {name}: {error}", err=True)
            raise SystemExit(error.exit_code) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(description), indent=2).decode())
        return
    how = "unchanged since" if description.outcome == "unchanged" else "published as"
    where = release_folder(shared_dir, name)
    click.echo(f"{name}: {description.records} records, {how} release {description.release} in {where}", err=True)


def _line(record: dict[str, Any]) -> bytes:
    """The record as a line, also one that is on its way to the rejects, whatever it holds."""
    try:
        return encode(record)
    except UnwritableError:
        return encode_reject(record)
