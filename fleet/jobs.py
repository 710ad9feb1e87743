"""``fleet jobs``: what the hub and its crawlers are doing, and what they did."""

import json
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table

from crawlers.runtime.terminal import safe
from hub.client import HubClient
from hub.settings import HubSettings

_WIDTH = 160
_READ_SECONDS = 60.0


@click.command(epilog="Example: fleet jobs --last 5")
@click.option(
    "--last", type=click.IntRange(0, 1_000), default=10, show_default=True, help="So many that ended.", metavar="N"
)
@click.option("--source", default="", help="Of those that ended, only this source's.", metavar="NAME")
@click.option("--stop", "stopped", default="", help="Stop the job JOB: one that waits, or an upload; what is live stays.", metavar="JOB")  # fmt: skip
@click.option("--log", "logged", default="", help="Print the log of the job JOB.", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def jobs(last: int, source: str, stopped: str, logged: str, as_json: bool) -> None:
    """Show what the hub and its crawlers are doing, with progress and time left, what waits, and what ended."""
    client = HubClient(HubSettings.from_environment())
    if stopped:
        job = client.ask("POST", f"/fleet/jobs/{quote(stopped, safe='')}/stop")
        click.echo(json.dumps(job) if as_json else _stopped(job))
        return
    if logged:
        client.ask("GET", f"/fleet/jobs/{quote(logged, safe='')}")  # one that there is none of has no log
        for line in client.ask("GET", "/fleet/log", job=logged, last="5000")["lines"]:
            click.echo(
                json.dumps(line)
                if as_json
                else f"{line['at']} {line['level']} {line['logger']}: {safe(line['message'])}"
            )
        return
    look = client.ask("GET", "/fleet/jobs")
    query = {"last": str(last), **({"source": source} if source else {})}
    ended = client.ask("GET", "/fleet/jobs/history", _READ_SECONDS, **query) if last else []
    if as_json:
        click.echo(json.dumps({**look, "ended": ended}, indent=2))
    else:
        _print(look, ended)


def _stopped(job: dict[str, Any]) -> str:
    if error := job.get("error"):
        raise click.ClickException(error)
    return f"{job['source']}: the {job['action']} {job['job']} is to be stopped; what is live stays as it was"


def _print(look: dict[str, Any], ended: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "source", "state", "how far", "for", "left", "by", "name"):
        table.add_column(heading, no_wrap=heading != "how far")
    for it in [*look["running"], *look["queued"]]:
        job = it["job"]
        table.add_row(job["action"], job["source"], job["state"], _far(it), _span(it["seconds"]), _span(it["left_seconds"]), safe(job["by"]), job["job"])  # fmt: skip
    for it in look["crawls"]:
        table.add_row(it["command"], it["source"], "running", _far(it), _span(it["seconds"]), _span(it["left_seconds"]), "", it["heartbeat"]["run"])  # fmt: skip
    for it in look["orders"]:
        table.add_row(it["order"]["command"], it["source"], "ordered", "", "", "", safe(it["order"]["by"]), "")
    for job in ended:
        table.add_row(job["action"], job["source"], job["state"], safe(job["reason"])[:200] or (job["release"] or ""), "", "", safe(job["by"]), job["job"])  # fmt: skip
    if table.row_count:
        Console(width=_WIDTH).print(table, highlight=False, markup=False)
    else:
        click.echo("nothing is being done, and nothing was")


def _far(look: dict[str, Any]) -> str:
    told = look.get("heartbeat") or look["job"]["progress"] or {}
    what = ("harvested" if told.get("harvested") else "records") if "heartbeat" in look else "documents"
    parts = [
        f"{look['share']:.0%}" if look["share"] is not None else "",
        f"{told[what]} {what}" if told.get(what) else "",
    ]
    parts.append(f"{look['per_second']:.0f}/s" if look["per_second"] else "")
    return ", ".join(filter(None, parts))


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
