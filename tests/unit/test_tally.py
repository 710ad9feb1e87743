"""What a crawl saw, counted."""

import pytest

from crawlers.runtime.release import Counts
from crawlers.runtime.tally import ADVICE, Tally

URL = "http://site.invalid/"


def tally_of(pages: int, failed: int, kind: str = "not_found") -> Tally:
    tally = Tally(pages=pages)
    for number in range(failed):
        tally.error(kind, f"{URL}{number}", "HTTP 404")
    return tally


def test_errors_are_counted_by_class_with_the_first_as_example() -> None:
    tally = tally_of(10, 3)
    tally.error("server", URL, "HTTP 500 " + "x" * 1000)
    assert (tally.errors["not_found"].count, tally.errors["not_found"].url) == (3, f"{URL}0")
    assert len(tally.errors["server"].message) == 500
    assert tally.failed_pages == 4
    counts = Counts()
    tally.fill(counts)
    assert counts.failed_requests == 4
    described = tally.describe_errors()
    assert "not_found × 3, e.g. http://site.invalid/0: HTTP 404" in described
    assert ADVICE["server"] in described


@pytest.mark.parametrize("kind", ["offsite", "redirected"])
def test_links_that_lead_elsewhere_are_no_failures_nor_do_they_make_room_in_the_budget(kind: str) -> None:
    tally = tally_of(12, 10, kind)
    assert (tally.pages, tally.failed_pages, tally.errors[kind].count) == (2, 0, 10)


def test_an_error_says_what_to_do_about_it() -> None:
    assert tally_of(1, 1).errors["not_found"].action == ADVICE["not_found"]
