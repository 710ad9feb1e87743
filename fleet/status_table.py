"""The table that ``fleet status`` prints: what needs attention first, sizes and ages for people."""

from collections import Counter
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crawlers.runtime.schedule import in_words, moment
from crawlers.runtime.standing import ATTENTION
from crawlers.runtime.terminal import safe
from hub.status import changes_in_short, reasons

COLOURS = {
    "failing": "bold red",
    "stale": "red",
    "held": "yellow",
    "never": "magenta",
    "due": "yellow",
    "paused": "blue",
    "running": "cyan",
    "fresh": "green",
}
_HUB_COLOURS = {"live": "green", "pinned": "blue", "held": "yellow", "faulty": "bold red", "dump failed": "bold red", "upload failed": "bold red"}  # fmt: skip
# States whose reason is told of no other step of the source's way.
_TOLD = ("stale", "due", "paused")
# What is left out of a narrow terminal, the least needed first. What is left of its width goes to the reason in `next`.
_SPARED = ("size", "changes", "rejects", "live release")
_NEXT_CHARACTERS, _GAP = 24, 2


def table_of(sources: list[dict[str, Any]], now: datetime, width: int) -> Table:
    """``sources``: what ``GET /fleet/status`` answers. ``width``: of the terminal, in characters."""
    rows = [_row(source, now) for source in sorted(sources, key=_urgency)]
    widths = {key: max(len(key), *(row[key].cell_len for row in rows)) + _GAP for key in rows[0]} if rows else {}
    spared = iter(_SPARED)
    while widths and sum(widths.values()) - widths["next"] + min(widths["next"], _NEXT_CHARACTERS) > width:
        if (spare := next(spared, None)) is None:
            break
        del widths[spare]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for heading in widths or ("source",):
        right = heading in ("documents", "rejects", "size", "changes")
        left_over = max(width - sum(widths.values()) + widths["next"] - _GAP, 1) if heading == "next" else None
        table.add_column(
            heading, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", max_width=left_over
        )
    for row in rows:
        table.add_row(*(row[heading] for heading in widths))
    return table


def words_of(sources: list[dict[str, Any]]) -> Group:
    """How many sources are in which state, and of each that needs attention a line why."""
    states = Counter(_state(source) for source in sources)
    count = Text(", ").join(Text(f"{states[state]} {state}", COLOURS[state]) for state in ATTENTION if states[state])
    lines = [Text.assemble(f"{len(sources)} sources: ", count)] if sources else [Text("There are no sources.")]
    for source in sorted(sources, key=_urgency):
        name, told = source["name"], list(reasons(source))
        standing = source["standing"]
        if standing and (standing["state"] in _TOLD or (standing["state"] == "failing" and not told)):
            told.insert(0, standing["reason"])
        lines += [Text.assemble((name, COLOURS[_state(source)]), f": {_reason(name, reason)}") for reason in told]
    return Group(*lines)


def _reason(name: str, reason: str) -> str:
    """``reason`` without the name before it, which stands there already; what it lists is indented below it."""
    first, *rest = reason.removeprefix(f"{name}: ").splitlines() or [""]
    return "\n".join([safe(first), *(f"  {safe(line)}" for line in rest)])


def _row(source: dict[str, Any], now: datetime) -> dict[str, Text]:
    standing = source["standing"] or {}
    state = _state(source)
    since = standing.get("since")
    return {
        "source": Text(source["name"], "bold"),
        "standing": Text(state, COLOURS[state]) + Text(f" {in_words(now - moment(since))}" if since else "", "dim"),
        "collected": _ago(standing.get("collected"), now),
        "next": _next(standing, now),
        "hub": Text(source["state"] or "-", _HUB_COLOURS.get(source["state"] or "", "")),
        "live release": Text(safe(source["live"] or "-")),
        "documents": _number(source["documents"]),
        "rejects": _number(source["rejects"]),
        "size": Text(_size(standing.get("bytes"))),
        "changes": Text(changes_in_short(source) or "-"),
    }


def _state(source: dict[str, Any]) -> str:
    """Of a source whose manifest can't be read nothing is known, but that somebody has to look."""
    standing = source["standing"]
    return standing["state"] if standing else "failing"


def _urgency(source: dict[str, Any]) -> tuple[int, str, str]:
    standing = source["standing"] or {}
    return ATTENTION.index(_state(source)), standing.get("since") or "", source["name"]


def _ago(text: str | None, now: datetime) -> Text:
    return Text(f"{in_words(now - moment(text))} ago" if text else "-")


def _next(standing: dict[str, Any], now: datetime) -> Text:
    if not standing or standing["state"] == "running":
        return Text(standing.get("progress") or "-")
    why = f" {safe(standing['next_reason'])}" if standing["next_reason"] else ""
    if not standing["next_run"]:
        return Text("-" if standing["paused"] else "now") + Text(why, "dim")
    at = moment(standing["next_run"])
    return Text(f"in {in_words(at - now)}" if at > now else "now", "yellow" if at <= now else "") + Text(why, "dim")


def _number(number: int | None) -> Text:
    return Text("-" if number is None else f"{number:,}")


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "-"
    size, units = float(size_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 100 else f"{size:.1f} {units[0]}"
