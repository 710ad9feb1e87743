"""A hostile server: whatever it does, what it has is in the release, or is named as missing, at a price that is bounded."""

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.heartbeat import read_heartbeat
from crawlers.runtime.http import Patience
from crawlers.runtime.oai.harvest import Wanted
from crawlers.runtime.oai.to_folder import Access, Harvested, harvest_to
from tests.command import Fleet, read_ndjson
from tests.oai_server import START, Arguments, Fault, Hostile, Item, OaiServer, items, serve_oai
from tests.running_hub import wait_for
from tests.site import Answer, Site

COUNT = 43_200 if os.environ.get("FLEET_SOAK") else 2_160
POISONED = f"oai:test:{COUNT // 2:06d}"
PAGE = 100


@pytest.fixture
def server() -> Iterator[OaiServer]:
    """A record a second, in half a day under soak."""
    with serve_oai(OaiServer(items(COUNT), page=PAGE)) as running:
        yield running


def harvest(server: OaiServer, folder: Path, **wanted: Any) -> Harvested:
    access = Access(server.url, patience=Patience(timeout_seconds=10, retry_pause_seconds=0.001))
    return harvest_to(folder, access, Wanted("oai_dc", **wanted))


def got(folder: Path) -> set[str]:
    return {record["_id"] for record in read_ndjson(folder / "data.ndjson")}


def extra(server: OaiServer) -> int:
    """How many requests were more than Identify and the pages."""
    return server.requests - 1 - math.ceil(COUNT / PAGE)


ALLOWED = 3 * math.log2(COUNT) + 50


def poison(fault: Fault, *identifiers: str, spares: str = "") -> Hostile:
    """The fault strikes each answer that holds one of the records, except to the verb ``spares``."""

    def hostile(arguments: Arguments, page: list[Item], times: int) -> Fault | None:
        return fault if arguments["verb"] != spares and any(item.identifier in identifiers for item in page) else None

    return hostile


