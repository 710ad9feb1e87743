"""Dates as ISO 8601, no more exact than they were given."""

import re
from datetime import date
from functools import lru_cache

_ISO = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?)?)?")
_SLASHED = re.compile(r"(\d{4})[/.](\d\d?)(?:[/.](\d\d?))?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DAY_FIRST = re.compile(r"(\d\d?)[-. ]\s?([A-Za-z]{3,9})\.?[-, ]\s?(\d{4})")
_MONTH_FIRST = re.compile(r"([A-Za-z]{3,9})\.?(?: (\d\d?)(?:st|nd|rd|th)?,?)?[ -](\d{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@lru_cache(maxsize=8192)
def iso_date(text: str) -> str:
    """``text`` as ``YYYY``, ``YYYY-MM``, ``YYYY-MM-DD`` or a date with a time; empty where it is none, or two readings are possible.

    Day and month given as numbers, in an order that nobody says, are not guessed.
    """
    text = text.strip()
    if found := _ISO.fullmatch(text):
        day = _joined(found[1], found[2], found[3])
        if not day or not found[4]:
            return day
        return f"{day}T{found[4]}{found[5] or ''}"
    if found := _SLASHED.fullmatch(text) or _COMPACT.fullmatch(text):
        return _joined(found[1], found[2], found[3])
    if found := _DAY_FIRST.fullmatch(text):
        return _joined(found[3], found[2], found[1])
    if found := _MONTH_FIRST.fullmatch(text):
        return _joined(found[3], found[1], found[2])
    return ""


@lru_cache(maxsize=8192)
def iso_period(text: str) -> str:
    """A period ``start/end`` (either end may be open: ``..``), or a date, as ISO 8601; empty where it is neither."""
    start, slash, end = (part.strip() for part in text.partition("/"))
    if not slash or (end.isdigit() and len(end) < 3):  # 2011/05 is a month
        return iso_date(text)
    ends = [".." if part in ("", "..") else iso_date(part) for part in (start, end)]
    return "/".join(ends) if all(ends) and ends != ["..", ".."] else ""


def parts_date(year: str, month: str = "", day: str = "") -> str:
    """A date from its parts, as far as they are good; month as a number or an English name."""
    return (
        _joined(year.strip(), month.strip(), day.strip())
        or _joined(year.strip(), month.strip(), "")
        or _joined(year.strip(), "", "")
    )


def _joined(year: str, month: str | None, day: str | None) -> str:
    if not re.fullmatch(r"\d{4}", year) or year == "0000":
        return ""
    if not month:
        return year
    if month[:3].lower() in _MONTHS:
        number = _MONTHS.index(month[:3].lower()) + 1
    elif month.isdigit() and 1 <= int(month) <= 12:
        number = int(month)
    else:
        return ""
    if not day:
        return f"{year}-{number:02}"
    try:
        return date(int(year), number, int(day)).isoformat()
    except ValueError:
        return ""
