"""``fleet harvest``: any OAI-PMH endpoint, without a manifest."""

import dataclasses
import re
from pathlib import Path
from urllib.parse import urlsplit

import click
import orjson

from crawlers.runtime.errors import EXIT_PARTIAL, Interrupted, UsageError
from crawlers.runtime.http import Patience, check_base_url, is_http_url
from crawlers.runtime.oai.harvest import Wanted
from crawlers.runtime.oai.to_folder import Access, Harvested, harvest_to
from crawlers.runtime.settings import RuntimeSettings


@click.command(epilog="Example: fleet harvest https://zenodo.org/oai2d --metadata-prefix oai_datacite --set user-cern")
@click.argument("url")
@click.option("--metadata-prefix", "prefix", required=True, help="The format to harvest, e.g. oai_dc.", metavar="P")
@click.option("--set", "set_spec", default="", help="One set only, by its setSpec.", metavar="S")
@click.option("--from", "start", default="", help="Records from this date on: YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ.", metavar="D")  # fmt: skip
@click.option("--until", default="", help="Records up to this date, it included.", metavar="D")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Where the release goes. Default: a folder in FLEET_DATA_DIR.", metavar="DIR")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Connections at once. Default: 1.", metavar="N")
@click.option("--rate", type=click.FloatRange(min=0), default=0.0, help="Requests a second, at most. Default: as it answers.", metavar="R")  # fmt: skip
@click.option("--overlap-days", type=click.FloatRange(0, 3650), default=1.0, help="How late the server may date a record. Default: 1.", metavar="N")  # fmt: skip
@click.option("--post", is_flag=True, help="Send requests by POST.")
@click.option("--base-url", default="", help="Send each request to URL instead of its own host.", metavar="URL")
@click.option("--ignore-robots", is_flag=True, help="Harvest although robots.txt forbids it: the operators agreed.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as a JSON object.")
def harvest(
    url: str,
    prefix: str,
    set_spec: str,
    start: str,
    until: str,
    output: Path | None,
    workers: int,
    rate: float,
    overlap_days: float,
    post: bool,
    base_url: str,
    ignore_robots: bool,
    as_json: bool,
) -> None:
    """Harvest the OAI-PMH endpoint URL into a folder, as a release.

    Run again, it goes on where it ended, or asks for what is new. Records that could not be had are in the release.json as gaps, the
    exit code is 5 then; `fleet gaps DIR` lists them, and the next run asks for them first.
    """
    if not is_http_url(url) or urlsplit(url).fragment:
        raise UsageError(f"URL is {url!r}: expected is that of an endpoint, e.g. https://zenodo.org/oai2d")
    settings = RuntimeSettings.from_environment()
    access = Access(
        url=url,
        rate=rate,
        post=post,
        base_url=check_base_url(base_url) if base_url else "",
        contact=settings.contact,
        obey_robots=not ignore_robots,
        patience=Patience(settings.timeout_seconds, settings.retry_pause_seconds),
    )
    wanted = Wanted(prefix, set_spec, start, until, int(overlap_days * 86400), workers)
    folder = (output or settings.data_dir / "harvests" / _folder_name(url, prefix, set_spec)).absolute()
    try:
        result = harvest_to(folder, access, wanted, settings.stuck_minutes)
    except Interrupted as error:
        click.echo(f"fleet: {url}: {error} What was harvested is kept; the same command goes on with it.", err=True)
        raise SystemExit(error.exit_code) from error
    if as_json:
        click.echo(
            orjson.dumps(dataclasses.asdict(result), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), nl=False
        )
    _say(result)
    if result.gaps:
        raise SystemExit(EXIT_PARTIAL)


def _say(result: Harvested) -> None:
    gaps = f", {result.gaps} GAPS (fleet gaps {result.output})" if result.gaps else ""
    click.echo(
        f"{result.records} records, {result.deleted} deleted, {result.rejects} rejects{gaps}; {result.requests} requests in "
        f"{result.seconds:.1f} s; release {result.release} in {result.output}",
        err=True,
    )


def _folder_name(url: str, prefix: str, set_spec: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", "_".join(filter(None, (url.partition("://")[2], prefix, set_spec)))).strip(
        "_."
    )
