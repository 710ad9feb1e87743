import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crawlers.runtime.case_run import run_case
from crawlers.runtime.cases import CaseError, difference, find_cases, read_case, read_expected
from crawlers.runtime.loading import SourceCodeError, load_parse, load_site, load_spider
from crawlers.runtime.manifest import Source, load_source
from fleet.cases import test as fleet_test

HOST = "https://data.example.org"
MANIFEST = """\
name = "{name}"
kind = "{kind}"
title = "Example"
description = "An example."
url = "https://data.example.org/"
license_url = "https://data.example.org/terms"
contact = "team@example.org"
maintainer = "team"
schedule = "0 4 * * 6"
"""
SPIDER = '''\
"""A listing, and pages."""

import scrapy


class ExampleSpider(scrapy.Spider):
    name = "example"
    start_urls = ["https://data.example.org/list?page=1"]

    def parse(self, response):
        yield from response.follow_all(css="a", callback=self.parse_page, cb_kwargs={"origin": response.url})

    def parse_page(self, response, origin=""):
        yield {"_id": response.url[-1], "name": response.css("h1::text").get(), "origin": origin}
'''
HARVESTER = """\
def parse(api):
    for identifier in api.get_json("https://data.example.org/api", {"q": "", "size": 2})["ids"]:
        more = api.get_json(f"https://data.example.org/api/{identifier}", required=False)
        if more is not None:
            yield {"_id": identifier, **more}
"""


@pytest.fixture
def spider(tmp_path: Path) -> Source:
    return make_source(tmp_path / "example", "scrapy", SPIDER)


@pytest.fixture
def harvester(tmp_path: Path) -> Source:
    return make_source(tmp_path / "example", "api", HARVESTER)


def make_source(folder: Path, kind: str, code: str) -> Source:
    folder.mkdir(exist_ok=True)
    (folder / "source.toml").write_text(MANIFEST.format(name=folder.name, kind=kind))
    (folder / ("harvester.py" if kind == "api" else "spider.py")).write_text(dedent(code))
    return load_source(folder)


def make_case(source: Source, urls: str, **bodies: str) -> Path:
    folder = source.folder / "fixtures" / "case"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "url.txt").write_text(dedent(urls))
    for name, body in bodies.items():
        number, suffix = name.removeprefix("body").split("_")
        (folder / f"{number}.{suffix}").write_text(body)
    return folder


def run(source: Source, urls: str, **bodies: str) -> dict[str, Any]:
    return run_case(source, read_case(make_case(source, urls, **bodies)))


def test_a_spider_is_driven_through_the_recorded_pages(spider: Source) -> None:
    outcome = run(
        spider,
        f"{HOST}/list?page=1\n{HOST}/d/1\n",
        body1_html='<a href="/d/1">1</a><a href="/d/2">2</a><a href="/d/1">again</a>',
        body2_html="<h1>One</h1>",
    )
    assert outcome == {
        "records": [{"_id": "1", "name": "One", "origin": f"{HOST}/list?page=1"}],
        "follows": [f"{HOST}/d/2"],
    }


def test_a_case_may_start_at_a_page_of_its_own_method(spider: Source) -> None:
    outcome = run(spider, f"{HOST}/d/1 200 parse_page\n", body1_html="<h1>One</h1>")
    assert outcome == {"records": [{"_id": "1", "name": "One", "origin": ""}], "follows": []}


def test_a_method_that_the_spider_lacks_is_told(spider: Source) -> None:
    with pytest.raises(CaseError, match=r"url.txt:1: ExampleSpider has no method 'parse_thing'"):
        run(spider, f"{HOST}/d/1 200 parse_thing\n", body1_html="")


def test_an_error_status_reaches_no_callback(spider: Source) -> None:
    outcome = run(spider, f"{HOST}/list?page=1\n{HOST}/d/1 404\n", body1_html='<a href="/d/1">1</a>')
    assert outcome == {"records": [], "follows": []}


def test_an_error_status_that_the_spider_handles_does(tmp_path: Path) -> None:
    code = SPIDER.replace("    start_urls", "    handle_httpstatus_list = [404]\n    start_urls")
    source = make_source(tmp_path / "example", "scrapy", code)
    outcome = run(source, f"{HOST}/d/1 404 parse_page\n", body1_html="<h1>Gone</h1>")
    assert outcome["records"][0]["name"] == "Gone"


def test_a_page_that_nobody_asks_for_is_told(spider: Source) -> None:
    outcome = run(spider, f"{HOST}/list?page=1\n{HOST}/d/9\n", body1_html="<p>no links</p>", body2_html="")
    assert outcome["unused"] == [f"{HOST}/d/9"]


