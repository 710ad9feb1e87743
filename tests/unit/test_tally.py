"""Whether what a crawl saw is good enough to be published."""

import msgspec
import pytest

from crawlers.runtime.errors import FleetError, PartialError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import Counts
from crawlers.runtime.tally import ADVICE, Tally, require_good

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
def test_links_that_lead_elsewhere_neither_fail_a_crawl_nor_make_room_in_its_budget(
    manifest: Manifest, kind: str
) -> None:
    tally = tally_of(12, 10, kind)
    require_good(manifest, tally, Counts(items=1, records=1))
    tally.error("not_found", URL, "HTTP 404")
    with pytest.raises(PartialError, match="1 of 2 pages failed"):
        require_good(msgspec.structs.replace(manifest, error_budget=0.4), tally, Counts(items=1, records=1))


@pytest.mark.parametrize(
    ("pages", "failed", "budget", "good"),
    [
        (10, 0, 0.0, True),
        (10, 1, 0.0, False),
        (10, 1, 0.1, True),
        (10, 2, 0.1, False),
        (1000, 100, 0.1, True),
        (1000, 101, 0.1, False),
        (3, 3, 1.0, True),
        (0, 0, 0.0, True),
    ],
)
def test_the_error_budget_is_a_share_of_the_pages(
    manifest: Manifest, pages: int, failed: int, budget: float, good: bool
) -> None:
    manifest = msgspec.structs.replace(manifest, error_budget=budget)
    if good:
        require_good(manifest, tally_of(pages, failed), Counts(items=1, records=1))
    else:
        with pytest.raises(PartialError, match=f"{failed} of {pages} pages failed"):
            require_good(manifest, tally_of(pages, failed), Counts(items=1, records=1))


@pytest.mark.parametrize(("rejected", "good"), [(0, True), (5, True), (6, False), (100, False)])
def test_the_reject_budget_is_a_share_of_the_records(manifest: Manifest, rejected: int, good: bool) -> None:
    counts = Counts(items=100, records=100 - rejected, rejected_items=rejected)
    if good:
        require_good(manifest, tally_of(1, 0), counts)
    else:
        with pytest.raises(PartialError, match=f"{rejected} of 100 records were rejected"):
            require_good(manifest, tally_of(1, 0), counts)


def test_a_crawl_without_a_record_is_no_release_unless_the_manifest_allows_it(manifest: Manifest) -> None:
    with pytest.raises(FleetError, match="no record was found on 7 pages"):
        require_good(manifest, tally_of(7, 0), Counts())
    require_good(msgspec.structs.replace(manifest, allow_empty=True), tally_of(7, 0), Counts())


def test_a_start_that_failed_and_a_limit_forbid_a_release_whatever_the_budgets(manifest: Manifest) -> None:
    manifest = msgspec.structs.replace(manifest, allow_empty=True, error_budget=1, reject_budget=1)
    tally = tally_of(9, 0)
    with pytest.raises(PartialError, match="by --limit"):
        require_good(manifest, tally, Counts(items=5, records=5), limited=True)
    tally.failed_starts.append(URL)
    with pytest.raises(FleetError, match=f"could not start well: {URL} failed"):
        require_good(manifest, tally, Counts(items=5, records=5))
