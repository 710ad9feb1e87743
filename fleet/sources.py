"""``fleet sources``: the manifests, validated."""

import json

import click
import msgspec

from crawlers.runtime.errors import EXIT_OK, EXIT_USAGE
from crawlers.runtime.manifest import load_sources
from crawlers.runtime.settings import RuntimeSettings


@click.command(epilog="Example: fleet sources --json")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: sources and errors.")
@click.pass_context
def sources(ctx: click.Context, as_json: bool) -> None:
    """List the sources. Exits with 2 if a manifest is bad, and says file and line."""
    found, errors = load_sources(RuntimeSettings.from_environment().sources_dir)
    if as_json:
        manifests = [msgspec.to_builtins(source.manifest) for source in found]
        faults = [{"file": str(error.path), "line": error.line, "reason": error.reason} for error in errors]
        click.echo(json.dumps({"sources": manifests, "errors": faults}, indent=2))
    else:
        for source in found:
            click.echo(
                f"{source.name:20} {source.manifest.kind:8} {source.manifest.schedule:16} {source.manifest.title}"
            )
    for error in errors:
        click.echo(f"fleet: {error}", err=True)
    ctx.exit(EXIT_USAGE if errors else EXIT_OK)