def test_an_error_for_the_rejects_is_part_of_the_outcome(tmp_path: Path) -> None:
    code = """\
        import scrapy
        from crawlers.runtime.errors import PageError

        class ExampleSpider(scrapy.Spider):
            name = "example"

            def parse(self, response):
                yield {"_id": "1"}
                raise PageError(response.url, "says nothing")
        """
    source = make_source(tmp_path / "example", "scrapy", code)
    assert run(source, f"{HOST}/1\n", body1_html="") == {
        "records": [{"_id": "1"}],
        "follows": [],
        "errors": [f"PageError: {HOST}/1: says nothing"],
    }


def test_another_error_names_the_line_in_the_sources_code(tmp_path: Path) -> None:
    source = make_source(tmp_path / "example", "scrapy", SPIDER.replace('.css("h1::text").get()', ".nothing"))
    with pytest.raises(CaseError, match=rf"spider.py:14: AttributeError: .*nothing.* \(case 'case', {HOST}/d/1\)"):
        run(source, f"{HOST}/d/1 200 parse_page\n", body1_html="")


def test_callbacks_may_be_asynchronous(tmp_path: Path) -> None:
    code = """\
        import scrapy

        class ExampleSpider(scrapy.Spider):
            name = "example"

            async def start(self):
                yield scrapy.Request("https://data.example.org/1", self.parse_first)

            async def parse_first(self, response):
                yield {"_id": "1"}
                yield response.follow("/2", self.parse_second)

            async def parse_second(self, response):
                return [{"_id": "2"}]
        """
    source = make_source(tmp_path / "example", "scrapy", code)
    outcome = run(source, f"{HOST}/1\n{HOST}/2\n", body1_html="", body2_html="")
    assert outcome == {"records": [{"_id": "1"}, {"_id": "2"}], "follows": []}


@pytest.mark.parametrize("thing", ["'text'", "{'_id': object()}", "None"])
def test_what_is_no_record_is_told(tmp_path: Path, thing: str) -> None:
    source = make_source(tmp_path / "example", "api", f"def parse(api):\n    yield {thing}\n")
    with pytest.raises(CaseError, match=r"expected is a record, a dict|not JSON serializable"):
        run(source, f"{HOST}/1\n", body1_json="{}")


def test_a_harvester_is_answered_from_the_case_alone(harvester: Source) -> None:
    outcome = run(
        harvester,
        f"{HOST}/api?size=2&q=\n{HOST}/api/a\n{HOST}/api/b 500\n",
        body1_json='{"ids": ["a", "b", "c"]}',
        body2_json='{"name": "A"}',
    )
    assert outcome == {
        "records": [{"_id": "a", "name": "A"}],
        "follows": [f"{HOST}/api/c"],
        "errors": [f"{HOST}/api/b: server: HTTP 500"],
    }


def test_an_error_in_a_page_block_costs_that_page_alone(tmp_path: Path) -> None:
    source = make_source(
        tmp_path / "example",
        "api",
        f"""
        def parse(api):
            for number in (1, 2, 3, 4):
                url = f"{HOST}/{{number}}"
                with api.page(url):
                    answer = api.get_json(url)
                    if answer.get("empty"):
                        api.reject(answer, "is empty", url=url)
                    else:
                        yield {{"_id": answer["id"]}}
        """,
    )
    outcome = run(
        source,
        f"{HOST}/1\n{HOST}/2\n{HOST}/3 404\n{HOST}/4\n",
        body1_json="{}",
        body2_json='{"empty": true}',
        body4_json='{"id": "four"}',
    )
    assert outcome == {
        "records": [{"_id": "four"}],
        "follows": [],
        "errors": [
            f"{HOST}/1: parse: KeyError: 'id'",
            f"{HOST}/2: is empty",
            f"{HOST}/3: not_found: HTTP 404",
        ],
    }


