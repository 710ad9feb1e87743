"""The file that ``FLEET_ALERTS_FILE`` names: whom to tell, of what, and when. docs/monitoring.md has examples."""

import os
import tomllib
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from crawlers.runtime.errors import UsageError

Bad = Literal["failing", "stale", "held"]
Topic = Literal["alerts", "digest"]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
_Hours = Annotated[float, msgspec.Meta(gt=0, le=8760)]
_SECRET_BYTES = 4096


class Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[channels]]``: a service, by an Apprise URL (https://appriseit.com/services/).

    Such a URL mostly holds a secret, so it is given by one of ``url_file`` (a file; relative to this one), ``url_variable`` (an
    environment variable), or, where it holds none, ``url``.
    ``receives``: ``alerts``, ``digest``, or both.
    """

    name: _Name
    url: str = ""
    url_file: str = ""
    url_variable: str = ""
    receives: tuple[Topic, ...] = ("alerts", "digest")


class Flapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[flapping]``: what turned bad or well again ``changes`` times ``within_hours`` is told of no more, until it did not change
    for ``quiet_hours``.
    """

    changes: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 6
    within_hours: _Hours = 24
    quiet_hours: _Hours = 6


class Digest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[digest]``: how all sources stand, ``every`` day or week, ``at`` a time of the day in UTC, ``on`` a day of the week."""

    every: Literal["day", "week"] = "week"
    at: time = time(7, 0)
    on: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"

    def __post_init__(self) -> None:
        if self.at.tzinfo is not None:
            raise ValueError("at is in UTC, without a time zone: 07:00:00")


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file.

    ``bad``: the states of sources that are told; ``leave_out``: sources that are not.
    ``settle_minutes``: how long something must be so before it is told. ``look_seconds``: how often all is looked at.
    ``disk_free_percent``: a disk with less is nearly full.
    ``link``: the address of the hub as people know it, for links in messages; empty: none.
    """

    channels: tuple[Channel, ...] = ()
    bad: tuple[Bad, ...] = ("failing", "stale", "held")
    leave_out: tuple[str, ...] = ()
    settle_minutes: Annotated[float, msgspec.Meta(ge=0, le=10_080)] = 5
    look_seconds: Annotated[float, msgspec.Meta(ge=0.2, le=3600)] = 30
    disk_free_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 10
    link: Annotated[str, msgspec.Meta(pattern=r"^(https?://\S+)?$")] = ""
    flapping: Flapping = Flapping()
    digest: Digest | None = None

    def receiving(self, topic: Topic) -> list[str]:
        """The names of the channels that receive ``topic``."""
        return [channel.name for channel in self.channels if topic in channel.receives]


def read_alert_settings(path: Path) -> AlertSettings:
    """What the file ``path`` says.

    :raises UsageError: it can't be read, or breaks a rule; says which.
    """
    try:
        settings = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), AlertSettings)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"FLEET_ALERTS_FILE is {str(path)!r}, which can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {error}. docs/monitoring.md has an example of each table") from error
    names = [channel.name for channel in settings.channels]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path}: two channels are called {name!r}: give each a name of its own")
    return settings


def find_url(channel: Channel, folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The Apprise URL of ``channel``; ``folder``: where the file lies that describes it. It is a secret: no message repeats it.

    :raises UsageError: there is none, or more than one is given.
    """
    given = [key for key in ("url", "url_file", "url_variable") if getattr(channel, key)]
    where = f"the channel {channel.name!r} of {folder}"
    if len(given) != 1:
        raise UsageError(
            f"{where} has {' and '.join(given) or 'no URL'}: one of url, url_file and url_variable is expected"
        )
    if channel.url:
        return channel.url
    if channel.url_variable:
        if not (found := environment.get(channel.url_variable, "").strip()):
            raise UsageError(f"{where}: the environment variable {channel.url_variable} is not set, or empty")
        return found
    path = folder / channel.url_file
    try:
        with path.open(encoding="utf-8") as file:
            found = file.read(_SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: its url_file can't be read: {error}") from error
    if not found:
        raise UsageError(f"{where}: {path} is empty: an Apprise URL is expected")
    return found
