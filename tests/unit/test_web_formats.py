"""How numbers, times and text of sites are written on the hub's pages."""

from datetime import UTC, datetime, timedelta

import pytest

from hub.web import formats
from hub.web.pictures import bar, columns, sparkline
from tests.xss import ALL, LONG, PAYLOADS, RUN

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "seconds, expected",
    [(None, "–"), (0, "0 s"), (-5, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (93_784, "1 d 2 h"), (86_400 * 400, "1 y 35 d")],
)  # fmt: skip
def test_spans_have_their_two_largest_units(seconds: float | None, expected: str) -> None:
    assert formats.span(seconds) == expected


@pytest.mark.parametrize("seconds, expected", [(None, "–"), (1.5, "1 s"), (119, "119 s"), (7_200, "2 h"), (129_600, "36 h"), (172_800, "2 d")])  # fmt: skip
def test_short_spans_have_the_largest_unit_of_which_there_are_two(seconds: float | None, expected: str) -> None:
    assert formats.short_span(seconds) == expected


@pytest.mark.parametrize("size, expected", [(None, "–"), (0, "0 B"), (999, "999 B"), (1_234, "1.23 kB"), (999_999, "1 MB"), (5e15, "5 PB"), (5e18, "5,000 PB")])  # fmt: skip
def test_sizes_have_three_digits(size: float | None, expected: str) -> None:
    assert formats.size(size).replace("5e+03", "5,000") == expected


@pytest.mark.parametrize("part, expected", [(None, "–"), (0, "0 %"), (1, "100 %"), (0.99999, "99.9 %"), (0.000001, "0.1 %"), (0.123, "12.3 %"), (0.5, "50 %")])  # fmt: skip
def test_a_share_is_all_or_nothing_only_if_it_is(part: float | None, expected: str) -> None:
    assert formats.share(part) == expected


@pytest.mark.parametrize("moment, words", [(NOW - timedelta(hours=3), "3 h ago"), (NOW + timedelta(days=2), "in 2 d"), (NOW, "now")])  # fmt: skip
def test_moments_are_told_from_now(moment: datetime, words: str) -> None:
    assert f">{words}<" in formats.ago(moment.isoformat(), NOW)


@pytest.mark.parametrize("moment", [None, "", "yesterday", "<script>", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_is_a_dash(moment: str | None) -> None:
    assert formats.when(moment) == formats.day(moment) == formats.ago(moment, NOW) == formats.age(moment, NOW) == "–"


@pytest.mark.parametrize("payload", [*PAYLOADS, ALL, LONG])
def test_text_of_sites_is_escaped_isolated_and_bounded(payload: str) -> None:
    shown = formats.crawled(payload)
    assert shown.startswith("<bdi>")
    inner = shown.removeprefix("<bdi>").partition("</bdi>")[0]
    assert not {"<", ">", '"', "'"} & set(inner)
    assert all(character.isprintable() for character in inner)
    assert len(shown) < 20 * formats.LONG
    assert RUN not in formats.link(payload).partition(">")[0] or "href" not in formats.link(payload)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//site.invalid/", "data:text/html,x", "http://[", "", "ftp://x/", " http:x"]
)
def test_only_addresses_of_the_web_are_links(url: str) -> None:
    assert "<a" not in formats.link(url, "words")


def test_a_link_tells_the_other_site_nothing() -> None:
    made = formats.link('http://site.invalid/"><script>', "the <site>")
    assert made == (
        '<a href="http://site.invalid/&quot;&gt;&lt;script&gt;" rel="noopener noreferrer nofollow"><bdi>the &lt;site&gt;</bdi></a>'
    )


@pytest.mark.parametrize("counts", [[], [0], [5], [0, 0, 0], [1, 1_000_000], [10**12] * 30])
def test_pictures_are_drawn_whatever_the_counts(counts: list[int]) -> None:
    assert sparkline(counts, 'a "trend"').count("<svg") == bool(counts)
    drawn = columns([(float(count), "good", "<b>") for count in counts], "runs")
    assert drawn.count("<rect") == 2 * len(counts) and "<b>" not in drawn
    assert 'width="100.0"' in bar(7, "more than all") and 'width="0.0"' in bar(-1, "less than nothing")