FAULTS = {
    "error 500": Fault(status=500, body=b"no"),
    "a reset": Fault(reset=True),
    "a body that ends early": Fault(cut=True),
    "a gzip that ends early": Fault(cut_gzip=True),
    "a page for people": Fault(body=b"<html><head><title>Please log in</title></head></html>"),
    "no XML": Fault(body=b"<OAI-PMH><ListRecords><record>\x00 & so on"),
    "an error 404": Fault(status=404, body=b"none"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_poisoned_record_is_all_that_is_missing_and_it_is_named(
    server: OaiServer, tmp_path: Path, fault: Fault
) -> None:
    server.sizes = fault.status != 404
    server.hostile = poison(fault, POISONED, spares="ListIdentifiers")
    result = harvest(server, tmp_path)
    assert got(tmp_path) == set(server.by_identifier) - {POISONED}
    assert [gap["identifiers"] for gap in result.gap_list] == [[POISONED]]
    assert extra(server) < ALLOWED
    assert json.loads((tmp_path / "release.json").read_bytes())["gaps"] == result.gap_list


def test_a_record_that_poisons_even_the_list_of_identifiers_is_missing_by_its_second(
    server: OaiServer, tmp_path: Path
) -> None:
    server.hostile = poison(FAULTS["error 500"], POISONED)
    result = harvest(server, tmp_path)
    assert got(tmp_path) == set(server.by_identifier) - {POISONED}
    [gap] = result.gap_list
    assert gap["from"] == gap["until"] == "2024-03-05T00:18:00Z" or COUNT != 2_160
    assert extra(server) < ALLOWED


@pytest.mark.parametrize("name", ["error 500", "a reset", "no XML"])
@pytest.mark.parametrize("number", [7, COUNT // 2, COUNT - 1])
def test_of_a_day_that_can_not_be_cut_a_page_that_fails_costs_no_more_than_its_records(
    tmp_path: Path, name: str, number: int
) -> None:
    poisoned = f"oai:test:{number:06d}"
    with serve_oai(OaiServer(items(COUNT), page=20, seconds=False)) as server:
        server.hostile = poison(FAULTS[name], poisoned, spares="ListIdentifiers")
        result = harvest(server, tmp_path)
        assert got(tmp_path) == set(server.by_identifier) - {poisoned}
        assert [gap["identifiers"] for gap in result.gap_list] == [[poisoned]]
        assert result.steps["passed_over"] == 1
        assert server.requests - 1 - COUNT / 20 < ALLOWED


def test_where_tokens_of_one_verb_are_no_good_for_another_the_records_of_an_instant_are_asked_for_one_by_one(
    tmp_path: Path,
) -> None:
    struck = poison(FAULTS["error 500"], "oai:test:000150")

    def hostile(arguments: Arguments, page: list[Item], times: int) -> Fault | None:
        before = [seen["verb"] for seen in server.seen][-2]
        if arguments["verb"] == "ListIdentifiers" and before == "ListRecords" and "resumptionToken" in arguments:
            return Fault(body=server._error("badResumptionToken"))
        return None if arguments["verb"] == "ListIdentifiers" else struck(arguments, page, times)

    with serve_oai(OaiServer(items(300), seconds=False)) as server:
        server.hostile = hostile
        result = harvest(server, tmp_path)
        assert got(tmp_path) == set(server.by_identifier) - {"oai:test:000150"}
    assert [gap["identifiers"] for gap in result.gap_list] == [["oai:test:000150"]]


def test_several_poisoned_records_are_named_each(server: OaiServer, tmp_path: Path) -> None:
    poisoned = [f"oai:test:{number:06d}" for number in (0, 99, 100, 2000, COUNT - 1)]
    server.hostile = poison(FAULTS["error 500"], *poisoned, spares="ListIdentifiers")
    result = harvest(server, tmp_path)
    assert got(tmp_path) == set(server.by_identifier) - set(poisoned)
    assert sorted(name for gap in result.gap_list for name in gap["identifiers"]) == sorted(poisoned)


def test_a_gap_is_asked_for_first_by_the_next_run_and_closed_when_the_record_comes(
    server: OaiServer, tmp_path: Path
) -> None:
    server.hostile = poison(FAULTS["error 500"], POISONED, spares="ListIdentifiers")
    harvest(server, tmp_path)
    again = harvest(server, tmp_path)
    assert [(gap["identifiers"], gap["tries"]) for gap in again.gap_list] == [([POISONED], 2)]
    server.hostile = lambda arguments, page, times: None
    server.seen.clear()
    healed = harvest(server, tmp_path)
    assert [arguments["verb"] for arguments in server.seen][:2] == ["Identify", "GetRecord"]
    assert (healed.gaps, healed.records) == (0, COUNT)


def test_a_record_that_is_no_xml_is_recovered_or_named(server: OaiServer, tmp_path: Path) -> None:
    server.broken = {POISONED}
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps) == (COUNT, 0)
    assert result.steps == {"repaired": 1}
    assert extra(server) <= 0


def test_tokens_that_expire_cost_a_restart_each(server: OaiServer, tmp_path: Path) -> None:
    server.tokens_in_a_row = 10
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps) == (COUNT, 0)
    assert extra(server) <= 2 * result.steps["restarted"]


def test_tokens_that_lead_round_in_a_circle_are_noticed(server: OaiServer, tmp_path: Path) -> None:
    server.loop_at = 7
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps) == (COUNT, 0)
    assert extra(server) <= 2 * result.steps["restarted"]


@pytest.mark.parametrize("skip", [1, 5, 250])
def test_tokens_that_skip_records_are_noticed_where_the_server_says_where_it_is(
    server: OaiServer, tmp_path: Path, skip: int
) -> None:
    server.skip = skip
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps) == (COUNT, 0)
    assert extra(server) < ALLOWED


def test_an_announced_size_that_is_too_large_is_no_gap(server: OaiServer, tmp_path: Path) -> None:
    server.list_size_factor = 1.2
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps, result.steps["sizes_doubted"]) == (COUNT, 0, 1)


def passing(faulty: Callable[[int], Fault | None]) -> Hostile:
    """A fault at the first try of some requests."""
    asked = 0

    def hostile(arguments: Arguments, page: list[Item], times: int) -> Fault | None:
        nonlocal asked
        asked += 1
        return faulty(asked) if times == 0 else None

    return hostile


PASSING = {
    "503 with Retry-After": Fault(status=503, headers={"Retry-After": "0"}, body=b"busy"),
    "429": Fault(status=429, headers={"Retry-After": "0"}),
    "resets": Fault(reset=True),
    "truncated bodies": Fault(cut=True),
    "truncated gzip": Fault(cut_gzip=True),
    "empty answers": Fault(body=b""),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_waited_for(server: OaiServer, tmp_path: Path, fault: Fault) -> None:
    server.hostile = passing(lambda number: fault if number % 7 == 0 else None)
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps) == (COUNT, 0)
    assert result.steps.keys() <= {"retried", "resumed"}
    assert result.steps["resumed"] > 0


