from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import fleet.new_source
from crawlers.runtime.cases import find_cases, read_case, read_expected
from crawlers.runtime.manifest import load_source, load_sources
from fleet.cases import test as fleet_test
from fleet.new_source import new_source
from fleet.templates import TEMPLATES

COMPOSE = """\
name: fleet

services:
  hub:
    image: hub
"""
URLS = [
    "https://data.example.org",
    "https://data.example.org/datasets/",
    "https://data.example.org/datasets/sitemap.xml",
    "http://data.example.org:8080/api/v2/search?q=a%20b&type='x'",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "crawlers" / "sources").mkdir(parents=True)
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    return tmp_path


def command(sources_dir: Path, name: str, kind: str = "api", url: str = URLS[0]) -> Result:
    arguments = [name, "--kind", kind, "--url", url]
    return CliRunner().invoke(new_source, arguments, env={"FLEET_SOURCES_DIR": str(sources_dir)})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_new_source_passes_its_test_as_it_is_written(checkout: Path, kind: str, url: str) -> None:
    sources_dir = checkout / "crawlers" / "sources"
    result = command(sources_dir, "my_archive", kind, url)
    assert result.exit_code == 0, result.exception
    source = load_source(sources_dir / "my_archive")
    assert source.manifest.kind == kind
    tested = CliRunner().invoke(fleet_test, ["my_archive"], env={"FLEET_SOURCES_DIR": str(sources_dir)})
    assert tested.exit_code == 0, tested.output
    [case] = map(read_case, find_cases(source))
    expected = read_expected(case)
    assert expected.keys() == {"records", "follows"}
    assert all(record["_id"] and record["name"] and record["url"] for record in expected["records"])
    assert [path.name for path in sources_dir.iterdir()] == ["my_archive"]


def test_it_says_what_to_do_next(checkout: Path) -> None:
    output = command(checkout / "crawlers" / "sources", "my_archive").output
    assert [line[:3] for line in output.splitlines()[2:]] == ["1. ", "2. ", "3. ", "4. ", "5. "]


def test_each_source_gets_its_service_at_the_end_of_the_compose_file(checkout: Path) -> None:
    for name, kind in (("one", "scrapy"), ("two", "api")):
        assert command(checkout / "crawlers" / "sources", name, kind).exit_code == 0
    service = (
        "  {0}:\n    extends: {{ file: crawlers/images/services.yml, service: {1} }}\n"
        "    build: {{ args: {{ SOURCE: {0} }} }}\n"
    )
    expected = COMPOSE + service.format("one", "scrapy") + service.format("two", "api")
    assert (checkout / "docker-compose.yml").read_text() == expected
    assert files(checkout)[-1] == "docker-compose.yml"


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (COMPOSE + "volumes:\n  data:\n", "does not end with its services"),
        (COMPOSE + "  my_archive:\n    image: x\n", "has a service my_archive already"),
        ("", "does not end with its services"),
    ],
)
def test_a_compose_file_that_it_does_not_understand_is_left_alone(checkout: Path, compose: str, message: str) -> None:
    (checkout / "docker-compose.yml").write_text(compose)
    result = command(checkout / "crawlers" / "sources", "my_archive")
    assert result.exit_code == 0
    assert message in result.output
    assert (checkout / "docker-compose.yml").read_text() == compose


def test_sources_elsewhere_have_no_compose_file(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    sources_dir = tmp_path / "deep" / "mine"
    sources_dir.mkdir(parents=True)
    result = command(sources_dir, "my_archive")
    assert result.exit_code == 0
    assert "the source has no service there" in result.output
    assert (tmp_path / "docker-compose.yml").read_text() == COMPOSE


@pytest.mark.parametrize(
    "name", ["My_archive", "my-archive", "1st", "a", "a" * 41, "", "../evil", "a b", "my_archive\n"]
)
def test_a_bad_name_is_refused_with_the_rule(checkout: Path, name: str) -> None:
    result = command(checkout / "crawlers" / "sources", name)
    assert "2 to 40 lower-case letters, digits and _, a letter first" in str(result.exception)
    assert files(checkout) == ["docker-compose.yml"]


def test_an_unknown_kind_is_refused_with_the_nearest(checkout: Path) -> None:
    result = command(checkout / "crawlers" / "sources", "my_archive", "scrappy")
    kinds = "scrapy, browser, jsonld, api, oai-pmh, pages"
    assert str(result.exception).endswith(f"the kinds are {kinds}. Did you mean 'scrapy'?")


@pytest.mark.parametrize(
    "url", ["data.example.org", "ftp://data.example.org/", "https://", 'https://x.org/"', "https://x.org/{a}"]
)
def test_a_bad_url_is_refused(checkout: Path, url: str) -> None:
    result = command(checkout / "crawlers" / "sources", "my_archive", url=url)
    assert f"--url is {url!r}" in str(result.exception)
    assert files(checkout) == ["docker-compose.yml"]


def test_a_source_that_exists_is_not_touched(checkout: Path) -> None:
    sources_dir = checkout / "crawlers" / "sources"
    assert command(sources_dir, "my_archive").exit_code == 0
    before = {name: (checkout / name).read_bytes() for name in files(checkout)}
    result = command(sources_dir, "my_archive", "scrapy")
    assert "is there already" in str(result.exception)
    assert {name: (checkout / name).read_bytes() for name in files(checkout)} == before


def test_a_missing_folder_of_sources_names_the_setting(tmp_path: Path) -> None:
    assert "FLEET_SOURCES_DIR" in str(command(tmp_path / "nowhere", "my_archive").exception)


@pytest.mark.parametrize("broken", ["write_case", "_put_in_place"])
def test_nothing_is_left_behind_by_a_failure(checkout: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(fleet.new_source, broken, fail)
    result = command(checkout / "crawlers" / "sources", "my_archive")
    assert isinstance(result.exception, OSError)
    assert list((checkout / "crawlers" / "sources").iterdir()) == []
    assert (checkout / "docker-compose.yml").read_text() == COMPOSE


def test_the_source_is_taken_back_where_its_service_cannot_be_written(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError("Read-only file system")

    monkeypatch.setattr(Path, "replace", fail)
    result = command(checkout / "crawlers" / "sources", "my_archive")
    assert isinstance(result.exception, OSError)
    assert files(checkout) == ["docker-compose.yml"]
    assert not list((checkout / "crawlers" / "sources").iterdir())


def test_two_new_sources_are_crawled_at_different_hours(checkout: Path) -> None:
    for name in ("one", "two"):
        assert command(checkout / "crawlers" / "sources", name).exit_code == 0
    sources, errors = load_sources(checkout / "crawlers" / "sources")
    assert not errors
    assert len({source.manifest.schedule for source in sources}) == 2


def test_a_contact_with_quotes_stays_as_it_is(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_CONTACT", 'The "Fleet" \\ <a@example.org>')
    sources_dir = checkout / "crawlers" / "sources"
    assert command(sources_dir, "my_archive").exit_code == 0
    assert load_source(sources_dir / "my_archive").manifest.contact == 'The "Fleet" \\ <a@example.org>'
