"""``fleet alert``: what alerts are open, and whether people can be told."""

import json
from datetime import UTC, datetime

import click
import msgspec

from crawlers.runtime.errors import EXIT_FAILED, UsageError
from crawlers.runtime.manifest import load_sources
from crawlers.runtime.terminal import safe
from hub.alerts.channels import make_senders
from hub.alerts.configuration import AlertSettings, read_alert_settings
from hub.alerts.findings import look
from hub.alerts.incidents import Memory, Message, advance
from hub.alerts.messages import describe_all, describe_changes, describe_test
from hub.alerts.watch import read_memory
from hub.settings import HubSettings


@click.command(epilog="Example: fleet alert --test")
@click.option("--test", "is_test", is_flag=True, help="Send a message to every channel, and say how that went.")
@click.option("--dry-run", is_flag=True, help="Show what would be told now, and the digest; send nothing.")
@click.option("--channel", help="Of this channel alone.", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def alert(ctx: click.Context, is_test: bool, dry_run: bool, channel: str | None, as_json: bool) -> None:
    """Show what people were told is bad, and messages that could not be sent yet.

    The running hub sends alerts, as the file says that FLEET_ALERTS_FILE names.
    """
    settings = HubSettings.from_environment()
    if settings.alerts_file is None:
        raise UsageError("FLEET_ALERTS_FILE is not set: it names the file that says whom to tell (docs/monitoring.md)")
    alerts = read_alert_settings(settings.alerts_file)
    if channel:
        alerts = _only(alerts, channel)
    if is_test:
        ctx.exit(_test(alerts, settings, as_json))
    memory = read_memory(settings.alerts_dir)
    messages = _would_send(alerts, settings, memory) if dry_run else memory.outbox
    if as_json:
        incidents = [] if dry_run else memory.incidents
        click.echo(msgspec.json.format(msgspec.json.encode({"incidents": incidents, "messages": messages}), indent=2))
        return
    if not dry_run:
        for finding in memory.incidents:
            click.echo(safe(f"{finding.thing} is {finding.state} since {finding.since or 'then'}: {finding.reason}"))
        click.echo(f"{len(memory.incidents)} alerts are open, {len(messages)} messages wait to be sent")
    for message in messages:
        tried = f", tried {message.tries} times" if message.tries else ""
        click.echo(f"\n[{message.channel}{tried}] {message.title}\n{message.body}")


def _only(alerts: AlertSettings, channel: str) -> AlertSettings:
    found = tuple(it for it in alerts.channels if it.name == channel)
    if not found:
        names = ", ".join(it.name for it in alerts.channels) or "none"
        raise UsageError(f"no channel is called {channel!r}: there are {names}")
    return msgspec.structs.replace(alerts, channels=found)


def _test(alerts: AlertSettings, settings: HubSettings, as_json: bool) -> int:
    assert settings.alerts_file
    senders = make_senders(alerts, settings.alerts_file.parent)
    told = {name: sender.send(describe_test(name, datetime.now(UTC))) for name, sender in senders.items()}
    if as_json:
        click.echo(json.dumps({name: {"sent": not reason, "reason": reason} for name, reason in told.items()}))
    for name, reason in {} if as_json else told.items():
        click.echo(safe(f"{name}: failed: {reason}" if reason else f"{name}: sent"))
    if not told:
        click.echo(f"{settings.alerts_file} has no channel: nobody is told anything", err=True)
    return EXIT_FAILED if any(told.values()) or not told else 0


def _would_send(alerts: AlertSettings, settings: HubSettings, memory: Memory) -> list[Message]:
    """As the next look of the hub would, but for what only its database tells, and without waiting for things to settle."""
    sources, errors = load_sources(settings.runtime.sources_dir)
    faults = {error.path.parent.name: str(error) for error in errors}
    seen = look(settings, alerts, [source.manifest for source in sources], faults)
    things = {finding.thing for finding in seen.findings}
    memory.things = {thing: watched for thing, watched in memory.things.items() if thing in things}
    now = datetime.now(UTC)
    changes = advance(memory, seen.findings, msgspec.structs.replace(alerts, settle_minutes=0), now)
    return [
        *describe_changes(changes, alerts, now),
        *describe_all(seen.standings, memory.incidents, alerts, memory.digest, now),
    ]
