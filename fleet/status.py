"""``fleet status``: how each source stands."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from crawlers.runtime.errors import UnreachableError, UsageError
from fleet.status_table import table_of, words_of
from hub.client import HubClient
from hub.settings import HubSettings
from hub.status import files_of_all

# Of a table that goes to a file or a pipe. On a terminal it is as wide as that.
_WIDTH = 200


@click.command(epilog="Example: fleet status --watch")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a source, by name.")
@click.option("--watch", is_flag=True, help="Show it anew every few seconds, until Ctrl-C.")
@click.option("--every", type=click.FloatRange(min=0.5), default=2.0, show_default=True, help="With --watch: how often.", metavar="SECONDS")  # fmt: skip
@click.pass_context
def status(ctx: click.Context, as_json: bool, watch: bool, every: float) -> None:
    """Show per source how it stands and why, what needs attention first: when it was last collected, when it is crawled next, what is
    live, and how many records the archived release added (+), removed (-) and changed (~).

    Without the hub it shows what the files tell, and exits with 6.
    """
    if as_json and watch:
        raise UsageError("--json and --watch don't go together: call `fleet status --json` as often as you need it")
    settings = HubSettings.from_environment()
    if watch:
        _watch(settings, every)
        return
    sources, away = _find(settings)
    if away:
        click.echo(f"fleet: {away}", err=True)
    if as_json:
        click.echo(json.dumps(sources, indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        _print(console, sources)
    ctx.exit(UnreachableError.exit_code if away else 0)


def _find(settings: HubSettings) -> tuple[list[dict[str, Any]], str]:
    """The status of all sources, and why the hub told nothing of them; empty where it did."""
    try:
        return HubClient(settings).status(), ""
    except UnreachableError as error:
        return files_of_all(settings), f"{error} What the files tell is shown; what is live is not known."


def _print(console: Console, sources: list[dict[str, Any]]) -> None:
    console.print(table_of(sources, datetime.now(UTC), console.width))
    # Not wrapped where nobody sees it: programs look for whole sentences.
    console.print(words_of(sources), soft_wrap=not console.is_terminal)


def _watch(settings: HubSettings, every: float) -> None:
    console = Console(highlight=False)
    try:
        if not console.is_terminal:
            while True:
                console.print(_frame(settings, console.width))
                time.sleep(every)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_frame(settings, console.width), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:  # how a person ends it
        return


def _frame(settings: HubSettings, width: int) -> Group:
    sources, away = _find(settings)
    now = datetime.now(UTC)
    heading = Text(f"{now:%Y-%m-%d %H:%M:%S} UTC{f' · {away}' if away else ''}", "dim")
    return Group(heading, table_of(sources, now, width), words_of(sources))
