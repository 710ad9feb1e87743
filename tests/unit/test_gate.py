"""Whether what a crawl made is good enough to be published."""

from typing import Any

import msgspec
import pytest

from crawlers.runtime.errors import EmptyError, FleetError, PartialError
from crawlers.runtime.gate import judge, require_whole, required_fields
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import Counts, Description
from crawlers.runtime.tally import Tally

URL = "http://site.invalid/"


def described(records: int = 100, **counts: int) -> Description:
    settled = Counts(**{"items": records, "records": records, **counts})
    return Description(
        source="little", release="2026-11-22T00:00:00Z", records=records, bytes=1, sha256="", counts=settled
    )


def changed(manifest: Manifest, **fields: Any) -> Manifest:
    return msgspec.structs.replace(manifest, **fields)


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
    tally = Tally(pages=pages, failed_pages=failed)
    reasons = judge(changed(manifest, error_budget=budget), tally, described(), None)
    assert reasons == ([] if good else [f"{failed} of {pages} pages failed; error_budget allows {budget:.2%}"])


@pytest.mark.parametrize(("rejected", "good"), [(0, True), (5, True), (6, False), (100, False)])
def test_the_reject_budget_is_a_share_of_the_records(manifest: Manifest, rejected: int, good: bool) -> None:
    new = described(100 - rejected, items=100, rejected_items=rejected)
    reasons = judge(manifest, Tally(pages=1), new, None)
    assert reasons == ([] if good else [f"{rejected} of 100 records were rejected; reject_budget allows 5.00%"])


@pytest.mark.parametrize(("duplicates", "good"), [(2, True), (3, False)])
def test_duplicates_have_a_budget_of_their_own(manifest: Manifest, duplicates: int, good: bool) -> None:
    new = described(100 - duplicates, items=100, rejected_items=duplicates, duplicates=duplicates)
    reasons = judge(changed(manifest, duplicate_budget=0.02), Tally(pages=1), new, None)
    assert reasons == ([] if good else ["3 of 100 records are duplicates; duplicate_budget allows 2.00%"])


@pytest.mark.parametrize(("records", "good"), [(1000, True), (2000, True), (900, True), (899, False), (11, False)])
def test_a_source_that_shrank_is_held(manifest: Manifest, records: int, good: bool) -> None:
    reasons = judge(manifest, Tally(pages=1), described(records), described(1000))
    expected = (
        f"{records} records, {1000 - records} fewer than the 1000 of 2026-11-22T00:00:00Z; shrink_budget allows 10.00%"
    )
    assert reasons == ([] if good else [expected])


def test_a_source_that_may_shrink_as_it_likes_is_not_held_for_it(manifest: Manifest) -> None:
    assert judge(changed(manifest, shrink_budget=1.0), Tally(pages=1), described(1), described(1000)) == []


def test_a_required_field_that_fewer_records_have_holds_the_release_and_another_field_does_not(
    manifest: Manifest,
) -> None:
    last, new = described(), described()
    last.coverage = {"name": 1.0, "description": 0.95, "url": 1.0, "keywords": 1.0}
    new.coverage = {"name": 1.0, "description": 0.85, "keywords": 0.1}
    manifest = changed(manifest, profile="none")
    reasons = judge(manifest, Tally(pages=1), new, last)
    assert reasons == ["fewer records have url from 100% to 0%; coverage_budget allows 10 points less"]
    reasons = judge(changed(manifest, coverage_budget=9.5), Tally(pages=1), new, last)
    assert reasons == [
        "fewer records have url from 100% to 0%, description from 95% to 85%; coverage_budget allows 9.5 points less"
    ]
    assert judge(manifest, Tally(pages=1), new, described()) == []  # the last one noted no coverage


def test_the_fields_of_the_profile_and_those_that_the_manifest_requires_must_not_be_lost(manifest: Manifest) -> None:
    assert required_fields(changed(manifest, profile="none", require=("doi",))) == {"name", "description", "url", "doi"}
    assert {"funding", "measurementTechnique", "distribution"} <= required_fields(changed(manifest, profile="nde"))
    assert "datePublished" in required_fields(changed(manifest, profile="datacite"))


def test_a_crawl_without_a_record_is_no_release_unless_the_manifest_allows_it(manifest: Manifest) -> None:
    with pytest.raises(EmptyError, match="no record was found on 7 pages"):
        require_whole(manifest, Tally(pages=7), Counts())
    require_whole(changed(manifest, allow_empty=True), Tally(pages=7), Counts())


def test_a_start_that_failed_and_a_limit_forbid_a_release_whatever_the_budgets(manifest: Manifest) -> None:
    manifest = changed(manifest, allow_empty=True, error_budget=1.0, reject_budget=1.0)
    tally = Tally(pages=9)
    with pytest.raises(PartialError, match="by --limit"):
        require_whole(manifest, tally, Counts(items=5, records=5), limited=True)
    tally.failed_starts.append(URL)
    with pytest.raises(FleetError, match=f"could not start well: {URL} failed"):
        require_whole(manifest, tally, Counts(items=5, records=5))
