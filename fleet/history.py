"""``fleet history``: how the crawls of a source went."""

from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawlers.runtime.history import read_history
from crawlers.runtime.manifest import find_source
from crawlers.runtime.release import release_folder
from crawlers.runtime.run_entry import RunEntry
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.terminal import safe
from fleet.options import shared_option

COLOURS = {
    "published": "green",
    "unchanged": "green",
    "approved": "green",
    "running": "cyan",
    "held": "yellow",
    "discarded": "yellow",
    "partial": "red",
    "empty": "red",
    "failed": "red",
    "killed": "red",
    "stuck": "red",
    "interrupted": "red",
}


@click.command(epilog="Example: fleet history demo --last 5")
@click.argument("name")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="So many runs.", metavar="N")
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a run, oldest first.")
def history(name: str, last: int, shared: Path | None, as_json: bool) -> None:
    """Show how the crawls of source NAME went, the newest first: also those that failed, and those that were killed."""
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    runs = read_history(release_folder((shared or settings.shared_dir).absolute(), source.name), last)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(runs), indent=2).decode())
    elif not runs:
        click.echo(f"{name} was never crawled. `fleet crawl {name}` does it now.")
    else:
        _print(runs[::-1])


def _print(runs: list[RunEntry]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("started", "outcome", "by", "seconds", "records", "rejects", "failed pages", "code"):
        right = heading in ("seconds", "records", "rejects", "failed pages")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for run in runs:
        counts = run.counts
        numbers = [_seconds(run), counts.records, counts.rejects, counts.failed_requests]
        outcome = f"[{COLOURS.get(run.outcome, 'default')}]{run.outcome}[/]"
        table.add_row(
            run.started,
            outcome,
            Text(safe(run.by or run.trigger or "-")),
            *(str(number) for number in numbers),
            run.code_version,
        )
    console = Console(width=max(Console().width, 100), highlight=False)
    console.print(table)
    for run in runs:
        for line in _reasons(run):
            click.echo(line)


def _reasons(run: RunEntry) -> list[str]:
    """Why it did not publish, or what failed in spite of that: the first lines of it."""
    if run.outcome in ("approved", "discarded"):
        return []
    lines = [f"{run.started} {run.outcome}: {reason}" for reason in run.reasons or run.message.splitlines()[:1]]
    for kind, error in sorted(run.errors.items()):
        lines.append(f"{run.started} {kind} × {error.count}, e.g. {error.url}: {error.message[:200]}")
        lines.append(f"    → {error.action}")
    return lines


def _seconds(run: RunEntry) -> str:
    if not run.ended:
        return "-"
    return f"{(datetime.fromisoformat(run.ended) - datetime.fromisoformat(run.started)).total_seconds():.0f}"
