"""Sources of kind oai-pmh: the real command, on a server that is well or isn't."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import MANIFEST, Fleet
from tests.oai_server import Fault, Item, OaiServer, items, serve_oai


@pytest.fixture
def server() -> Iterator[OaiServer]:
    with serve_oai(OaiServer([*items(120), Item("oai:test:gone", 1_709_700_000, deleted=True)], page=50)) as running:
        yield running


def write_source(fleet: Fleet, server: OaiServer, more: str = "") -> None:
    folder = fleet.sources / "little"
    folder.mkdir(exist_ok=True)
    fields = {"name": "little", "kind": "oai-pmh", **MANIFEST}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
    (folder / "source.toml").write_text(f'{text}\n[oai]\nendpoint = "{server.url}"\n{more}')


def poison(server: OaiServer) -> None:
    server.hostile = lambda arguments, page, times: (
        Fault(status=500, body=b"no")
        if arguments["verb"] != "ListIdentifiers" and any(item.identifier == "oai:test:000077" for item in page)
        else None
    )


def test_a_source_without_code_is_crawled_and_published(fleet: Fleet, server: OaiServer) -> None:
    write_source(fleet, server)
    result = fleet.run("crawl", "little")
    assert result.returncode == 0, result.stderr
    records = fleet.records("little")
    assert len(records) == 120
    assert records[0]["_id"] == "little_oai:test:000000"
    assert records[0]["includedInDataCatalog"]["name"] == MANIFEST["title"]
    description = fleet.description("little")
    assert (description["gaps"], description["deleted"], description["kind"]) == ([], 1, "oai-pmh")
    windows = list((fleet.shared / "little_state" / "oai").glob("*.done.gz"))
    assert len(windows) == 1
    again = fleet.run("crawl", "little")
    assert again.returncode == 0, again.stderr


def test_a_gap_is_for_the_gate_to_judge_and_is_closed_later(fleet: Fleet, server: OaiServer) -> None:
    write_source(fleet, server)
    poison(server)
    result = fleet.run("crawl", "little")
    assert result.returncode in (4, 5), result.stderr
    assert "gap × 1" in result.stderr
    assert not (fleet.folder("little") / "release.txt").exists()
    listed = fleet.run("gaps", "little", "--json")
    [gap] = json.loads(listed.stdout)
    assert gap["identifiers"] == ["oai:test:000077"]
    assert "oai:test:000077" in fleet.run("gaps", "little").stdout
    server.hostile = lambda arguments, page, times: None
    healed = fleet.run("crawl", "little")
    assert healed.returncode == 0, healed.stderr
    assert len(fleet.records("little")) == 120
    assert json.loads(fleet.run("gaps", "little", "--json").stdout) == []


def test_a_limit_shows_the_first_records_and_keeps_nothing(fleet: Fleet, server: OaiServer) -> None:
    write_source(fleet, server)
    result = fleet.run("crawl", "little", "--limit", "3")
    assert result.returncode == 5
    assert len(result.stdout.splitlines()) == 3
    assert [path.name for path in (fleet.shared / "little_state").iterdir()] == ["logs"]


def test_gaps_of_what_was_never_harvested_are_an_error_that_says_where_it_looked(fleet: Fleet, tmp_path: Path) -> None:
    result = fleet.run("gaps", str(tmp_path))
    assert result.returncode == 2
    assert "oai_state" in result.stderr


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("overlap_days = -1\n", "overlap_days"),
        ('metadata_prefix = "two words"\n', "metadata_prefix"),
        ('ednpoint = "x"\n', "ednpoint"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(fleet: Fleet, server: OaiServer, table: str, said: str) -> None:
    write_source(fleet, server, table)
    result = fleet.run("sources")
    assert result.returncode == 2
    assert said in result.stderr + result.stdout


def test_a_source_of_another_kind_has_no_such_table(fleet: Fleet, server: OaiServer) -> None:
    write_source(fleet, server)
    path = fleet.sources / "little" / "source.toml"
    path.write_text(path.read_text().replace('"oai-pmh"', '"api"'))
    result = fleet.run("sources")
    assert "of kind oai-pmh, and no other" in result.stderr + result.stdout
