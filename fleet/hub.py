"""``fleet hub``: the hub in the foreground. ``fleet dump`` and ``fleet upload`` ask the running hub."""

import json
from typing import Any

import click

from crawlers.runtime.terminal import safe
from fleet.options import who
from hub.client import HubClient
from hub.settings import HubSettings


@click.command(epilog="Example: fleet hub")
def hub() -> None:
    """Run the hub until Ctrl-C: it takes up releases and loads them into MongoDB.

    Without FLEET_MONGO_URI it starts the embedded database, with its data in FLEET_DATA_DIR.
    """
    from hub.run import run

    run(HubSettings.from_environment())


@click.command(epilog="Example: fleet dump demo")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def dump(name: str, as_json: bool) -> None:
    """Have the running hub take up what source NAME has published, now, and wait for it."""
    _tell(HubClient(HubSettings.from_environment()).act(name, "dump", by=who()), as_json)


@click.command(epilog="Example: fleet upload demo")
@click.argument("name")
@click.option("--force", is_flag=True, help="Load the archived release again, also if it is live already.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def upload(name: str, force: bool, as_json: bool) -> None:
    """Have the running hub load the archived release of source NAME, now, and wait for it."""
    options = {"by": who(), **({"force": "1"} if force else {})}
    _tell(HubClient(HubSettings.from_environment()).act(name, "upload", **options), as_json)


@click.command(epilog="Example: fleet mark demo upload")
@click.argument("name")
@click.argument("step", type=click.Choice(("dump", "upload")))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def mark(name: str, step: str, as_json: bool) -> None:
    """Have the failed dump or upload of source NAME count as settled. Nothing is tried again by that."""
    _tell(HubClient(HubSettings.from_environment()).act(name, "mark", step=step, by=who()), as_json)


@click.command(epilog="Example: fleet configuration")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def configuration(as_json: bool) -> None:
    """Show how the running hub is set up: what it makes of its settings, and the environment variables. No secret is shown."""
    found = HubClient(HubSettings.from_environment()).ask("GET", "/fleet/configuration")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for setting in found:
        click.echo(f"{safe(setting['name'])} = {safe(setting['value'])}")


def _tell(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer))
    elif answer["outcome"] == "nothing to do":
        why = {
            "dump": "nothing is published that is not archived",
            "upload": "the latest archived release is live",
            "mark": "it has not failed",
        }
        click.echo(f"{answer['source']}: nothing to do, {why[answer['action']]}")
    elif answer["action"] == "dump":
        click.echo(f"{answer['source']}: release {answer['release']} is archived")
    elif answer["action"] == "mark":
        click.echo(f"{answer['source']}: the failure of release {answer['release']} counts as settled")
    else:
        click.echo(
            f"{answer['source']}: release {answer['release']} is live: {answer['documents']} documents, "
            f"{answer['rejects']} rejects"
        )
