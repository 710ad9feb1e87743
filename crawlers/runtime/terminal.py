"""What is said on a terminal. Text of sites must not move its cursor, change colours, or read other than it is."""

import logging
import unicodedata

import click

from crawlers.runtime.logs import log_format

logger = logging.getLogger(__name__)

# Control and format characters (right-to-left overrides among them), surrogates, private ones, separators of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def say(text: str, level: int = logging.INFO) -> None:
    """Say on stderr how a command ended; as an event where a program reads the log (``FLEET_LOG_FORMAT``)."""
    if log_format() == "json":
        logger.log(level, "%s", text)
    else:
        click.echo(text, err=True)


def safe(text: str) -> str:
    """``text`` on one line, with what a terminal would obey, or not show, written as ``\\x1b`` or ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )
