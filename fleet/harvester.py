"""``fleet harvester``: takes windows of large harvests from the broker, until it is stopped."""

import os

import click

from crawlers.runtime.errors import UsageError


@click.command(epilog="Example: FLEET_BROKER=redis://127.0.0.1:6379/0 fleet harvester")
def harvester() -> None:
    """Harvest windows that others hand out (see docs/oai-pmh.md), one at a time. Any number of these may run, and be killed at will."""
    if not os.environ.get("FLEET_BROKER"):
        raise UsageError("FLEET_BROKER is not set: expected is the URL of a Redis, e.g. redis://127.0.0.1:6379/0")
    from crawlers.runtime.oai.scale import app

    # Windows of one process: what is killed with it is one window.
    app.worker_main(
        ["worker", "--pool=solo", "--loglevel=INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
