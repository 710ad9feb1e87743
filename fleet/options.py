"""Options that several commands have in common, and who gives them."""

import getpass
import os
from pathlib import Path

import click

shared_option = click.option(
    "--shared",
    type=click.Path(path_type=Path),
    help="The shared volume, with DIR/NAME_crawled/. Default: FLEET_SHARED_DIR.",
    metavar="DIR",
)


def who() -> str:
    """The name of the user who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
