"""Every source keeps the house rules, and makes of its recorded cases what is expected. A new source needs no change here."""

import ast
import socket
from pathlib import Path

import pytest
import time_machine

from crawlers.runtime.case_run import run_case
from crawlers.runtime.cases import difference, find_cases, read_case, read_expected
from crawlers.runtime.loading import CODE_FILES, SITE
from crawlers.runtime.manifest import MANIFEST, Source, load_source
from crawlers.runtime.pages.definition import DEFINITION
from crawlers.runtime.settings import RuntimeSettings

SOURCES_DIR = RuntimeSettings.from_environment().sources_dir
FOLDERS = sorted(path.parent for path in SOURCES_DIR.glob(f"*/{MANIFEST}"))
CASES = sorted(path.parent for path in SOURCES_DIR.glob("*/fixtures/*/url.txt"))
MAX_CODE_LINES = 150
# What a parser has no business with: the clock, the network, the environment, chance.
IMPURE = {
    "datetime.now",
    "os",
    "random",
    "requests",
    "socket",
    "subprocess",
    "time",
    "urllib.request",
    "httpx",
    "aiohttp",
}


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def source(request: pytest.FixtureRequest) -> Source:
    return load_source(request.param)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError(f"a parser opened a connection: {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_there_are_sources() -> None:
    assert FOLDERS, f"no {MANIFEST} below {SOURCES_DIR}"


def test_each_source_has_a_recorded_case(source: Source) -> None:
    assert find_cases(source), f"record one: fleet record {source.name} URL"


def test_some_case_of_each_source_gives_a_record(source: Source) -> None:
    assert any(read_expected(read_case(folder))["records"] for folder in find_cases(source))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parents[1].name}-{folder.name}")
def test_the_code_makes_of_a_case_what_is_expected(folder: Path, no_network: None) -> None:
    source, case = load_source(folder.parents[1]), read_case(folder)
    with time_machine.travel("2001-02-03T04:05:06Z", tick=False):
        outcome = run_case(source, case)
    assert not (lines := difference(read_expected(case), outcome)), "\n".join(
        [f"{source.name} differs in {folder}; if + is right: fleet test {source.name} --accept", *lines]
    )


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parents[1].name}-{folder.name}")
def test_the_outcome_of_a_case_does_not_depend_on_the_clock(folder: Path, no_network: None) -> None:
    source, case = load_source(folder.parents[1]), read_case(folder)
    outcomes = []
    for moment in ("2001-02-03T04:05:06Z", "2038-11-30T23:59:59Z"):
        with time_machine.travel(moment, tick=False):
            outcomes.append(run_case(source, case))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parents[1].name}-{folder.name}")
def test_each_record_of_a_case_has_what_every_record_needs(folder: Path) -> None:
    records = read_expected(read_case(folder))["records"]
    for record in records:
        for field in ("_id", "name", "url"):
            value = record.get(field)
            assert isinstance(value, str), f"{folder}: {field} is {value!r} in {record!r:.200}"
            assert value.strip(), f"{folder}: {field} is blank in {record!r:.200}"
        assert not record["_id"].startswith(f"{folder.parents[1].name}_"), "the runtime adds the prefix"
    assert len({record["_id"] for record in records}) == len(records), f"{folder}: an _id occurs twice"


def test_the_code_is_short_and_pure(source: Source) -> None:
    if source.manifest.kind not in CODE_FILES:
        assert not list(source.folder.glob("*.py")), "a source of this kind is its manifest alone"
        return
    path = source.folder / CODE_FILES[source.manifest.kind]
    if not path.exists() and source.manifest.kind == "browser":  # it may be described instead
        path = source.folder / DEFINITION
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_CODE_LINES, "extract a base, or a mapping, into the runtime"
    if path.suffix != ".py":
        return
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
    assert not imported & IMPURE
    assert SITE.removesuffix(".py") not in imported


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_manifest_is_as_short_as_the_house_wants_it(folder: Path) -> None:
    lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 20, "say it in fewer words"
