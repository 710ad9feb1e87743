"""Dates of OAI-PMH (section 3.3): days or seconds, in UTC, with both ends of a range within it.

Inside, a moment is a whole number of seconds since 1970 in UTC.
"""

import re
from datetime import UTC, datetime, timedelta

DAY = 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_SECOND = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?")
EARLIEST = -62135596800  # 0001-01-01
LATEST = 253402300799  # 9999-12-31T23:59:59


def parse_date(text: str, *, end: bool = False) -> int | None:
    """The moment that ``text`` stands for, a day its beginning, or its last second where ``end``; None where it is no date."""
    text = text.strip()
    try:
        if _DAY.fullmatch(text):
            moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return to_seconds(moment) + (DAY - 1 if end else 0)
        if found := _SECOND.fullmatch(text):
            zone = (found[4] or "Z").replace("Z", "+00:00")
            return to_seconds(datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or ':00'}{zone}"))
    except (ValueError, OverflowError):
        pass
    return None


def is_day(text: str) -> bool:
    """Whether ``text`` is a date to the day."""
    return bool(_DAY.fullmatch(text.strip()))


def to_seconds(moment: datetime) -> int:
    """Seconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // timedelta(seconds=1)


def write_date(seconds: int, granularity: int) -> str:
    """The date as a request has it; ``granularity``: 1 or ``DAY``."""
    text = (_EPOCH + timedelta(seconds=min(max(seconds, EARLIEST), LATEST))).isoformat()
    return text[:10] if granularity == DAY else text[:19] + "Z"


def floor_to(seconds: int, granularity: int) -> int:
    """The last moment of the granularity that is not after ``seconds``."""
    return seconds - seconds % granularity
