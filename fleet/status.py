"""``fleet status``: how each source stands."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from crawlers.runtime.errors import UnreachableError
from hub.client import HubClient
from hub.settings import HubSettings
from hub.status import changes_in_short, files_of_all, reasons

_WIDTH = 160  # of the table at its widest; a release string is of no use folded


@click.command(epilog="Example: fleet status --json")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a source.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show per source: the last crawl, what is published, archived and live, documents and rejects, and how many records the
    archived release added (+), removed (-) and changed (~).

    Without the hub it shows what the files tell, and exits with 6.
    """
    settings = HubSettings.from_environment()
    exit_code = 0
    try:
        sources = HubClient(settings).status()
    except UnreachableError as error:
        click.echo(f"fleet: {error} What the files tell is shown; what is live is not known.", err=True)
        sources = files_of_all(settings)
        exit_code = error.exit_code
    if as_json:
        click.echo(json.dumps(sources, indent=2))
    else:
        _print(sources)
    ctx.exit(exit_code)


def _print(sources: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("source", "state", "published", "archived", "live", "last crawl"):
        table.add_column(heading, no_wrap=True)
    for heading in ("documents", "rejects", "changes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for source in sources:
        crawl = source["crawl"] or {}
        ended = crawl.get("outcome")
        shown = [source[key] for key in ("name", "state", "published", "archived", "live")]
        cells = [*shown, ended, source["documents"], source["rejects"], changes_in_short(source)]
        table.add_row(*("-" if cell is None else str(cell) for cell in cells))
    Console(width=_WIDTH).print(table, highlight=False, markup=False)
    for source in sources:
        for reason in reasons(source):
            click.echo(f"{source['name']}: {reason}")
