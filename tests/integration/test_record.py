"""``fleet record`` against a server on loopback."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawlers.runtime.case_run import run_case
from crawlers.runtime.cases import difference, read_case, read_expected
from crawlers.runtime.manifest import load_source
from tests.command import Fleet
from tests.replay import Answer, Replay, answer, replay

HOST = "https://data.example.org"
SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["https://data.example.org/list"]

        def parse(self, response):
            yield from response.follow_all(css="a", callback=self.parse_page)

        def parse_page(self, response):
            yield {"_id": response.url[-1], "name": response.css("h1::text").get().strip(), "url": response.url}
"""


@pytest.fixture
def site() -> Iterator[Replay]:
    answers = {
        f"{HOST}/list": answer('<a href="/d/1">1</a><a href="/d/2">2</a>'),
        f"{HOST}/d/1": answer("<h1>Ärzte für Daten</h1>".encode("latin-1"), "text/html; charset=iso-8859-1"),
        f"{HOST}/d/2": answer("<p>no heading"),
        f"{HOST}/moved": Answer(301, {"Location": "/d/1"}, b""),
        f"{HOST}/packed": answer(gzip.compress(b"<urlset/>"), "application/x-gzip"),
        f"{HOST}/large": answer(b"x" * 5_000_001, "text/plain"),
        f"{HOST}/secret": answer("<h1>secret</h1>"),
        f"{HOST}/robots.txt": answer("User-agent: *\nDisallow: /secret\n", "text/plain"),
    }
    with replay(answers) as site:
        yield site


@pytest.fixture
def little(fleet: Fleet) -> Path:
    return fleet.write_source("little", "scrapy", SPIDER)


def test_a_case_is_recorded_as_the_crawl_would_see_it(fleet: Fleet, little: Path, site: Replay) -> None:
    result = fleet.run(
        "record", "little", f"{HOST}/list", f"{HOST}/d/1", "--case", "listing", "--base-url", site.base_url
    )
    assert result.returncode == 0, result.stderr
    assert f"asks for {HOST}/d/2" in result.stdout
    folder = little / "fixtures" / "listing"
    assert sorted(path.name for path in folder.iterdir()) == ["1.html", "2.html", "expected.json", "url.txt"]
    assert (folder / "url.txt").read_text() == f"{HOST}/list\n{HOST}/d/1\n"
    assert (folder / "2.html").read_text(encoding="utf-8") == "<h1>Ärzte für Daten</h1>"
    assert json.loads((folder / "expected.json").read_text()) == {
        "records": [{"_id": "1", "name": "Ärzte für Daten", "url": f"{HOST}/d/1"}],
        "follows": [f"{HOST}/d/2"],
    }
    assert fleet.run("test", "little").returncode == 0
    assert [path.name for path in little.iterdir() if path.name.startswith(".")] == []


def test_a_page_may_be_recorded_on_its_own(fleet: Fleet, little: Path, site: Replay) -> None:
    result = fleet.run("record", "little", f"{HOST}/d/1", "--method", "parse_page", "--base-url", site.base_url)
    assert result.returncode == 0, result.stderr
    case = read_case(little / "fixtures" / "1")
    assert case.method == "parse_page"
    assert difference(read_expected(case), run_case(load_source(little), case)) == []


def test_a_case_is_not_replaced_unless_it_is_said_so(fleet: Fleet, little: Path, site: Replay) -> None:
    arguments = ("record", "little", f"{HOST}/list", "--case", "listing", "--base-url", site.base_url)
    assert fleet.run(*arguments).returncode == 0
    (little / "fixtures" / "listing" / "old.txt").touch()
    refused = fleet.run(*arguments)
    assert refused.returncode == 2
    assert "replace it by --force" in refused.stderr
    assert (little / "fixtures" / "listing" / "old.txt").exists()
    assert fleet.run(*arguments, "--force").returncode == 0
    assert not (little / "fixtures" / "listing" / "old.txt").exists()


def test_pages_are_kept_where_the_code_fails_on_them(fleet: Fleet, little: Path, site: Replay) -> None:
    arguments = ("--case", "bare", "--method", "parse_page", "--base-url", site.base_url)
    result = fleet.run("record", "little", f"{HOST}/d/2", *arguments)
    assert result.returncode == 1
    assert "spider.py:12: AttributeError" in result.stderr
    assert "The pages are kept in" in result.stderr
    assert (little / "fixtures" / "bare" / "1.html").read_text() == "<p>no heading"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/secret", "forbidden by https://data.example.org/robots.txt"),
        ("/large", "5,000,001 bytes; a case keeps at most 5,000,000"),
        ("/missing", "HTTP 404"),
    ],
)
def test_what_cannot_be_had_leaves_nothing_behind(
    fleet: Fleet, little: Path, site: Replay, path: str, message: str
) -> None:
    result = fleet.run("record", "little", f"{HOST}{path}", "--base-url", site.base_url)
    assert result.returncode == 1
    assert message in result.stderr
    assert sorted(file.name for file in little.iterdir()) == ["source.toml", "spider.py"]


def test_a_packed_body_is_kept_packed(fleet: Fleet, little: Path, site: Replay) -> None:
    fleet.run("record", "little", f"{HOST}/packed", "--base-url", site.base_url)
    assert gzip.decompress((little / "fixtures" / "packed" / "1.gz").read_bytes()) == b"<urlset/>"


@pytest.mark.parametrize("name", ["Up", "../out", "a b", ".hidden"])
def test_a_bad_name_of_a_case_is_refused(fleet: Fleet, little: Path, name: str) -> None:
    result = fleet.run("record", "little", f"{HOST}/list", "--case", name)
    assert result.returncode == 2
    assert "lower-case letters, digits" in result.stderr


def test_a_source_with_a_site_of_its_own_is_recorded_from_it(fleet: Fleet, little: Path) -> None:
    (little / "site.py").write_text(SITE)
    result = fleet.run("record", "little", f"{HOST}/list")
    assert result.returncode == 0, result.stderr
    assert (little / "fixtures" / "list" / "1.html").read_text() == '<a href="/d/9">9</a>'


SITE = """\
from contextlib import contextmanager

from tests.replay import answer, replay


@contextmanager
def serve():
    with replay({"/list": answer('<a href="/d/9">9</a>')}) as site:
        yield site.base_url
"""


@pytest.mark.parametrize("url", ["nowhere", "http://[::1", f"{HOST}:99999/", f"{HOST}/a b"])
def test_a_url_that_is_none_is_bad_usage_and_says_what_is_expected(fleet: Fleet, url: str) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    result = fleet.run("record", "little", url)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"fleet: URL is {url!r}: expected is")


def test_a_folder_that_can_not_be_written_is_named_without_a_traceback(fleet: Fleet, site: Replay) -> None:
    folder = fleet.write_source("little", "scrapy", SPIDER)
    (folder / "fixtures").write_text("a file where a folder should be")
    result = fleet.run("record", "little", f"{HOST}/list", "--base-url", site.base_url)
    assert result.returncode == 1
    assert str(folder / "fixtures") in result.stderr and "Traceback" not in result.stderr
    assert not list(folder.glob(".record-*"))
