"""Two OAI-PMH servers that others wrote are harvested whole: every record that is there is in the release, or in the gap list."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.command import Fleet
from tests.oai_servers import Entry, serving

SERVERS = ("oaipmh", "django_oai_pmh")
PAGE_SIZE = 20


class Outcome(NamedTuple):
    code: int
    summary: dict[str, Any]
    records: dict[str, dict[str, Any]]
    missing: set[str]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    with serving(request.param, ENTRIES, folder, PAGE_SIZE) as url:
        yield url


def entries() -> list[Entry]:
    """Records of some years, most of them on two days, of which one has more on one second than a page holds."""
    made: list[Entry] = []
    for number in range(150):
        day = ("2022-07-15", "2022-07-16")[number % 2] if number % 7 else f"2023-{number % 12 + 1:02}-10"
        second = "12:00:00" if number % 3 == 0 else f"{number % 24:02}:{number % 60:02}:{number % 59:02}"
        made.append(
            {
                "identifier": f"oai:x.invalid:{number:04}",
                "datestamp": f"{day}T{second}Z",
                "deleted": number % 10 == 9,
                "sets": ["all", "third"] if number % 3 == 0 else ["all"],
                "title": f"t{number}",
            }
        )
    return made


ENTRIES = entries()


def harvest(url: str, output: Path, *arguments: str) -> Outcome:
    fleet = Fleet(output, output)
    result = fleet.run("harvest", url, "--metadata-prefix", "oai_dc", "--output", str(output), "--json", *arguments)
    assert result.returncode in (0, 5), result.stderr
    lines = (output / "data.ndjson").read_text(encoding="utf-8").splitlines()
    records = {record["_id"]: record for record in map(json.loads, lines)}
    assert len(records) == len(lines)
    summary = json.loads(result.stdout)
    missing = {identifier for gap in summary["gap_list"] for identifier in gap["identifiers"]}
    return Outcome(result.returncode, summary, records, missing)


def expected(spec: str = "all", start: str = "", until: str = "9") -> set[str]:
    return {
        entry["identifier"]
        for entry in ENTRIES
        if spec in entry["sets"] and not entry["deleted"] and start <= entry["datestamp"] <= until
    }


def test_a_whole_repository_is_in_the_release(server: str, tmp_path: Path) -> None:
    outcome = harvest(server, tmp_path)
    assert outcome.code == 0, outcome.summary
    assert set(outcome.records) == expected()
    assert outcome.summary["records"] == len(expected())
    assert outcome.summary["deleted"] == sum(entry["deleted"] for entry in ENTRIES)
    assert outcome.summary["gap_list"] == []
    for number, entry in enumerate(ENTRIES):
        if not entry["deleted"]:
            record = outcome.records[entry["identifier"]]
            assert record["name"] == f"t{number}"
            assert record["url"] == f"http://x.invalid/t{number}"
            assert record["sdDatePublished"] == entry["datestamp"]


def test_a_set_is_in_the_release_or_in_the_gap_list(server: str, tmp_path: Path) -> None:
    outcome = harvest(server, tmp_path, "--set", "third")
    assert expected("third") <= set(outcome.records) | outcome.missing
    assert (outcome.code == 5) == bool(outcome.summary["gap_list"])


def test_the_records_of_some_dates_are_in_the_release_or_in_the_gap_list(server: str, tmp_path: Path) -> None:
    outcome = harvest(server, tmp_path, "--from", "2022-07-16T06:00:00Z", "--until", "2022-07-16T18:59:59Z")
    wanted = expected("all", "2022-07-16T06", "2022-07-16T19")
    assert len(wanted) > PAGE_SIZE
    assert wanted <= set(outcome.records) | outcome.missing
    assert (outcome.code == 5) == bool(outcome.summary["gap_list"])


@pytest.mark.parametrize("start", [(), ("--from", "2022-07-15")])
def test_until_a_day_holds_all_of_that_day_also_where_the_server_takes_it_for_its_midnight(
    server: str, tmp_path: Path, start: tuple[str, ...]
) -> None:
    outcome = harvest(server, tmp_path, *start, "--until", "2022-07-16")
    assert outcome.code == 0, outcome.summary
    assert set(outcome.records) >= expected("all", "2022-07-15", "2022-07-17")


@pytest.mark.parametrize("server", ["oaipmh"], indirect=True)
def test_several_workers_make_the_same_release_as_one(server: str, tmp_path: Path) -> None:
    one = harvest(server, tmp_path / "one")
    four = harvest(server, tmp_path / "four", "--workers", "4")
    assert four.records == one.records
    assert (tmp_path / "four" / "data.ndjson").read_bytes() == (tmp_path / "one" / "data.ndjson").read_bytes()
