"""``fleet approve`` and ``fleet discard``: a person's word on a release that the publish gate holds back."""

from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from crawlers.runtime import approval
from crawlers.runtime.manifest import find_source
from crawlers.runtime.release import Description
from crawlers.runtime.settings import RuntimeSettings
from fleet.options import shared_option


@click.command(epilog="Example: fleet approve demo")
@click.argument("name")
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print the release.json of the published release.")
def approve(name: str, shared: Path | None, as_json: bool) -> None:
    """Publish the release of source NAME that is held, as it is. `fleet history NAME` tells why it is held."""
    description = _do(approval.approve, name, shared)
    _tell(description, f"release {description.release} is published: {description.records} records", as_json)


@click.command(epilog="Example: fleet discard demo")
@click.argument("name")
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print the release.json of the removed release.")
def discard(name: str, shared: Path | None, as_json: bool) -> None:
    """Remove the release of source NAME that is held. What was published before stays."""
    description = _do(approval.discard, name, shared)
    _tell(description, f"release {description.release}, which was held, is removed", as_json)


def _do(act: Callable[[Path, str], Description], name: str, shared: Path | None) -> Description:
    settings = RuntimeSettings.from_environment()
    find_source(settings.sources_dir, name)
    return act((shared or settings.shared_dir).absolute(), name)


def _tell(description: Description, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(description), indent=2).decode())
    else:
        click.echo(f"{description.source}: {text}")
