"""Options that several commands have in common."""

from pathlib import Path

import click

shared_option = click.option(
    "--shared",
    type=click.Path(path_type=Path),
    help="The shared volume, with DIR/NAME_crawled/. Default: FLEET_SHARED_DIR.",
    metavar="DIR",
)
