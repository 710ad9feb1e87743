"""``fleet sources``: the manifests, validated."""

import json

import click
import msgspec

from crawlers.runtime.errors import EXIT_OK, EXIT_USAGE
from crawlers.runtime.manifest import ManifestError, Source, load_sources
from crawlers.runtime.settings import RuntimeSettings


@click.command(epilog="Example: fleet sources --json")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a source.")
@click.pass_context
def sources(ctx: click.Context, as_json: bool) -> None:
    """List the sources. Exits with 2 if a manifest, or a description of pages, is bad, and says file and line.

    In JSON each is its manifest and "error": null; of one with a bad manifest there is but "name" and "error", an object of
    "file", "line" and "reason".
    """
    loaded, errors = load_sources(RuntimeSettings.from_environment().sources_dir)
    errors += [error for source in loaded if (error := _definition_error(source))]
    bad_names = {error.path.parent.name for error in errors}
    found = [source for source in loaded if source.name not in bad_names]
    if as_json:
        good = [{**msgspec.to_builtins(source.manifest), "error": None} for source in found]
        bad = [
            {
                "name": error.path.parent.name,
                "error": {"file": str(error.path), "line": error.line, "reason": error.reason},
            }
            for error in errors
        ]
        click.echo(json.dumps(sorted(good + bad, key=lambda source: str(source["name"])), indent=2))
    else:
        for source in found:
            shown = source.manifest
            click.echo(f"{shown.name:20} {shown.kind:8} {shown.timing!s:16} {shown.title}")
    for error in errors:
        click.echo(f"fleet: {error}", err=True)
    ctx.exit(EXIT_USAGE if errors else EXIT_OK)


def _definition_error(source: Source) -> ManifestError | None:
    """What is wrong with the source's ``pages.toml``; None where it has none, or where nothing here can read it (the hub's image)."""
    if source.manifest.kind != "pages":
        return None
    try:
        from crawlers.runtime.pages.reading import read_definition
    except ModuleNotFoundError:
        return None
    try:
        read_definition(source.folder)
    except ManifestError as error:
        return error
    return None
