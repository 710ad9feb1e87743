"""``fleet logs``: the log of a crawl, also of one that was killed."""

import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.history import read_last_run
from crawlers.runtime.manifest import find_source
from crawlers.runtime.release import release_folder, state_folder
from crawlers.runtime.run_log import LogLine, list_run_logs, read_run_log
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.terminal import safe
from fleet.options import shared_option

_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red", "DEBUG": "dim"}
_LEVELS = ("debug", "info", "warning", "error", "critical")
_LOOK_SECONDS = 0.5


@click.command(epilog="Example: fleet logs demo --level warning --follow")
@click.argument("name")
@click.option(
    "--run", "run", help="Of the run ID, or the one whose ID begins like that. Default: the latest.", metavar="ID"
)
@click.option("--list", "listed", is_flag=True, help="List the runs whose log is kept, the newest first.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@click.option(
    "--level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="debug",
    help="Only what is as bad as that, or worse.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they are kept, a JSON object each.")
@shared_option
def logs(
    name: str, run: str | None, listed: bool, follow: bool, level: str, as_json: bool, shared: Path | None
) -> None:
    """Show the log of a crawl of the source NAME.

    It is kept on the shared volume, of the last runs; of a run that says more than is kept ([housekeeping] in the manifest), the head and
    the tail are.
    """
    settings = RuntimeSettings.from_environment()
    find_source(settings.sources_dir, name)
    shared_dir = (shared or settings.shared_dir).absolute()
    state_dir = state_folder(shared_dir, name)
    kept = list_run_logs(state_dir)
    if not kept:
        raise FleetError(
            f"{name}: no log of a crawl is kept in {state_dir}. `fleet history {name}` tells how its crawls went."
        )
    if listed:
        for log in kept:
            click.echo(msgspec.json.encode(log) if as_json else f"{log.run}  {log.bytes:>12,} bytes  until {log.at}")
        return
    chosen = _choose(name, [log.run for log in kept], run)
    _show(state_dir, release_folder(shared_dir, name) if follow else None, chosen, level, as_json)


def _choose(name: str, runs: list[str], wanted: str | None) -> str:
    found = [run for run in runs if run.startswith(wanted or "")]
    if not found:
        raise UsageError(
            f"{name}: no log of a run {wanted!r} is kept. `fleet logs {name} --list` lists those that are."
        )
    return found[0]


def _show(state_dir: Path, followed: Path | None, run: str, level: str, as_json: bool) -> None:
    """``followed``: the release folder of a run that is shown to its end, None: what there is now."""
    console = Console(soft_wrap=True, highlight=False)
    place = 0
    while True:
        is_over = followed is None or not _is_running(followed, run)  # looked at first: its last lines are there then
        part = read_run_log(state_dir, run, place, level=level)
        place = part.next_byte
        if part.left_out:
            click.echo(f"… {part.left_out} bytes are not kept …", err=as_json)
        for line in part.lines:
            if as_json:
                click.echo(msgspec.json.encode(line))
            else:
                console.print(_as_text(line))
        if part.more:
            continue
        if is_over:
            return
        time.sleep(_LOOK_SECONDS)


def _is_running(folder: Path, run: str) -> bool:
    last = read_last_run(folder)
    return last is not None and last.run == run and last.outcome == "running"


def _as_text(line: LogLine) -> Text:
    text = Text(f"{line.at} ", "dim")
    text.append(f"{line.level:<8}", _COLOURS.get(line.level, ""))
    text.append(f"{line.logger}: ", "dim")
    text.append("\n".join(safe(part) for part in line.message.splitlines()))
    if line.trace:
        text.append("\n" + "\n".join(safe(part) for part in line.trace.splitlines()), "dim")
    return text
