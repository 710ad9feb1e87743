"""``fleet drift``: whether a source's records still say what they used to."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crawlers.runtime.drift import Drift
from crawlers.runtime.drift import drift as find_drift
from crawlers.runtime.history import read_history
from crawlers.runtime.manifest import find_source
from crawlers.runtime.release import release_folder
from crawlers.runtime.settings import RuntimeSettings
from fleet.options import shared_option


@click.command(epilog="Example: fleet drift demo --last 10")
@click.argument("name")
@click.option(
    "--last", type=click.IntRange(min=1), default=5, show_default=True, help="Releases to compare with.", metavar="N"
)
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; null where there is nothing to compare.")
def drift(name: str, last: int, shared: Path | None, as_json: bool) -> None:
    """Compare the newest release of source NAME, published or held, with the last N before it.

    Shown is by how many points the share of records that have each field rose or fell against their median.
    """
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    found = find_drift(read_history(release_folder((shared or settings.shared_dir).absolute(), source.name)), last)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif found is None:
        click.echo(f"{name}: there are no two releases to compare yet. `fleet history {name}` lists its crawls.")
    else:
        _print(name, found, source.manifest.coverage_budget)


def _print(name: str, found: Drift, budget: float) -> None:
    change = found.records - found.records_before
    click.echo(
        f"{name}: release {found.release} ({found.outcome}) has {found.records} records, {change:+g} against the median of the "
        f"{len(found.compared)} before"
    )
    if not found.fields:
        click.echo("Each field is as frequent as before.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("field")
    for heading in ("before", "now", "points"):
        table.add_column(heading, justify="right", no_wrap=True)
    for field in found.fields:
        colour = "red" if field.points < -budget else "yellow" if field.points < 0 else "green"
        table.add_row(
            escape(field.field), f"{field.before:.2%}", f"{field.share:.2%}", f"[{colour}]{field.points:+.2f}[/]"
        )
    Console(highlight=False).print(table)