def test_a_required_answer_that_is_not_recorded_ends_the_case(harvester: Source) -> None:
    outcome = run(harvester, f"{HOST}/api/a\n", body1_json="{}")
    assert outcome == {"records": [], "follows": [f"{HOST}/api?q=&size=2"], "unused": [f"{HOST}/api/a"]}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(" 503", "", f"RequestFailed: {HOST}/api?q=&size=2: HTTP 503"), ("", "<html>", "RequestFailed: .*: not JSON")],
)
def test_a_required_answer_that_failed_is_an_error(harvester: Source, status: str, body: str, error: str) -> None:
    outcome = run(harvester, f"{HOST}/api?size=2&q={status}\n", body1_json=body)
    assert not outcome["records"]
    assert error.split(": ")[0] in outcome["errors"][0]


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ("", r"url.txt:1: is empty"),
        ("data.example.org\n", r"url.txt:1: got 'data.example.org', expected is `URL`"),
        (f"{HOST}/1 9999\n", r"url.txt:1: got"),
        ("http://[::1\n", r"url.txt:1: got"),
        (f"{HOST}/1\n{HOST}/2\n", r"url.txt:2: the body of https://data.example.org/2 is missing: .* got: none"),
    ],
)
def test_a_case_that_cannot_be_read_says_where_and_why(spider: Source, urls: str, message: str) -> None:
    with pytest.raises(CaseError, match=message):
        read_case(make_case(spider, urls, body1_html=""))


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_an_expectation_that_is_no_object_is_told(spider: Source, text: str) -> None:
    folder = make_case(spider, f"{HOST}/1\n", body1_html="")
    (folder / "expected.json").write_text(text)
    with pytest.raises(CaseError, match=r"expected.json: .*(an|a JSON) object with records and follows"):
        read_expected(read_case(folder))


def test_the_difference_is_a_diff_of_lines() -> None:
    assert difference({"records": []}, {"records": []}) == []
    lines = difference({"records": [{"a": 1, "b": 2}], "follows": []}, {"follows": [], "records": [{"b": 3, "a": 1}]})
    assert [line.strip() for line in lines if line[0] in "+-"] == [
        "--- expected",
        "+++ got",
        '-      "b": 2',
        '+      "b": 3',
    ]


def command(source: Source, *arguments: str) -> Result:
    environment = {"FLEET_SOURCES_DIR": str(source.folder.parent)}
    return CliRunner().invoke(fleet_test, [source.name, *arguments], env=environment)


def test_fleet_test_shows_how_a_case_differs_and_fails(spider: Source) -> None:
    folder = make_case(spider, f"{HOST}/d/1 200 parse_page\n", body1_html="<h1>One</h1>")
    (folder / "expected.json").write_text('{"records": [], "follows": []}')
    result = command(spider)
    assert "differs  case: 1 record" in result.output
    assert '+      "name": "One"' in result.output
    assert result.exception
    assert "fleet test example --accept" in str(result.exception)


def test_fleet_test_accepts_what_the_code_makes(spider: Source) -> None:
    folder = make_case(spider, f"{HOST}/d/1 200 parse_page\n", body1_html="<h1>One</h1>")
    assert command(spider, "--accept").exit_code == 0
    assert json.loads((folder / "expected.json").read_text())["records"][0]["name"] == "One"
    result = command(spider)
    assert result.exit_code == 0
    assert result.output == "ok  case: 1 record\n"


def test_fleet_test_fails_without_a_case(spider: Source) -> None:
    assert not find_cases(spider)
    assert "fleet record example URL" in str(command(spider).exception)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import scrapy\n", r"spider.py:1: one subclass of scrapy.Spider is expected, found: none"),
        (SPIDER + "\n\nclass Other(ExampleSpider):\n    pass\n", r"found: ExampleSpider, Other"),
        (SPIDER.replace('name = "example"', 'name = "else"'), r"spider.py:6: ExampleSpider.name is 'else'"),
        ("import scrapy\n\nclass X(\n", r"spider.py:3: not Python: "),
        ("import scrapy\n\nimport nothing_of_that_name\n", r"spider.py:3: can't be imported: ModuleNotFoundError"),
    ],
)
def test_code_that_cannot_be_used_says_file_and_line(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(SourceCodeError, match=message):
        load_spider(make_source(tmp_path / "example", "scrapy", code))


def test_an_imported_spider_base_is_not_taken_for_the_sources(tmp_path: Path) -> None:
    code = """\
        from crawlers.runtime.jsonld import JsonLdSpider

        class ExampleSpider(JsonLdSpider):
            name = "example"
        """
    assert load_spider(make_source(tmp_path / "example", "jsonld", code)).name == "example"


def test_a_missing_file_and_a_missing_function_are_told(tmp_path: Path) -> None:
    source = make_source(tmp_path / "example", "api", "parse = 1\n")
    with pytest.raises(SourceCodeError, match=r"harvester.py:1: no function parse"):
        load_parse(source)
    with pytest.raises(SourceCodeError, match=r"spider.py:1: can't be read: No such file"):
        load_spider(source)
    assert load_site(source) is None
    (source.folder / "site.py").write_text("")
    with pytest.raises(SourceCodeError, match=r"site.py:1: no function serve"):
        load_site(source)
