"""Hours in which a site asks not to be crawled: ``["Mon-Fri 05:00-21:00"]`` in the site's own time zone."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = f"({'|'.join(_DAYS)})"
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_WINDOW = re.compile(rf"(?:{_DAY}(?:-{_DAY})? )?{_TIME}-(?:{_TIME}|24:00)")
# So many windows at most lie one behind the other in a week; what goes on for longer never ends.
_LONGEST = timedelta(days=8)


class _Window(NamedTuple):
    days: frozenset[int]
    start: time
    end: time | None


@lru_cache(maxsize=256)
def parse(windows: tuple[str, ...], zone: str) -> tuple[tuple[_Window, ...], tzinfo]:
    """The windows and the time zone.

    :raises ValueError: one is not of the form, there is no such zone, or no moment of the week is left.
    """
    try:
        found = UTC if zone == "UTC" else ZoneInfo(zone)  # which a machine without a table of zones knows too
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"zone is {zone!r}, which is no time zone: write e.g. America/New_York or UTC") from error
    return tuple(_parse_window(text) for text in windows), found


def find_end(windows: tuple[str, ...], zone: str, moment: datetime) -> datetime | None:
    """When the blackout that ``moment`` (aware) lies in ends, in UTC; None where it lies in none.

    :raises ValueError: they are wrong, or the blackout has no end.
    """
    parsed, found = parse(windows, zone)
    end = moment
    while (later := _window_end(parsed, found, end)) is not None:
        end = later
        if end - moment > _LONGEST:
            raise ValueError("blackout leaves no hour of the week in which the source could be crawled")
    return end.astimezone(UTC) if end > moment else None


def _window_end(windows: Sequence[_Window], zone: tzinfo, moment: datetime) -> datetime | None:
    today = moment.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):  # one that begins yesterday may go past midnight
        for window in windows:
            if day.weekday() not in window.days:
                continue
            start = datetime.combine(day, window.start, zone).astimezone(UTC)
            end = _combine_end(day, window, zone)
            if start <= moment < end:
                return end
    return None


def _combine_end(day: date, window: _Window, zone: tzinfo) -> datetime:
    past_midnight = window.end is None or window.end <= window.start
    local = datetime.combine(day + timedelta(days=past_midnight), window.end or time(), zone)
    return local.astimezone(UTC)


def _parse_window(text: str) -> _Window:
    found = _WINDOW.fullmatch(text)
    if not found:
        raise ValueError(
            f"blackout {text!r}: days, if not all, and hours are expected, e.g. `Mon-Fri 05:00-21:00` or `22:00-06:00`"
        )
    first, last, *hours = found.groups()
    days = frozenset(range(7))
    if first:
        start = _DAYS.index(first)
        days = frozenset((start + step) % 7 for step in range((_DAYS.index(last or first) - start) % 7 + 1))
    end = time(int(hours[2]), int(hours[3])) if hours[2] else None
    return _Window(days, time(int(hours[0]), int(hours[1])), end)
