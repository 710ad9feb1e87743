"""Held, approved, discarded, replayed: each driven through the real crawler, hub and database, and seen in the status."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.command import Fleet
from tests.running_hub import RunningHub
from tests.site import Answer, Site

MakeHub = Callable[..., RunningHub]


@pytest.fixture(scope="module")
def hub(make_module_hub: MakeHub) -> Iterator[RunningHub]:
    """One hub for the tests of this module, each with a source of its own."""
    yield make_module_hub().start()


def write_source(hub: RunningHub, name: str, records: int, **settings: object) -> Fleet:
    """A source of so many records; those with an odd number lack a name."""
    code = f"""
        def parse(api):
            for number in range({records}):
                yield {{"_id": f"{{number:03}}", "name": "Name" if number % 2 == 0 else "", "url": f"http://site.invalid/{{number}}"}}
    """
    fleet = Fleet(hub.sources, hub.shared)
    fleet.write_source(name, "api", code, **settings)
    return fleet


def test_a_held_release_is_seen_and_goes_live_once_it_is_approved(hub: RunningHub) -> None:
    fleet = write_source(hub, "approved", 20)
    assert fleet.run("crawl", "approved").returncode == 0
    first = fleet.description("approved")["release"]
    assert hub.wait_until_live("approved", first)["state"] == "live"

    write_source(hub, "approved", 10)
    assert fleet.run("crawl", "approved").returncode == 4
    status = hub.wait_for_state("approved", "held")
    assert (status["live"], status["documents"], status["held"]["records"]) == (first, 20, 10)
    assert "10 records, 10 fewer than the 20 of" in status["held"]["reasons"][0]
    assert (status["crawl"]["outcome"], status["published"]) == ("held", first)
    assert "fleet approve approved" in hub.run("status").stdout

    assert fleet.run("approve", "approved").returncode == 0
    held = status["held"]["release"]
    status = hub.wait_until_live("approved", held)
    assert (status["documents"], status["held"], status["crawl"]["outcome"]) == (10, None, "approved")
    assert status["crawl"]["reason"] is None
    assert hub.wait_for_changes("approved", held)["removed"] == 10


def test_a_discarded_release_is_gone_and_what_was_live_stays(hub: RunningHub) -> None:
    fleet = write_source(hub, "discarded", 20)
    assert fleet.run("crawl", "discarded").returncode == 0
    first = fleet.description("discarded")["release"]
    hub.wait_until_live("discarded", first)
    write_source(hub, "discarded", 2)
    assert fleet.run("crawl", "discarded").returncode == 4
    hub.wait_for_state("discarded", "held")
    assert fleet.run("discard", "discarded").returncode == 0
    status = hub.wait_for_state("discarded", "live")
    assert (status["live"], status["documents"], status["held"]) == (first, 20, None)
    assert status["crawl"]["outcome"] == "discarded"


def test_rejects_that_pass_when_they_are_replayed_are_live_with_the_next_release(hub: RunningHub) -> None:
    fleet = write_source(hub, "replayed", 20, require=["name"], reject_budget=0.5)
    assert fleet.run("crawl", "replayed").returncode == 0
    first = fleet.description("replayed")["release"]
    status = hub.wait_until_live("replayed", first)
    assert (status["documents"], status["rejects"]) == (10, 10)

    # The rule was wrong. The site, meanwhile, lists only what it did before.
    write_source(hub, "replayed", 20, require=["url"])
    done = fleet.run("replay", "replayed", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] == 10
    write_source(hub, "replayed", 1, require=["url"], shrink_budget=0.5, coverage_budget=100)
    assert fleet.run("crawl", "replayed").returncode == 0
    description = fleet.description("replayed")
    assert (description["counts"]["replayed"], description["records"]) == (10, 11)
    status = hub.wait_until_live("replayed", description["release"])
    assert (status["documents"], status["rejects"]) == (11, 0)


def test_a_record_that_its_site_withdrew_is_told_apart_in_what_the_release_changed(hub: RunningHub, site: Site) -> None:
    for page in ("about", "0", "1", "2"):
        site.put(f"/{page}", "<p>here</p>")
    fleet = write_source(hub, "withdrawn", 3)
    with (hub.sources / "withdrawn" / "source.toml").open("a") as file:
        file.write(
            '[check]\nreference_gone = "http://site.invalid/never"\nreference_alive = "http://site.invalid/about"\n'
        )
        file.write("every_hours = 0\n")
    assert fleet.run("crawl", "withdrawn").returncode == 0
    hub.wait_until_live("withdrawn", fleet.description("withdrawn")["release"])
    site.put("/1", Answer(status=410))
    for _ in range(2):
        assert fleet.run("check", "withdrawn", "--base-url", site.url).returncode == 0
    assert fleet.run("crawl", "withdrawn").returncode == 0
    release = fleet.description("withdrawn")["release"]
    assert hub.wait_until_live("withdrawn", release)["documents"] == 2
    changes = hub.wait_for_changes("withdrawn", release)
    assert (changes["removed"], changes["withdrawn"]) == (1, 1)
    told = hub.run("diff", "withdrawn", "--examples", "5").stdout
    assert "1 removed, 0 changed, 2 unchanged (of the removed, 1 withdrawn by their site)" in told
    assert "- withdrawn_001 (withdrawn by its site)" in told
