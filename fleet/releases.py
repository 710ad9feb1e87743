"""``fleet releases``, ``diff``, ``rollback``, ``pin``, ``unpin``: what was archived of a source, and what is to be live."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from crawlers.runtime.errors import UnreachableError
from crawlers.runtime.manifest import find_source
from crawlers.runtime.terminal import safe
from fleet.options import who
from hub.client import HubClient
from hub.releases import compare, find_compared, list_releases, scratch_of
from hub.settings import HubSettings

_PATHS_SHOWN = 20
_WIDTH = 160
_SIDE = 100
_MAX_EXAMPLES = 1_000


@click.command(epilog="Example: fleet releases demo")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a release, the newest first.")
@click.pass_context
def releases(ctx: click.Context, name: str, as_json: bool) -> None:
    """List the archived releases of the source NAME: records, size, what each changed against the one before, what is live or pinned.

    Without the hub it shows what the files tell, and exits with 6.
    """
    settings = HubSettings.from_environment()
    exit_code = 0
    try:
        found = HubClient(settings).releases(name)
    except UnreachableError as error:
        find_source(settings.runtime.sources_dir, name)
        click.echo(f"fleet: {error} What the files tell is shown; what is live is not known.", err=True)
        found = list_releases(settings, name)
        exit_code = error.exit_code
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print_releases(found)
    ctx.exit(exit_code)


@click.command(epilog="Example: fleet diff demo live held --examples 5")
@click.argument("name")
@click.argument("compared", metavar="[A B]", nargs=-1)
@click.option(
    "--examples",
    type=click.IntRange(0, _MAX_EXAMPLES),
    default=0,
    metavar="N",
    help="Also show N records of each kind.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def diff(name: str, compared: tuple[str, ...], examples: int, as_json: bool) -> None:
    """Show what changed in the source NAME from release A to release B: records added, removed and changed, and where.

    A and B are release strings, or `live`, `archived`, `published`, `held`. Without them, the two newest that are archived are
    compared. Needs the hub only to know what is live.
    """
    settings = HubSettings.from_environment()
    find_source(settings.runtime.sources_dir, name)
    live = None
    if "live" in compared:
        live = next((it["release"] for it in HubClient(settings).releases(name) if it["live"]), None)
    found = compare(*find_compared(settings, name, compared, live), scratch_of(settings, name), examples)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print_diff(name, found)


@click.command(epilog="Example: fleet rollback demo 2026-11-22T01:02:03Z --reason 'half of the authors are missing'")
@click.argument("name")
@click.argument("release")
@click.option("--reason", default="", help="Why, for those who look at the status.", metavar="TEXT")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def rollback(name: str, release: str, reason: str, as_json: bool) -> None:
    """Make the archived RELEASE of the source NAME live again, and pin it: newer ones are archived, but wait until `fleet unpin`."""
    _act(name, "rollback", as_json, "{source}: {release} is live and pinned", release=release, reason=reason, by=who())


@click.command(epilog="Example: fleet pin demo --reason 'the paper cites it'")
@click.argument("name")
@click.option("--reason", default="", help="Why, for those who look at the status.", metavar="TEXT")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def pin(name: str, reason: str, as_json: bool) -> None:
    """Pin what is live of the source NAME: newer releases are archived, but wait until `fleet unpin`."""
    _act(name, "pin", as_json, "{source}: {release} is pinned", reason=reason, by=who())


@click.command(epilog="Example: fleet unpin demo")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def unpin(name: str, as_json: bool) -> None:
    """Take the pin of the source NAME back, and wait until its newest archived release is live."""
    _act(name, "unpin", as_json, "{source}: unpinned, {release} is live")


def _act(name: str, action: str, as_json: bool, done: str, **parameters: str) -> None:
    answer = HubClient(HubSettings.from_environment()).act(name, action, **parameters)
    if as_json:
        click.echo(json.dumps(answer))
    elif answer["outcome"] == "nothing to do":
        click.echo(f"{name}: nothing to do, it is not pinned")
    else:
        click.echo(done.format(**answer))


def _print_releases(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("release", no_wrap=True)
    for heading in ("records", "MB", "added", "removed", "changed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for release in found:
        changes = release["changes"] or {}
        counts = [
            release["records"],
            f"{release['bytes'] / 1e6:.1f}",
            *map(changes.get, ("added", "removed", "changed")),
        ]
        marks = " ".join(mark for mark in ("live", "pinned") if release[mark])
        table.add_row(release["release"], *("-" if count is None else str(count) for count in counts), marks)
    Console(width=_WIDTH).print(table, highlight=False, markup=False)


def _print_diff(name: str, found: dict[str, Any]) -> None:
    counts = ", ".join(f"{found[kind]} {kind}" for kind in ("added", "removed", "changed", "unchanged"))
    if found["withdrawn"]:
        counts += f" (of the removed, {found['withdrawn']} withdrawn by their site)"
    click.echo(f"{name}, from {found['from']['release']} to {found['to']['release']}: {counts}")
    for side in (found["from"], found["to"]):
        if side["malformed"] or side["duplicates"]:
            click.echo(
                f"{side['release']}: {side['malformed']} lines are no records, {side['duplicates']} have the _id of an earlier one"
            )
    for path, count in list(found["paths"].items())[:_PATHS_SHOWN]:
        click.echo(f"{count:>10}  {path}")
    more = len(found["paths"]) - _PATHS_SHOWN
    if more > 0 or found["other_paths"]:
        click.echo(f"{'':>10}  and more: --json tells")
    examples = found.get("examples", {})
    withdrawn = set(examples.get("withdrawn", ()))
    for sign, kind in (("+", "added"), ("-", "removed")):
        for identifier in examples.get(kind, ()):
            click.echo(f"{sign} {safe(identifier)}{' (withdrawn by its site)' if identifier in withdrawn else ''}")
    for example in examples.get("changed", ()):
        click.echo(f"~ {safe(example['_id'])}: {safe(', '.join(example['paths']))}")
        for value in example.get("values", ()):
            before, after = (
                "nothing" if side is None else safe(side)[:_SIDE] for side in (value["before"], value["after"])
            )
            click.echo(f"    {safe(value['path'])}: {before} → {after}")
