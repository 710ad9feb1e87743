"""Dates as ISO 8601 (https://www.w3.org/TR/NOTE-datetime), partial ones left partial: 2019, 2019-05, 2019-05-04.

What is read without guessing is read. Where day and month could be either way round, the date is reported; a source that knows
which comes first says so.
"""

import re
import warnings
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from dateutil import parser

from crawlers.runtime.schema.unparsable import Unparsable, kind_of

# What a date of a record looks like.
ISO_DATE = r"^[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?$"
MAX_LENGTH = 80
_TIME = r"(?P<time>\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)(?: ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d|[+-]\d\d))?"
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})(?:(?P<mark>[-/. ])(?P<month>\d{{1,2}})(?:(?P=mark)(?P<day>\d{{1,2}}))?)?(?:[T ] ?{_TIME})?",
    re.ASCII | re.IGNORECASE,
)
_COMPACT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?:T?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?P<zone>Z)?)?",
    re.ASCII,
)
_YEAR_LAST = re.compile(
    rf"(?:(?P<first>\d{{1,2}})[-/. ])?(?P<second>\d{{1,2}})[-/. ](?P<year>\d{{4}})(?:[T ] ?{_TIME})?",
    re.ASCII | re.IGNORECASE,
)
_MONTH = re.compile(
    r"(?:^|[^a-z])(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?)(?![a-z])",
    re.IGNORECASE,
)
_PERIOD = re.compile(r"\d{4}\S*\s*(?:/|--|–|—|\bto\b|-)\s*(?:\d{4}\b\S*|\.\.|present)?", re.IGNORECASE)
_AMBIGUOUS = "ambiguous: day and month could be either way round"
_NO_DATE = "not a date"


def parse_date(value: Any, *, day_first: bool | None = None) -> str:
    """A date, or a date and time. ``day_first``: which comes first in 04/05/2019; None: unknown."""
    if isinstance(value, datetime):
        return _checked(value.isoformat().replace("+00:00", "Z"))
    if isinstance(value, date):
        return _checked(value.isoformat())
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unparsable(f"is {kind_of(value)}, expected is a date")
    if isinstance(value, int):
        if not 1000 <= value <= 2999:
            raise Unparsable("is a number, expected is a date")
        return str(value)
    text = " ".join(value.split()) if len(value) <= MAX_LENGTH else ""
    return _parse(text, day_first)


@lru_cache(10_000)  # the dates of a source repeat, and those in words take a while
def _parse(text: str, day_first: bool | None) -> str:
    if re.match(ISO_DATE, text, re.ASCII) and _is_real(text):
        return text
    if found := _YEAR_FIRST.fullmatch(text):
        return _iso(found["year"], found["month"], found["day"], found["time"], found["zone"])
    if found := _COMPACT.fullmatch(text):
        time = ":".join(filter(None, (found["hour"], found["minute"], found["second"])))
        return _iso(found["year"], found["month"], found["day"], time, found["zone"])
    if found := _YEAR_LAST.fullmatch(text):
        day, month = _day_and_month(found["first"], found["second"], day_first)
        return _iso(found["year"], month, day, found["time"], found["zone"])
    if _MONTH.search(text):
        return _parse_words(text)
    if re.search(r"\d{4}", text) and _PERIOD.fullmatch(text):
        raise Unparsable("a period, not a date")
    raise Unparsable(_NO_DATE)


def _day_and_month(first: str | None, second: str, day_first: bool | None) -> tuple[str | None, str]:
    if first is None:
        return None, second
    if first == second or int(first) == int(second) or int(second) > 12:
        return second, first
    if int(first) > 12 or day_first is True:
        return first, second
    if day_first is False:
        return second, first
    raise Unparsable(_AMBIGUOUS)


def _iso(year: str, month: str | None, day: str | None, time: str | None, zone: str | None) -> str:
    text = year
    if month and int(month):  # 2019-00-00 is how some databases say 2019
        text += f"-{int(month):02}"
        if day and int(day):
            text += f"-{int(day):02}"
            if time:
                text += f"T{time.replace(',', '.'):0>{len(time) + (time[1] == ':')}}{_zone(zone)}"
    elif day and int(day):
        raise Unparsable(_NO_DATE)
    return _checked(text)


def _zone(zone: str | None) -> str:
    if not zone:
        return ""
    digits = re.sub(r"\D", "", zone)
    return f"{zone[0]}{digits[:2]}:{digits[2:] or '00'}" if digits else "Z"


def _parse_words(text: str) -> str:
    """A date with the name of a month. Of the parts that dateutil makes up, each differs between two runs."""
    if not re.search(r"(?<!\d)\d{4}(?!\d)", text):
        raise Unparsable("a date without a year of four digits")
    text = re.sub(r"^[(\[]|[)\]]$|(?<=\d)(st|nd|rd|th)\b|\bof\b", " ", text, flags=re.IGNORECASE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a time zone that it doesn't know
            low, high = (
                parser.parse(text, default=default)
                for default in (datetime(2004, 1, 1, 0, 0), datetime(2008, 2, 2, 1, 1))
            )
    except (ValueError, OverflowError, TypeError, AttributeError, RuntimeWarning, parser.UnknownTimezoneWarning):
        raise Unparsable(_NO_DATE) from None
    if (low.year, low.month) != (high.year, high.month) or str(low.year) not in text:
        raise Unparsable(_NO_DATE)
    if low.day != high.day:
        return _checked(f"{low.year}-{low.month:02}")
    if (low.hour, low.minute) != (high.hour, high.minute):
        return _checked(low.date().isoformat())
    return _checked(low.isoformat().replace("+00:00", "Z"))


def _checked(text: str) -> str:
    if not re.match(ISO_DATE, text, re.ASCII) or not _is_real(text):
        raise Unparsable("a day that does not exist, or a year before 1000 or after 2999")
    return text


def _is_real(text: str) -> bool:
    try:
        date.fromisoformat(f"{text}-01-01"[:10])
    except ValueError:
        return False
    return text < "3000" and not text.endswith("\n")
