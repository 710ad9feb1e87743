"""What the spider makes of pages, by definitions alone: each test is a definition, a few pages, and the outcome."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from crawlers.runtime.case_run import run_case
from crawlers.runtime.cases import Case, Exchange
from crawlers.runtime.manifest import Manifest, Source
from tests.command import MANIFEST

SITE = "http://site.invalid"
LISTING = """
    [pages.listing]
    start = "http://site.invalid/list"
    {}

    [pages.item]
    links = {{ from = "listing", css = "a.item" }}

    [pages.item.record]
    _id = {{ field = "url" }}
    name = {{ css = "h1", required = true }}
"""


def crawl(
    tmp_path: Path, definition: str, pages: dict[str, str | bytes | int], method: str = "parse"
) -> dict[str, Any]:
    """The outcome over these pages, by path; a number is an HTTP status without a body."""
    (tmp_path / "pages.toml").write_text(dedent(definition), encoding="utf-8")
    exchanges = []
    for path, body in pages.items():
        status = body if isinstance(body, int) else 200
        content = b"" if isinstance(body, int) else body.encode() if isinstance(body, str) else body
        suffix = ".json" if content[:1] in b"[{" and content else ".xml" if content.startswith(b"<?xml") else ".html"
        exchanges.append(Exchange(SITE + path, content, suffix, status))
    source = Source(tmp_path, Manifest(name="little", kind="pages", **MANIFEST))
    return run_case(source, Case(tmp_path / "case", tuple(exchanges), method))


def items(*names: str) -> str:
    return "".join(f'<a class="item" href="/{name}">{name}</a>' for name in names)


def pages_of(*names: str) -> dict[str, str | bytes | int]:
    return {f"/{name}": f"<h1>The {name}</h1>" for name in names}


def names(outcome: dict[str, Any]) -> list[str]:
    assert "errors" not in outcome, outcome["errors"]
    assert outcome["follows"] == []
    return sorted(record["name"].removeprefix("The ") for record in outcome["records"])


def test_a_record_is_made_of_css_xpath_regex_constants_and_nested_objects(tmp_path: Path) -> None:
    definition = """
        [pages.home]
        start = "http://site.invalid/home"

        [pages.home.record]
        _id = { regex = 'data-id="(\\w+)"' }
        "@type" = { value = "Dataset" }
        name = { css = "h1" }
        description = { xpath = "//meta[@name='description']/@content" }
        url = { field = "url" }
        keywords = { css = ".keyword", all = true }
        missing = { css = ".nowhere" }

        [pages.home.record.author]
        each = { css = "li.author" }
        object = { "@type" = { value = "Person" }, name = { css = "b" }, affiliation = { css = "i::text" } }
    """
    page = """
        <meta name="description" content="What was measured.">
        <h1 data-id="d7"> A  <em>first</em><br>dataset <script>no()</script></h1>
        <p class="keyword">one</p><p class="keyword"> two </p><p class="keyword"> </p>
        <ul><li class="author"><b>Erika</b><i>Institute</i></li><li class="author"><b>Jun</b></li><li class="author"></li></ul>
    """
    assert crawl(tmp_path, definition, {"/home": page})["records"] == [
        {
            "_id": "d7",
            "@type": "Dataset",
            "name": "A first dataset",
            "description": "What was measured.",
            "url": "http://site.invalid/home",
            "keywords": ["one", "two"],
            "author": [
                {"@type": "Person", "name": "Erika", "affiliation": "Institute"},
                {"@type": "Person", "name": "Jun"},
            ],
        }
    ]


def test_fields_of_the_item_in_a_listing_reach_the_record_of_the_page_that_it_links_to(tmp_path: Path) -> None:
    definition = """
        [pages.listing]
        start = "http://site.invalid/list"
        each = { css = "tr.row" }
        fields.date = { css = "td.date", processors = [{ date = "%d %B %Y" }] }

        [pages.item]
        links = { from = "listing", css = "a" }

        [pages.item.record]
        _id = { css = "h1" }
        datePublished = { field = "date" }
    """
    rows = '<table><tr><th>Name</th></tr><tr class="row"><td class="date">3 May 2021<td><a href="a">A</a></tr>'
    rows += '<tr class="row"><td><td><a href="b">B</a></tr></table>'
    outcome = crawl(tmp_path, definition, {"/list": rows, "/a": "<h1>A</h1>", "/b": "<h1>B</h1>"})
    assert outcome["records"] == [{"_id": "A", "datePublished": "2021-05-03"}, {"_id": "B"}]


def test_each_item_of_a_page_can_be_a_record_of_its_own(tmp_path: Path) -> None:
    definition = """
        [pages.list]
        start = "http://site.invalid/list"
        each = { json = "data.trials" }
        [pages.list.record]
        _id = { json = "id", required = true }
        name = { json = "titles[0]" }
        size = { json = "n", processors = ["number"] }
    """
    page = '{"data": {"trials": [{"id": "a", "titles": ["A", "B"], "n": "1,024"}, {"titles": ["C"]}, {"id": "b", "n": 0}]}}'
    outcome = crawl(tmp_path, definition, {"/list": page})
    assert outcome["records"] == [{"_id": "a", "name": "A", "size": 1024}, {"_id": "b", "size": 0}]
    assert outcome["errors"] == ["PageError: http://site.invalid/list: _id: is missing"]


def test_json_ld_is_read_whole_or_field_by_field(tmp_path: Path) -> None:
    definition = """
        [pages.landing]
        start = "http://site.invalid/landing"
        each = { jsonld = "Dataset" }
        whole = true
        [pages.landing.record]
        _id = { json = "identifier" }
        creator_name = { json = "creator.name" }
    """
    block = '{"@context": "https://schema.org", "@type": "Dataset", "identifier": "d1", "name": "N", "creator": {"name": "E"}}'
    page = f'<script type="application/ld+json">{block}</script>'
    assert crawl(tmp_path, definition, {"/landing": page})["records"] == [
        {
            "@type": "Dataset",
            "identifier": "d1",
            "name": "N",
            "creator": {"name": "E"},
            "_id": "d1",
            "creator_name": "E",
        }
    ]


def test_a_json_ld_block_that_cannot_be_read_fails_the_page(tmp_path: Path) -> None:
    definition = """
        [pages.landing]
        start = "http://site.invalid/landing"
        [pages.landing.record]
        _id = { jsonld = "Dataset", processors = [{ json = "identifier" }] }
    """
    page = '<script type="application/ld+json">{"@type": "Dataset", broken</script>'
    [error] = crawl(tmp_path, definition, {"/landing": page})["errors"]
    assert "JSON-LD block 1 can't be read" in error


@pytest.mark.parametrize(
    ("body", "missing"),
    [("<p>Please prove that you are no robot</p>", "'Trials'"), ("<h1>Trials</h1>", "css 'table'")],
)
def test_a_page_without_what_is_checked_for_is_blocked_or_changed(tmp_path: Path, body: str, missing: str) -> None:
    definition = LISTING.format('check = ["Trials", { css = "table" }]')
    [error] = crawl(tmp_path, definition, {"/list": body})["errors"]
    assert missing in error
    assert "it is blocked, or the site has changed" in error


def test_a_page_that_holds_nothing_has_failed_unless_it_may_be_empty(tmp_path: Path) -> None:
    [error] = crawl(tmp_path, LISTING.format(""), {"/list": "<p>Nothing</p>"})["errors"]
    assert "has not a link" in error
    outcome = crawl(tmp_path, LISTING.format("may_be_empty = true"), {"/list": "<p>Nothing</p>"})
    assert outcome == {"records": [], "follows": []}


def test_a_page_of_constants_alone_makes_no_record(tmp_path: Path) -> None:
    definition = LISTING.format("").replace(", required = true", "")
    [error] = crawl(tmp_path, definition, {"/list": items("a"), "/a": "<p>Deleted</p>"})["errors"]
    assert "has not a record" in error


def test_a_required_field_that_is_missing_is_told_with_its_name(tmp_path: Path) -> None:
    outcome = crawl(tmp_path, LISTING.format(""), {"/list": items("a", "b"), **pages_of("b"), "/a": "<p>No name</p>"})
    assert [record["name"] for record in outcome["records"]] == ["The b"]
    assert outcome["errors"] == ["PageError: http://site.invalid/a: name: is missing"]


def test_a_value_that_a_processor_cannot_read_fails_its_page_alone(tmp_path: Path) -> None:
    definition = LISTING.format("") + '    size = { css = "b", processors = ["number"] }\n'
    pages = {"/list": items("a", "b"), "/a": "<h1>The a</h1><b>lots</b>", "/b": "<h1>The b</h1><b>1 234.5</b>"}
    outcome = crawl(tmp_path, definition, pages)
    assert [record["size"] for record in outcome["records"]] == [1234.5]
    assert outcome["errors"] == ["PageError: http://site.invalid/a: size: 'lots' is no number"]


def test_a_link_to_the_next_page_is_followed_to_the_end(tmp_path: Path) -> None:
    definition = LISTING.format('pager = { kind = "next", link = { css = "a[rel=next]" } }')
    pages = {
        "/list": items("a") + '<a rel="next" href="?p=2">',
        "/list?p=2": items("b") + '<a rel="next" href="?p=3">',
        "/list?p=3": items("c"),
        **pages_of("a", "b", "c"),
    }
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b", "c"]


def test_a_next_link_that_leads_back_ends_the_pager(tmp_path: Path) -> None:
    definition = LISTING.format('pager = { kind = "next", link = { css = "a[rel=next]" } }')
    pages = {
        "/list": items("a") + '<a rel="next" href="?p=2">',
        "/list?p=2": items("b") + '<a rel="next" href="?p=1">',
        "/list?p=1": items("a") + '<a rel="next" href="?p=2">',
        **pages_of("a", "b"),
    }
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b"]


@pytest.mark.parametrize("last", [items("b"), "<p>Nothing more</p>", 404], ids=["repeated", "empty", "missing"])
def test_page_numbers_go_on_until_a_page_repeats_is_empty_or_missing(tmp_path: Path, last: str | int) -> None:
    definition = LISTING.format(
        'pager = { kind = "numbers", url = "/list?p={page}", start = 0, step = 10, end_statuses = [404] }'
    )
    pages = {"/list": items("a"), "/list?p=10": items("b"), "/list?p=20": last, **pages_of("a", "b")}
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b"]


def test_a_number_of_pages_that_the_first_page_tells_is_kept_to(tmp_path: Path) -> None:
    stop = '{ css = ".pages", processors = [{ regex = "of ([0-9,]+)" }, "number"] }'
    definition = LISTING.format(f'pager = {{ kind = "numbers", url = "/list?p={{page}}", stop = {stop} }}')
    first = '<p class="pages">Page 1 of 3</p>' + items("a")
    pages = {"/list": first, "/list?p=2": items("b"), "/list?p=3": items("c"), **pages_of("a", "b", "c")}
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b", "c"]
    [error] = crawl(tmp_path, definition, {**pages, "/list?p=3": "<p>Gone</p>"})["errors"]
    assert "/list?p=3: has not a link" in error
    [error] = crawl(tmp_path, definition, {**pages, "/list?p=3": items("b")})["errors"]
    assert "/list?p=3: repeats an earlier page" in error
    [error] = crawl(tmp_path, definition, {**pages, "/list": items("a")})["errors"]
    assert "does not say how many there are" in error


def test_a_free_list_fills_the_template(tmp_path: Path) -> None:
    definition = LISTING.format('pager = { kind = "list", url = "/list?by={page}", values = ["é/", 3] }')
    pages = {"/list": items("a"), "/list?by=%C3%A9%2F": items("b"), "/list?by=3": items("c"), **pages_of("a", "b", "c")}
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b", "c"]


def test_offset_and_limit_go_on_to_the_total(tmp_path: Path) -> None:
    definition = """
        [pages.api]
        each = { json = "items" }
        pager = { kind = "offset", url = "http://site.invalid/api?skip={offset}&top={limit}", limit = 2, total = { json = "total" } }
        [pages.api.record]
        _id = { json = "@" }
        name = { json = "@" }
    """
    pages = {
        "/api?skip=0&top=2": '{"total": 5, "items": ["a", "b"]}',
        "/api?skip=2&top=2": '{"total": 5, "items": ["c", "d"]}',
        "/api?skip=4&top=2": '{"total": 5, "items": ["e"]}',
    }
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b", "c", "d", "e"]
    definition = definition.replace(', total = { json = "total" }', "")
    pages |= {"/api?skip=6&top=2": '{"total": 5, "items": []}'}
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b", "c", "d", "e"]


def test_a_cursor_is_taken_from_each_answer(tmp_path: Path) -> None:
    definition = """
        [pages.api]
        start = "http://site.invalid/api"
        each = { json = "items" }
        pager = { kind = "cursor", url = "/api?after={cursor}", cursor = { json = "next" } }
        [pages.api.record]
        _id = { json = "@" }
        name = { json = "@" }
    """
    pages = {
        "/api": '{"items": ["a"], "next": "x=="}',
        "/api?after=x%3D%3D": '{"items": ["b"], "next": "y"}',
        "/api?after=y": '{"items": [], "next": null}',
    }
    assert names(crawl(tmp_path, definition, pages)) == ["a", "b"]


def test_the_most_pages_of_a_pager_are_an_error_to_go_beyond(tmp_path: Path) -> None:
    definition = LISTING.format('pager = { kind = "next", link = { css = "a[rel=next]" }, max_pages = 2 }')
    pages = {
        "/list": items("a") + '<a rel="next" href="?p=2">',
        "/list?p=2": items("b") + '<a rel="next" href="?p=3">',
        **pages_of("a", "b"),
    }
    [error] = crawl(tmp_path, definition, pages)["errors"]
    assert error.startswith("LimitError: http://site.invalid/list?p=2: its pager goes on after 2 pages")


def test_the_most_pages_of_a_kind_are_an_error_to_go_beyond(tmp_path: Path) -> None:
    definition = LISTING.format("").replace('css = "a.item" }', 'css = "a.item" }\n    max_pages = 1')
    outcome = crawl(tmp_path, definition, {"/list": items("a", "b"), **pages_of("a", "b")})
    assert outcome["errors"] == [
        "LimitError: http://site.invalid/b: there are more pages than pages.item.max_pages = 1 allows"
    ]


def test_a_hundred_thousand_links_on_a_page_are_followed_by_none(tmp_path: Path) -> None:
    page = items(*map(str, range(100_000)))
    outcome = crawl(tmp_path, LISTING.format(""), {"/list": page})
    assert outcome["follows"] == []
    assert outcome["errors"] == [
        "PageError: http://site.invalid/list: has 100000 links; pages.listing.max_links allows 20000. None was followed"
    ]


def test_links_that_lead_to_no_web_page_are_counted_and_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        "javascript:void(0)",
        "file:///etc/passwd",
        "mailto:a@b.c",
        "data:text/html,x",
        "http://[broken/",
        "ftp://h/x",
    ]
    page = items("a") + "".join(f'<a class="item" href="{url}">x</a>' for url in bad)
    assert names(crawl(tmp_path, LISTING.format(""), {"/list": page, **pages_of("a")})) == ["a"]
    assert "6 links lead to no web page, e.g. 'javascript:void(0)'" in caplog.text


def test_only_links_that_match_are_followed(tmp_path: Path) -> None:
    definition = LISTING.format("").replace('css = "a.item" }', "css = \"a\", matching = '/[ab]$' }")
    page = '<base href="http://site.invalid/deep/"><a href="../a"></a><a href="../b"></a><a href="../c"></a>'
    assert names(crawl(tmp_path, definition, {"/list": page, **pages_of("a", "b")})) == ["a", "b"]


@pytest.mark.parametrize(
    ("encoding", "head"),
    [("cp1252", ""), ("utf-8", '<meta charset="iso-8859-1">'), ("shift_jis", '<meta charset="no-such-charset">')],
)
def test_a_wrong_charset_is_set_right_by_the_definition(tmp_path: Path, encoding: str, head: str) -> None:
    name = "日本" if encoding == "shift_jis" else "Łódź é" if encoding == "utf-8" else "café – x"
    definition = LISTING.format("").replace('css = "a.item" }', f'css = "a.item" }}\n    encoding = "{encoding}"')
    page = f"{head}<h1>The {name}</h1>".encode(encoding)
    assert names(crawl(tmp_path, definition, {"/list": items("a"), "/a": page})) == [name]


def test_a_page_in_no_charset_at_all_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    page = b"<h1>The \xff\xfe\x00 page \x80</h1>"
    [record] = crawl(tmp_path, LISTING.format(""), {"/list": items("a"), "/a": page})["records"]
    assert record["name"].startswith("The ")
    record["name"].encode()


def test_xml_is_read_without_its_namespaces(tmp_path: Path) -> None:
    definition = LISTING.format("").replace('css = "a.item"', 'xpath = "//url/loc"')
    sitemap = '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>http://site.invalid/a</loc></url></urlset>'
    assert names(crawl(tmp_path, definition, {"/list": sitemap, **pages_of("a")})) == ["a"]


def test_images_and_files_are_listed_by_their_absolute_urls(tmp_path: Path) -> None:
    definition = (
        LISTING.format("")
        + '\n    [pages.item.images]\n    css = "img"\n    [pages.item.files]\n    css = "a.pdf"\n    \n'
    )
    page = '<h1>The a</h1><img src="p.png"><img src="p.png"><img src="data:image/png;base64,x"><a class="pdf" href="/d.pdf">'
    [record] = crawl(tmp_path, definition, {"/list": items("a"), "/a": page})["records"]
    assert record["image_urls"] == ["http://site.invalid/p.png"]
    assert record["file_urls"] == ["http://site.invalid/d.pdf"]


def test_a_case_may_start_at_any_kind_of_page(tmp_path: Path) -> None:
    outcome = crawl(tmp_path, LISTING.format(""), {"/a": "<h1>The a</h1>"}, method="parse_item")
    assert names(outcome) == ["a"]
