"""The errors of the fleet, and the exit code of each.

An error says which source, which URL or file and line, what was got, what was expected, and what to do next.
``FleetError`` is for anything that a person can act on: the command prints it without a traceback and exits with its code.
"""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LOCKED = 3
EXIT_HELD = 4
EXIT_PARTIAL = 5
EXIT_UNREACHABLE = 6
EXIT_NOT_DUE = 7


class FleetError(Exception):
    """Something went wrong that the text explains; nothing was published."""

    exit_code = EXIT_FAILED


class UsageError(FleetError):
    """The command, a setting or a manifest is wrong: a person has to change it."""

    exit_code = EXIT_USAGE


class LockedError(FleetError):
    """Another crawl of the same source is under way."""

    exit_code = EXIT_LOCKED


class PartialError(FleetError):
    """A crawl was cut short: what it saw is known to be a part, so it is no release."""

    exit_code = EXIT_PARTIAL


class EmptyError(FleetError):
    """A crawl ended by itself without a record, and its manifest doesn't allow that."""


class HeldError(FleetError):
    """A crawl made a release that its publish gate holds back, for a person to approve or discard."""

    exit_code = EXIT_HELD


class StuckError(FleetError):
    """A crawl did not move for too long, and was ended."""


class UnreachableError(FleetError):
    """The hub, or another service that the command needs, does not answer."""

    exit_code = EXIT_UNREACHABLE


class PageError(FleetError):
    """A page should have given a record and gave none, or not all: it goes to the rejects, and the crawl goes on.

    ``url``: the page; ``reason``: what was got and what was expected; ``field``: where in the page, where it is known.
    """

    def __init__(self, url: str, reason: str, field: str = "") -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason
        self.field = field


class LimitError(PageError):
    """A limit of the source's definition was reached: what lies beyond would be missing, so the crawl ends."""


class ReleaseError(FleetError):
    """What lies in a release folder breaks the release protocol."""


class NotDueError(FleetError):
    """Nothing is to be started now: the source's turn is later, it is paused, or its site asked to be left alone at this hour."""

    exit_code = EXIT_NOT_DUE


class Interrupted(BaseException):
    """The crawl was told to stop by a signal.

    ``signal_number``: which one; the exit code is 128 + its number, as shells have it.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
