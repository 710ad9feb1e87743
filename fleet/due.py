"""``fleet due``: whether a source is to be crawled now, and why."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from crawlers.runtime.errors import EXIT_NOT_DUE, EXIT_OK
from crawlers.runtime.manifest import find_source
from crawlers.runtime.orders import drop_unreadable, take_order
from crawlers.runtime.release import state_folder
from crawlers.runtime.schedule import in_words, moment
from crawlers.runtime.settings import CHECKOUT, RuntimeSettings
from crawlers.runtime.standing import Standing, find_standing, is_due
from fleet.options import shared_option

RUN_SPIDER = CHECKOUT / "scripts" / "run-spider.sh"
# What changes on the shared volume is seen at once; should a file server's clock be wrong, at least so often.
_LOOK_SECONDS = 3600


@click.command(epilog="Example: fleet due demo && fleet crawl demo")
@click.argument("name")
@shared_option
@click.option("--json", "as_json", is_flag=True, help="Print how the source stands as a JSON object.")
@click.option(
    "--run", is_flag=True, help="Do it: become scripts/run-spider.sh. A crawler's container runs that each minute."
)
@click.option(
    "--note",
    type=click.Path(path_type=Path),
    help="Write to FILE at which second (since 1970) it is worth asking again.",
    metavar="FILE",
)
@click.pass_context
def due(ctx: click.Context, name: str, shared: Path | None, as_json: bool, run: bool, note: Path | None) -> None:
    """Say whether the source NAME is to be crawled now, and why; else when it is. Exits with 0 if it is, with 7 if not.

    A source that is paused, or being crawled, is not due; one whose crawl or check was ordered is.
    """
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    shared_dir = (shared or settings.shared_dir).absolute()
    now = datetime.now(UTC)
    standing = find_standing(shared_dir, source.manifest, now)
    is_now = is_due(standing, now)
    if note:
        _write_note(note, standing, now, is_now)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(standing), indent=2).decode())
    else:
        click.echo(f"{name}: {_in_words(standing, now, is_now)}", err=run)
    if run and is_now:
        _become(name, shared_dir)
    elif run:
        drop_unreadable(state_folder(shared_dir, name))
    ctx.exit(EXIT_OK if is_now else EXIT_NOT_DUE)


def _in_words(standing: Standing, now: datetime, is_now: bool) -> str:
    if is_now:
        return f"due now: {standing.next_reason}"
    if standing.outcome == "running":
        return f"not due: {standing.reason}"
    if not standing.next_run:
        return f"not due: {standing.reason}; {standing.next_reason}"
    at = moment(standing.next_run)
    pause = f" ({standing.paused})" if standing.paused else ""
    return f"not due before {standing.next_run}, in {in_words(at - now)}: {standing.next_reason}{pause}"


def _write_note(note: Path, standing: Standing, now: datetime, is_now: bool) -> None:
    """The note is as old as the look at the shared volume, so that what changes during it is newer."""
    again = now.timestamp() + _LOOK_SECONDS
    if standing.next_run and not is_now and standing.outcome != "running":
        again = min(again, moment(standing.next_run).timestamp())
    note.write_text(f"{int(again)}\n")
    os.utime(note, (now.timestamp(), now.timestamp()))


def _become(name: str, shared_dir: Path) -> None:
    """Replace this process by the crawl or the check: its signals and its exit code are that one's."""
    order = take_order(state_folder(shared_dir, name))
    environment = {**os.environ, "FLEET_SHARED_DIR": str(shared_dir), "FLEET_TRIGGER": "order" if order else "schedule"}
    if order:
        environment |= {"COMMAND": order.command, "FLEET_BY": order.by}
    os.execve(RUN_SPIDER, [str(RUN_SPIDER), name], environment)  # noqa: S606
