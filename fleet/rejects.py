"""``fleet rejects`` and ``fleet replay``: what did not make it into a release, and how it gets into the next."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from crawlers.runtime.errors import EXIT_FAILED, FleetError, ReleaseError
from crawlers.runtime.manifest import NAME_PATTERN, find_source
from crawlers.runtime.reject_files import RejectsFile, find_rejects
from crawlers.runtime.reject_groups import Group, as_json, group, matches
from crawlers.runtime.rejects import Reject, read_rejects, read_upload_rejects
from crawlers.runtime.release import parse_release, release_folder
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.terminal import safe
from fleet.options import shared_option

UPLOAD_REJECTS = "upload-rejects.ndjson"
_GROUPS_SHOWN = 20


@click.command(epilog="Example: fleet rejects demo --kind parse --examples 3")
@click.argument("name")
@click.option("--reason", default="", help="Only those with TEXT in the reason, whatever its case.", metavar="TEXT")
@click.option("--field", default="", help="Only those whose fault lies in F, or below it.", metavar="F")
@click.option("--kind", default="", help="Only those of the error class K, e.g. parse, schema, duplicate.", metavar="K")
@click.option(
    "--of",
    type=click.Choice(["newest", "published", "held", "unpublished", "upload"]),
    default="newest",
    show_default=True,
    help="Whose: of the newest crawl and of the newest upload, or of one of them. unpublished: the last crawl that published nothing.",
)
@click.option("--examples", type=click.IntRange(0, 100), default=1, show_default=True, help="So many of each group.", metavar="N")  # fmt: skip
@shared_option
@click.option("--json", "as_groups", is_flag=True, help="Print a JSON list, one object a group of alike rejects.")
@click.option("--lines", is_flag=True, help="Print the rejects themselves, whole, a JSON object a line.")
def rejects(
    name: str,
    reason: str,
    field: str,
    kind: str,
    of: str,
    examples: int,
    shared: Path | None,
    as_groups: bool,
    lines: bool,
) -> None:
    """Show what did not make it into the release of source NAME, the most frequent reason first, and what to do about it.

    Numbers, quoted values and URLs in the reasons don't count: what differs in nothing else is one group.
    """
    settings = RuntimeSettings.from_environment()
    folder = release_folder((shared or settings.shared_dir).absolute(), name)
    if not re.match(NAME_PATTERN, name) or not folder.is_dir():
        find_source(settings.sources_dir, name)  # says which name was meant
    files = _files(folder, of, _archive(settings, folder.parent) / name)

    def wanted(file: RejectsFile) -> Iterator[Reject | None]:
        read = read_upload_rejects if file.of == "upload" else read_rejects
        for reject in read(file.path):
            if reject is None:
                if not (reason or field or kind):
                    yield None
            elif matches(reject, reason, field, kind):
                yield reject

    if lines:
        for file in files:
            for reject in wanted(file):
                if reject is not None:
                    click.echo(as_json(reject), nl=False)
        return
    found = [(file, group(wanted(file), examples)) for file in files]
    if as_groups:
        groups = [
            {"of": file.of, "release": file.release, **msgspec.to_builtins(one)} for file, ones in found for one in ones
        ]
        click.echo(msgspec.json.format(msgspec.json.encode(groups), indent=2).decode())
        return
    if not files:
        whose = "" if of == "newest" else f" ({of})"
        click.echo(f"{name}: there are no rejects{whose}. `fleet history {name}` tells how its crawls went.")
    for file, groups_found in found:
        _show(name, file, groups_found)


@click.command(epilog="Example: fleet replay demo --dry-run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what would pass, and keep nothing.")
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of the counts.")
@click.pass_context
def replay(ctx: click.Context, name: str, dry_run: bool, shared: Path | None, as_json: bool) -> None:
    """Run the newest rejects of source NAME again, with today's code and manifest; those that pass enter its next release.

    It asks the site for nothing: records, and the pages of spiders, are as the crawl kept them. Exits with 1 if there are some
    and none passes.
    """
    from crawlers.runtime.replay import replay as run_again

    settings = RuntimeSettings.from_environment()
    outcome = run_again(
        find_source(settings.sources_dir, name), (shared or settings.shared_dir).absolute(), dry_run=dry_run
    )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode())
    elif not outcome.rejects:
        click.echo(f"{name}: there are no rejects, so there is nothing to do.")
    else:
        click.echo(f"{name}: {outcome.rejects} rejects of run {outcome.release} ({outcome.of})")
        click.echo(f"  {outcome.run_again} were run again. Of the records that they gave,")
        enter = "would enter the next release" if dry_run else "enter the next release"
        click.echo(f"    {outcome.passed} passed and {enter}")
        if outcome.in_release:
            click.echo(f"    {outcome.in_release} are in that release already")
        for one in outcome.still_rejected:
            click.echo(f"  {one.count} still rejected: {safe(one.kind)}: {safe(one.reason)}")
            for example in one.examples:
                click.echo(f"    e.g. {safe(example.url)}: {safe(example.reason)}")
        for why, count in outcome.not_replayable.items():
            click.echo(f"  {count} can't be run again: {safe(why)}")
        if outcome.follows:
            click.echo(f"  {outcome.follows} further requests were not sent: only a crawl follows them")
        if outcome.kept:
            click.echo(f"They wait in {outcome.kept} for the next crawl: fleet crawl {name}")
    ctx.exit(0 if outcome.passed or not outcome.rejects else EXIT_FAILED)


def _files(folder: Path, of: str, archive: Path) -> list[RejectsFile]:
    files = find_rejects(folder)
    upload = _upload(archive)
    if of == "upload":
        if upload is None:
            raise FleetError(f"{archive} holds no {UPLOAD_REJECTS}: see that the archive can be reached from here")
        return [upload]
    if of == "newest":
        return files[:1] + ([upload] if upload else [])
    return [file for file in files if file.of == of]


def _archive(settings: RuntimeSettings, shared_dir: Path) -> Path:
    """Where the hub keeps the releases that it took up. Its own settings are not asked: a crawler's image has no hub.

    In the containers it lies on the shared volume.
    """
    archive = Path(os.environ.get("FLEET_ARCHIVE_DIR") or settings.data_dir / "archive").absolute()
    return archive if archive.is_dir() else shared_dir / "archive"


def _upload(archive: Path) -> RejectsFile | None:
    """The rejects of the newest archived release's upload, where they can be reached."""
    found = []
    for path in archive.glob(f"*/{UPLOAD_REJECTS}"):
        try:
            found.append((parse_release(path.parent.name, path.parent).at, path))
        except ReleaseError:
            continue
    if not found:
        return None
    _, path = max(found)
    return RejectsFile(path, "upload", path.parent.name)


def _show(name: str, file: RejectsFile, groups: list[Group]) -> None:
    whose = {
        "published": "the published release",
        "held": "the held release",
        "unpublished": "the last crawl that published nothing",
        "upload": "the upload of release",
    }[file.of]
    total = sum(one.count for one in groups)
    click.echo(f"{name}: {total} rejects of {whose} {file.release}, in {file.path}")
    for one in groups[:_GROUPS_SHOWN]:
        at = f" [{safe(one.field)}]" if one.field else ""
        click.echo(f"{one.count:>8} × {click.style(safe(one.kind), bold=True)}{at}: {safe(one.reason)}")
        for example in one.examples:
            click.echo(f"           {safe(example.url) or '(no URL)'}")
            if example.excerpt:
                click.echo(f"           {safe(example.excerpt)}")
        if one.action:
            click.echo(f"           → {one.action}")
    if len(groups) > _GROUPS_SHOWN:
        click.echo(f"  and {len(groups) - _GROUPS_SHOWN} groups more: --reason, --field and --kind narrow it down")
    if total and file.of != "upload":
        click.echo(f"Each whole, as JSON: fleet rejects {name} --lines. When the cause is mended: fleet replay {name}")
