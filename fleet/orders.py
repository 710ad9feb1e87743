"""``fleet order``, ``fleet pause`` and ``fleet resume``: what is asked of a source's container, by files on the shared volume."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from crawlers.runtime import orders
from crawlers.runtime.errors import UsageError
from crawlers.runtime.manifest import Source, find_source
from crawlers.runtime.release import state_folder
from crawlers.runtime.settings import RuntimeSettings
from fleet.options import shared_option, who

_SPAN = re.compile(r"(\d{1,4})(h|d|w)")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@click.command(epilog="Example: fleet order demo --reason 'the site was mended'")
@click.argument("name")
@click.option("--check", is_flag=True, help="Check records that may be withdrawn, in place of a crawl.")
@click.option("--reason", default="", help="Why, for those who look at the status.", metavar="TEXT")
@click.option("--withdraw", is_flag=True, help="Take back the order, as long as no container has begun with it.")
@shared_option
def order(name: str, check: bool, reason: str, withdraw: bool, shared: Path | None) -> None:
    """Have the container of source NAME crawl it within a minute, or once the crawl that is under way has ended.

    It is done also while the source is paused. `fleet crawl NAME` crawls here and now instead.
    """
    source, state = _find(name, shared)
    if check and source.manifest.check is None:
        raise UsageError(f"{name}: its manifest has no [check] table: docs/checking.md tells what goes into it")
    command: orders.Command = "check" if check else "crawl"
    if withdraw:
        click.echo(
            f"{name}: {f'the {command} is taken back' if orders.withdraw(state, command) else f'no {command} waits'}"
        )
        return
    waiting = orders.order(state, command, who(), reason)
    click.echo(
        f"{name}: {waiting.command} ordered by {waiting.by} at {waiting.at}; its container picks it up within a minute"
    )


@click.command(epilog="Example: fleet pause demo --reason 'the site moves' --until 2w")
@click.argument("name")
@click.option("--reason", required=True, help="Why, for those who look at the status.", metavar="TEXT")
@click.option(
    "--until",
    help="When it ends: a date, a moment in UTC, or 12h, 3d, 2w from now. Default: `fleet resume`.",
    metavar="WHEN",
)
@shared_option
def pause(name: str, reason: str, until: str | None, shared: Path | None) -> None:
    """Pause the source NAME: its container neither crawls nor checks it by schedule. By order and by hand it is crawled all the same."""
    _, state = _find(name, shared)
    paused = orders.pause(state, who(), reason, _moment(until, datetime.now(UTC)) if until else None)
    click.echo(f"{name}: {paused}")


@click.command(epilog="Example: fleet resume demo")
@click.argument("name")
@shared_option
def resume(name: str, shared: Path | None) -> None:
    """End the pause of the source NAME: from now on its schedule counts again."""
    _, state = _find(name, shared)
    click.echo(f"{name}: resumed" if orders.resume(state) else f"{name} was not paused")


def _find(name: str, shared: Path | None) -> tuple[Source, Path]:
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    return source, state_folder((shared or settings.shared_dir).absolute(), source.name)


def _moment(text: str, now: datetime) -> datetime:
    if span := _SPAN.fullmatch(text):
        return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--until is {text!r}: a date (2026-12-24), a moment in UTC (2026-12-24T06:00) or a span (12h, 3d, 2w) is expected"
        ) from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