@pytest.mark.parametrize("workers", [1, 3])
def test_a_busy_day_is_harvested_whole(tmp_path: Path, workers: int) -> None:
    many = 100_000 if os.environ.get("FLEET_SOAK") else 6_000
    quiet = items(300, every=86_400, start=START - 310 * 86_400, prefix="quiet:")
    busy = [Item(f"busy:{number}", START) for number in range(many)]
    with serve_oai(OaiServer(quiet + busy, seconds=False, page=500)) as server:
        result = harvest(server, tmp_path, workers=workers)
        assert got(tmp_path) == set(server.by_identifier)
    assert result.gaps == 0


def test_what_changes_while_it_is_harvested_and_what_is_deleted_is_in_the_next_release(
    server: OaiServer, tmp_path: Path
) -> None:
    harvest(server, tmp_path)
    now = server.now()
    changed = [Item("oai:test:000005", now - 3600, title="New"), Item("oai:test:000006", now - 3600, deleted=True)]
    server.put(
        [item for item in server.items if item.identifier not in {"oai:test:000005", "oai:test:000006"}] + changed
    )
    server.seen.clear()
    result = harvest(server, tmp_path)
    records = {record["_id"]: record for record in read_ndjson(tmp_path / "data.ndjson")}
    assert set(records) == set(server.by_identifier) - {"oai:test:000006"}
    assert records["oai:test:000005"]["name"] == "New"
    assert result.deleted == 1
    # Only from the last complete point on, with a day's overlap.
    assert server.requests == 2
    assert server.seen[1]["from"] > "2024-03-06"
    assert "until" not in server.seen[1]


def test_a_clock_that_moves_back_loses_nothing(server: OaiServer, tmp_path: Path) -> None:
    harvest(server, tmp_path)
    ahead = server.now()
    server.now = lambda: ahead - 30 * 86_400
    server.put([*server.items, Item("late", ahead - 3600), Item("of tomorrow", ahead + 86_400)])
    harvest(server, tmp_path)
    server.now = lambda: ahead + 3 * 86_400
    harvest(server, tmp_path)
    assert got(tmp_path) == set(server.by_identifier)


def test_a_server_that_is_gone_ends_the_harvest_and_the_next_goes_on_with_it(server: OaiServer, tmp_path: Path) -> None:
    alive = COUNT // PAGE // 2
    gone = Fault(status=502, body=b"gone")
    server.hostile = lambda arguments, page, times: gone if server.requests > alive else None
    with pytest.raises(FleetError, match="does not answer Identify either"):
        harvest(server, tmp_path)
    assert not (tmp_path / "release.txt").exists()
    server.hostile = lambda arguments, page, times: None
    result = harvest(server, tmp_path)
    assert (result.records, result.gaps) == (COUNT, 0)


def test_a_format_that_is_not_offered_is_an_error_that_says_which_are(server: OaiServer, tmp_path: Path) -> None:
    access = Access(server.url, patience=Patience(10, 0.001))
    with pytest.raises(UsageError, match=r"cannotDisseminateFormat.*It offers: oai_dc\."):
        harvest_to(tmp_path, access, Wanted("marc"))


def test_a_folder_holds_one_harvest(server: OaiServer, tmp_path: Path) -> None:
    harvest(server, tmp_path)
    with pytest.raises(UsageError, match="Use another folder"):
        harvest(server, tmp_path, set="other")


@pytest.mark.parametrize("workers", [8])
def test_workers_share_the_windows_and_give_the_same_release(server: OaiServer, tmp_path: Path, workers: int) -> None:
    harvest(server, tmp_path / "one")
    harvest(server, tmp_path / "many", workers=workers)
    files = [(tmp_path / name / "data.ndjson").read_bytes() for name in ("one", "many")]
    assert files[0] == files[1]


def test_requests_by_post_get_the_same(server: OaiServer, tmp_path: Path) -> None:
    result = harvest_to(tmp_path, Access(server.url, post=True), Wanted("oai_dc"))
    assert result.records == COUNT


def test_a_harvest_of_which_nothing_moves_tells_how_far_it_is_and_is_ended(
    fleet: Fleet, site: Site, tmp_path: Path
) -> None:
    site.put("/oai?verb=Identify", Answer(fault="hang"))
    command = (
        "harvest",
        f"{site.url}/oai",
        "--metadata-prefix",
        "oai_dc",
        "--output",
        str(tmp_path),
        "--ignore-robots",
    )
    with fleet.start(*command, FLEET_STUCK_MINUTES="0.02") as process:
        beat = wait_for(
            lambda: (it := read_heartbeat(tmp_path)) and it.requests and it, "the harvest to tell of itself"
        )
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stuck: nothing moved for 2.2 s" in said and f"{site.url}/oai" in said
    assert beat.stuck_seconds == 2.2
    assert read_heartbeat(tmp_path) is None
