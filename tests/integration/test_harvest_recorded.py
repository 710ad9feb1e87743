"""The harvests that were recorded from real servers, harvested again from their recorded answers: nothing is lost on the way."""

import gzip
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from crawlers.runtime.errors import FleetError
from fleet.harvest import harvest
from tests.command import read_ndjson
from tests.replay import Answer, answer, read_exchanges, replay

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "oai-live"
BROKEN = RECORDED.with_name("oai-fixtures")
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded harvests in {RECORDED}")

# Lists of which not all pages were recorded, or none.
INCOMPLETE = {"zenodo-2026-list_records", "mit-get-identifiers", "mit-get-sets", "mit-cli-all-options-except-set-spec"}


class Outcome(NamedTuple):
    code: int
    summary: dict[str, Any]
    got: set[str]
    rejected: set[str]
    said: str


def first_lists(folder: Path) -> list[str]:
    """The URLs with which a list of records begins, and that were answered by one."""
    return [
        url
        for url, given in read_exchanges(folder).items()
        if "verb=ListRecords" in url and "resumptionToken" not in url and given.status == 200
    ]


CASES = [
    (folder.name, url)
    for folder in sorted(RECORDED.glob("*"))
    if folder.name not in INCOMPLETE
    for url in first_lists(folder)
]


def text_of(given: Answer) -> str:
    body = gzip.decompress(given.body) if given.body.startswith(b"\x1f\x8b") else given.body
    return body.decode("utf-8", "replace")


def in_answers(answers: dict[str, Answer]) -> tuple[set[str], set[str]]:
    """The identifiers of the records in recorded lists, and those of deleted ones, found by their looks alone."""
    kept, deleted = set(), set()
    for url, given in answers.items():
        for header in re.findall(r"<header\b[^>]*>.*?</header>", text_of(given) if "List" in url else "", re.DOTALL):
            identifier = re.search(r"<identifier>\s*(.*?)\s*</identifier>", header)
            if identifier is None:  # nobody could name it
                continue
            (deleted if 'status="deleted"' in header.split(">")[0] else kept).add(identifier[1].replace("&amp;", "&"))
    return kept, deleted


def run(url: str, answers: dict[str, Answer], output: Path, *more: str) -> Outcome:
    found = dict(re.findall(r"[?&](metadataPrefix|from|until|set)=([^&]*)", url))
    names = {"metadataPrefix": "--metadata-prefix", "from": "--from", "until": "--until", "set": "--set"}
    arguments = [part for name, value in found.items() for part in (names[name], value)]
    with replay(answers) as server:
        result = CliRunner().invoke(
            harvest,
            [
                url.partition("?")[0],
                *arguments,
                "--output",
                str(output),
                "--base-url",
                server.base_url,
                "--json",
                *more,
            ],
            env={"FLEET_CODE_VERSION": "tests", "FLEET_RETRY_PAUSE_SECONDS": "0.01"},
        )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    got = {record["_id"] for record in read_ndjson(output / "data.ndjson")}
    rejected = {reject["record"]["_id"] for reject in read_ndjson(output / "rejects.ndjson")}
    return Outcome(result.exit_code, json.loads(result.stdout), got, rejected, result.stderr)


@pytest.mark.parametrize(("name", "url"), CASES, ids=[name for name, _ in CASES])
def test_a_recorded_harvest_gives_all_that_was_recorded(name: str, url: str, tmp_path: Path) -> None:
    answers = read_exchanges(RECORDED / name)
    kept, deleted = in_answers(answers)
    outcome = run(url, answers, tmp_path)
    assert outcome.code == 0, outcome.said
    assert outcome.got | outcome.rejected == kept
    counts = {name: outcome.summary[name] for name in ("records", "rejects", "deleted", "gaps")}
    assert counts == {
        "records": len(kept) - len(outcome.rejected),
        "rejects": len(outcome.rejected),
        "deleted": len(deleted),
        "gaps": 0,
    }


def test_the_17_pages_of_pubmed_central_give_844_records(tmp_path: Path) -> None:
    [url] = first_lists(RECORDED / "pubmedcentral")
    outcome = run(url, read_exchanges(RECORDED / "pubmedcentral"), tmp_path)
    assert (outcome.summary["records"], outcome.summary["gaps"]) == (844, 0)


def test_a_list_whose_later_pages_are_gone_is_kept_as_far_as_it_came_and_the_rest_is_a_gap(tmp_path: Path) -> None:
    answers = read_exchanges(RECORDED / "zenodo-2026-list_records")
    url = "https://zenodo.org/oai2d?verb=ListRecords&from=2026-04-01&until=2026-04-02&metadataPrefix=oai_dc"
    outcome = run(url, {url: answers[url]}, tmp_path)
    assert outcome.code == 5
    assert outcome.summary["gaps"] >= 1
    assert json.loads((tmp_path / "release.json").read_bytes())["gaps"] == outcome.summary["gap_list"]


def test_a_server_without_lists_of_records_is_harvested_record_by_record(tmp_path: Path) -> None:
    answers = read_exchanges(RECORDED / "mit-cli-all-options-except-set-spec")
    [url] = [url for url in answers if "verb=ListIdentifiers" in url]
    kept, deleted = in_answers({url: answers[url]})
    outcome = run(url, answers, tmp_path)
    assert outcome.code == 5
    assert outcome.summary["deleted"] == len(deleted) == 9
    # Of one of those listed, no answer was recorded.
    [gap] = outcome.summary["gap_list"]
    assert outcome.got | set(gap["identifiers"]) == kept
    assert len(outcome.got) == 15


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://zenodo.org/oai2d?verb=ListRecords&metadataPrefix=XXX", "badArgument"),
        ("https://nothing.invalid/oai?verb=ListRecords&metadataPrefix=oai_dc", "HTTP 404"),
    ],
)
def test_an_endpoint_that_refuses_is_an_error_that_says_so(url: str, said: str, tmp_path: Path) -> None:
    answers = read_exchanges(RECORDED / "zenodo-2026-list_records") | read_exchanges(RECORDED / "zenodo-2026-identify")
    with pytest.raises(Exception, match=said):
        run(url, answers, tmp_path)


def test_a_page_for_people_is_recognised(tmp_path: Path) -> None:
    answers = read_exchanges(RECORDED / "zenodo-2026-identify")
    page = answers["https://httpbun.com/html?verb=Identify"]
    url = "https://httpbun.com/html?verb=ListRecords&metadataPrefix=oai_dc"
    with pytest.raises(Exception, match="an HTML page, not OAI-PMH: Httpbun sample"):
        run(url, {url: page, "https://httpbun.com/html?verb=Identify": page}, tmp_path)


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*/*.xml*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_document_of_another_project_gives_its_records_or_an_explained_error(path: Path, tmp_path: Path) -> None:
    body = path.read_bytes()
    body = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    url = "http://x.invalid/oai?verb=ListRecords&metadataPrefix=oai_dc&from=2026-01-01&until=2026-01-02"
    try:
        outcome = run(url, {url: answer(body, "text/xml")}, tmp_path)
    except FleetError as error:
        assert "http://x.invalid/oai" in str(error)
        return
    kept, _ = in_answers({"List": answer(body)})
    missing = {identifier for gap in outcome.summary["gap_list"] for identifier in gap["identifiers"]}
    unnamed = any(not gap["identifiers"] for gap in outcome.summary["gap_list"])
    assert kept <= outcome.got | outcome.rejected | missing or unnamed, outcome
