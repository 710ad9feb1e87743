"""``fleet clean``: removes what nobody needs any more, or lists it with what it takes."""

import json
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from crawlers.runtime.disk_use import size_of
from crawlers.runtime.errors import LockedError, UnreachableError, UsageError
from crawlers.runtime.housekeeping import Removable, tidy
from crawlers.runtime.manifest import find_source, load_sources
from crawlers.runtime.settings import RuntimeSettings
from fleet.options import shared_option

_HUB = "hub"


@click.command(epilog="Example: fleet clean --all --dry-run")
@click.argument("names", metavar="[NAME…]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Of every source, and the hub's own logs.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a source.")
@click.pass_context
def clean(
    ctx: click.Context, names: tuple[str, ...], every: bool, dry_run: bool, shared: Path | None, as_json: bool
) -> None:
    """Remove what the manifests let go of the sources NAME…, as crawls and the hub do by themselves after each crawl and upload.

    That is: archived releases ([archive] in the manifest); logs, rejects and held releases that are too old ([housekeeping]); temporary
    files of processes that are gone; stores that the manifest no longer asks for. What is live, pinned, published, the newest, or in
    use always stays: also all of a source that is being crawled.

    Archived releases are the hub's: without it they stay, and the command exits with 6.
    """
    if bool(names) == every:
        raise UsageError("sources are expected, or --all")
    settings = RuntimeSettings.from_environment()
    sources = (
        load_sources(settings.sources_dir)[0] if every else [find_source(settings.sources_dir, it) for it in names]
    )
    found: dict[str, list[Removable]] = {}
    exit_code = 0
    for source in sources:
        try:
            found[source.name] = tidy(source.manifest, (shared or settings.shared_dir).absolute(), dry_run=dry_run)
        except LockedError as error:
            click.echo(f"fleet: {error}", err=True)
            found[source.name] = []
    if find_spec("hub"):
        try:
            _clean_hub(found, every, dry_run)
        except UnreachableError as error:
            click.echo(f"fleet: {error} Archived releases stay.", err=True)
            exit_code = error.exit_code
    if as_json:
        click.echo(json.dumps([{"source": name, "removed": _as_json(them)} for name, them in found.items()], indent=2))
    else:
        _print(found, dry_run)
    ctx.exit(exit_code)


def _clean_hub(found: dict[str, list[Removable]], every: bool, dry_run: bool) -> None:
    """What is the hub's: archived releases, which it removes itself, and the logs of its SDK."""
    from hub.client import HubClient
    from hub.housekeeping import tidy_logs
    from hub.settings import HubSettings

    settings = HubSettings.from_environment()
    if every:
        found[_HUB] = tidy_logs(settings, datetime.now(UTC), dry_run=dry_run)
    client = HubClient(settings)
    for name, them in found.items():
        if name == _HUB:
            continue
        listed = client.act(name, "clean", dry_run="1")["removed"]
        paths = [settings.archive_dir / name / release for release in listed]
        releases = [Removable(what="release", path=path, bytes=size_of(path)) for path in paths]
        if not dry_run and listed:
            removed = set(client.act(name, "clean")["removed"])
            releases = [it for it in releases if it.path.name in removed]
        them += releases


def _print(found: dict[str, list[Removable]], dry_run: bool) -> None:
    total = 0
    for name, them in found.items():
        for it in them:
            total += it.bytes
            click.echo(f"{name}: {it.what} {it.path} ({decimal(it.bytes)}) {'would be' if dry_run else 'was'} removed")
    if any(found.values()):
        click.echo(f"{decimal(total)} in all")
    else:
        click.echo("nothing to remove")


def _as_json(them: list[Removable]) -> list[dict[str, Any]]:
    return [{"what": it.what, "path": str(it.path), "bytes": it.bytes} for it in them]
