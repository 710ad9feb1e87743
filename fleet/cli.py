"""The ``fleet`` command. Each subcommand lies in a module of its own and is imported only when it is called."""

import importlib
import logging
import os
import sys

import click

from crawlers.runtime.errors import EXIT_FAILED, EXIT_USAGE, FleetError
from crawlers.runtime.logs import log_format, start_logging
from crawlers.runtime.terminal import say

logger = logging.getLogger(__name__)

# Command: the module and the click command in it. A crawler image has no hub, so nothing is imported before it is needed.
COMMANDS = {
    "up": "fleet.up:up",
    "sources": "fleet.sources:sources",
    "crawl": "fleet.crawl:crawl",
    "transform": "fleet.crawl:transform",
    "approve": "fleet.held:approve",
    "discard": "fleet.held:discard",
    "history": "fleet.history:history",
    "logs": "fleet.logs:logs",
    "drift": "fleet.drift:drift",
    "rejects": "fleet.rejects:rejects",
    "replay": "fleet.rejects:replay",
    "harvest": "fleet.harvest:harvest",
    "gaps": "fleet.gaps:gaps",
    "harvester": "fleet.harvester:harvester",
    "check": "fleet.check:check",
    "due": "fleet.due:due",
    "order": "fleet.orders:order",
    "pause": "fleet.orders:pause",
    "resume": "fleet.orders:resume",
    "test": "fleet.cases:test",
    "record": "fleet.cases:record",
    "new-source": "fleet.new_source:new_source",
    "validate": "fleet.validate:validate",
    "hub": "fleet.hub:hub",
    "alert": "fleet.alert:alert",
    "dump": "fleet.hub:dump",
    "upload": "fleet.hub:upload",
    "status": "fleet.status:status",
    "releases": "fleet.releases:releases",
    "diff": "fleet.releases:diff",
    "documents": "fleet.documents:documents",
    "jobs": "fleet.jobs:jobs",
    "rollback": "fleet.releases:rollback",
    "pin": "fleet.releases:pin",
    "unpin": "fleet.releases:unpin",
    "clean": "fleet.clean:clean",
    "user": "fleet.users:user",
    "token": "fleet.users:token",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            return _lacking(cmd_name, error)


def _lacking(name: str, error: ModuleNotFoundError) -> click.Command:
    """Stands for a command whose packages are not installed, as an image holds those of its own part alone."""

    def refuse() -> None:
        raise error

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, hidden=True, add_help_option=False, context_settings=anything)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def fleet(verbose: bool) -> None:
    """Collect research metadata: crawl sources, publish releases, load them into MongoDB.

    \b
    Exit codes: 0 done · 1 failed, or nothing to publish · 2 bad usage, setting or manifest · 3 locked by another crawl ·
    4 held · 5 partial · 6 the hub does not answer · 7 not due · 128+N ended by signal N.
    """
    start_logging(verbose=verbose)


def _say(text: str) -> None:
    try:
        say(text, logging.ERROR)
    except FleetError:  # what is wrong is how we are to say it
        click.echo(text, err=True)


def main() -> None:
    """Entry point: like the group itself, with our errors told in a line and turned into their exit codes."""
    try:
        # Told not to exit by itself, click returns the exit code that a command asked for.
        sys.exit(fleet(standalone_mode=False))
    except FleetError as error:
        _say(f"fleet: {error}")
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(EXIT_FAILED)
    except ModuleNotFoundError as error:
        click.echo(
            f"fleet: this command can't run here, the package {error.name} is not installed. In Docker, a crawler's container "
            "has what crawls and the hub's what looks after releases: use the other one, or a checkout set up by `make test`",
            err=True,
        )
        sys.exit(EXIT_USAGE)
    except OSError as error:
        if error.filename is None:  # no file that a person could look at
            raise
        _say(f"fleet: {error}. See that it is what it should be, and that uid {os.geteuid()} may use it")
        sys.exit(EXIT_FAILED)
    except Exception:
        if log_format() != "json":
            raise
        logger.critical("the command failed, and that is a fault of the fleet", exc_info=True)
        sys.exit(EXIT_FAILED)
