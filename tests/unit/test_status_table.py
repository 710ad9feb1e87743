"""The table of ``fleet status``: what needs attention first, for people."""

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from crawlers.runtime.standing import Standing
from fleet.status_table import table_of, words_of

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)


def source(name: str, state: str, **fields: Any) -> dict[str, Any]:
    """What the hub tells of a source; ``fields`` are those of its standing."""
    import msgspec

    known = {"name": name, "title": name, "url": "http://site.invalid/", "state": state, "reason": f"{name} is {state}"}
    standing = Standing(**{"since": "2026-01-06T10:00:00Z", **known, **fields})
    steps = dict.fromkeys(
        ("crawl", "held", "pinned", "changes", "dump", "upload", "fault", "live", "documents", "rejects")
    )
    return {"name": name, "standing": msgspec.to_builtins(standing), "state": "live", **steps}


def shown(sources: list[dict[str, Any]], width: int = 200) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(table_of(sources, NOW, width))
    console.print(words_of(sources), soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_needs_attention_comes_first_and_the_longest_of_it() -> None:
    sources = [
        source("well", "fresh"),
        source("late", "stale"),
        source("ill", "failing"),
        source("iller", "failing", since="2026-01-01T10:00:00Z"),
        {**source("bad", "fresh"), "standing": None, "state": "faulty", "fault": "source.toml:1: not TOML"},
    ]
    text = shown(sources)
    assert [row.split()[0] for row in text.splitlines()[1:6]] == ["bad", "iller", "ill", "late", "well"]
    assert "5 sources: 3 failing, 1 stale, 1 fresh" in text
    assert "bad: source.toml:1: not TOML" in text
    assert "late: late is stale" in text
    assert "well: " not in text


def test_sizes_and_times_are_for_people() -> None:
    fields = {"collected": "2026-01-06T08:45:00Z", "next_run": "2026-01-06T15:00:00Z", "next_reason": "cron 0 15 * * *"}
    one = {**source("little", "fresh", bytes=1_234_567, **fields), "documents": 12_345}
    row = shown([one]).splitlines()[1]
    for cell in ("fresh 120 min", "3 h 15 min ago", "in 3 h cron 0 15 * * *", "12,345", "1.2 MB"):
        assert cell in row


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (295_000, "295 kB"), (5_000_000_000, "5.0 GB")])
def test_sizes_have_units(size: int, text: str) -> None:
    assert f" {text} " in shown([source("little", "fresh", bytes=size)]).splitlines()[1]


def test_a_narrow_terminal_loses_columns_and_breaks_no_line() -> None:
    sources = [source("little", "fresh", next_reason="why" * 50), source("other", "due")]
    lines = shown(sources, 80).splitlines()
    assert len(lines[0]) <= 80
    assert lines[0].split()[:3] == ["source", "standing", "collected"]
    assert "size" not in lines[0]
    assert [line.split()[0] for line in lines[1:3]] == ["other", "little"]


def test_what_a_site_wrote_moves_no_cursor(tmp_path: Path) -> None:
    assert "\x1b" not in shown([source("little", "stale", reason="\x1b[2Jgone")])


def test_a_reason_of_several_lines_is_read_as_such_and_names_its_source_once() -> None:
    crawl = {"outcome": "held", "reason": "cells: it is held:\n  - fewer\x1b\nIt lies in held/."}
    lines = shown([{**source("cells", "held"), "crawl": crawl}]).splitlines()
    assert lines[-3:] == ["cells: it is held:", "    - fewer\\x1b", "  It lies in held/."]


def test_a_crawl_under_way_shows_how_far_it_is() -> None:
    assert "59%, 118 of 200 records" in shown([source("busy", "running", progress="59%, 118 of 200 records")])


def test_no_sources_are_told_so() -> None:
    assert "There are no sources." in shown([])
