"""How numbers, times and crawled text are written on the pages: functions that every template has at hand.

Those that return HTML escape what they are given, and are put into templates by ``{% raw … %}``.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from tornado.escape import xhtml_escape

from crawlers.runtime.terminal import safe

NOTHING = "–"
LONG = 400
_UNITS = (("y", 365 * 86_400), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_PREFIXES = ("B", "kB", "MB", "GB", "TB", "PB")


def number(count: float | None) -> str:
    """``1,234``; a dash for None."""
    return NOTHING if count is None else f"{count:,.0f}"


def size(size_bytes: float | None) -> str:
    """``1.2 GB``: powers of a thousand, three digits."""
    if size_bytes is None:
        return NOTHING
    for prefix in _PREFIXES[:-1]:
        if size_bytes < 999.5:
            return f"{size_bytes:.3g} {prefix}"
        size_bytes /= 1000
    return f"{size_bytes:,.3g} {_PREFIXES[-1]}"


def share(part: float | None) -> str:
    """``12.3 %`` for 0.123; never 100 % for less than all, nor 0 % for more than nothing."""
    if part is None:
        return NOTHING
    bounded = part if part in (0, 1) else min(max(part, 0.001), 0.999) if 0 < part < 1 else part
    return f"{bounded:.1%}".replace(".0%", "%").replace("%", " %")


def span(seconds: float | None) -> str:
    """``2 d 3 h``: the two largest units."""
    if seconds is None:
        return NOTHING
    left = max(0, int(seconds))
    words: list[str] = []
    for unit, length in _UNITS:
        if left >= length or (words and len(words) < 2):
            if left >= length:
                words.append(f"{left // length} {unit}")
            left %= length
            if len(words) == 2 or left == 0:
                break
            if words and left < length / 100:  # years and seconds don't belong together
                break
    return " ".join(words) or "0 s"


def short_span(seconds: float | None) -> str:
    """``36 h``, ``2 d``: in the largest unit of which there are two."""
    if seconds is None:
        return NOTHING
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def parse_moment(moment: str | datetime | None) -> datetime | None:
    """The moment that an ISO 8601 text stands for; None where it stands for none."""
    if not moment:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # at the ends of time
        return None


def when(moment: str | datetime | None) -> str:
    """HTML: ``2026-11-22 01:02 UTC``."""
    at = parse_moment(moment)
    if at is None:
        return NOTHING
    at = at.astimezone(UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M} UTC</time>'


def day(moment: str | datetime | None) -> str:
    """HTML: ``2026-11-22``, with the time as its title."""
    at = parse_moment(moment)
    if at is None:
        return NOTHING
    at = at.astimezone(UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}" title="{at:%Y-%m-%d %H:%M:%S} UTC">{at:%Y-%m-%d}</time>'


def lasts(since: str | datetime | None, now: datetime) -> str:
    """``for 3 h``; empty where nobody knows since when."""
    return f"for {age(since, now)}" if parse_moment(since) else ""


def age(moment: str | datetime | None, now: datetime) -> str:
    """``3 h``: from ``moment`` until now; a dash where there is none."""
    at = parse_moment(moment)
    return short_span((now - at).total_seconds()) if at else NOTHING


def ago(moment: str | datetime | None, now: datetime) -> str:
    """HTML: ``3 h ago`` or ``in 2 d``, the moment itself as its title."""
    at = parse_moment(moment)
    if at is None:
        return NOTHING
    at = at.astimezone(UTC)
    seconds = (now - at).total_seconds()
    words = f"{short_span(seconds)} ago" if seconds >= 0 else f"in {short_span(-seconds)}"
    if abs(seconds) < 1:
        words = "now"
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}" title="{at:%Y-%m-%d %H:%M:%S} UTC">{words}</time>'


def crawled(text: Any, limit: int = LONG) -> str:
    """HTML: a text that a site, or a person, wrote: escaped, isolated from the text around it, bounded.

    What a page would obey or not show, right-to-left overrides and control characters, is written out as ``\\u202e``.
    """
    if text is None or text == "":
        return NOTHING
    whole = str(text)
    cut = safe(whole[:limit].replace("\n", " ").replace("\t", " "))
    more = f'<span class="quiet"> … ({len(whole):,} characters)</span>' if len(whole) > limit else ""
    return f"<bdi>{xhtml_escape(cut)}</bdi>{more}"


def plain(text: Any, limit: int = LONG) -> str:
    """The same for attributes, as text: the template escapes it."""
    whole = str(text or "")
    return safe(whole[:limit].replace("\n", " ").replace("\t", " ")) + ("…" if len(whole) > limit else "")


def is_web(url: Any) -> bool:
    """Whether it is an address of the web: no script can hide in it."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        return parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        return False


def link(url: str | None, words: str = "") -> str:
    """HTML: a link to another site, if ``url`` is one of the web; else its text alone."""
    shown = crawled(words or url, 120)
    if not is_web(url):
        return shown
    return f'<a href="{xhtml_escape(str(url))}" rel="noopener noreferrer nofollow">{shown}</a>'


def bare(url: str) -> str:
    """``url`` for people, e.g. ``data.example.org/terms``: without scheme and the slash at its end."""
    return url.partition("://")[2].rstrip("/") or url


def url_part(text: str) -> str:
    """``text`` as one part of a path, or a value of a query."""
    return quote(text, safe="")


SCOPE: dict[str, Any] = {
    it.__name__: it
    for it in (number, size, share, span, short_span, when, day, lasts, age, ago, crawled, plain, link, bare, url_part)
}
