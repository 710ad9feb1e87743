import gzip
import json
import logging
from typing import Any

import parsel
import pytest
from scrapy.http import HtmlResponse, Request, Response, XmlResponse

from crawlers.runtime.errors import PageError
from crawlers.runtime.jsonld import JsonLdSpider, extract_jsonld

PAGE = "https://data.example.org/datasets/1"


class ExampleSpider(JsonLdSpider):
    name = "example"
    landing_pattern = r"/datasets/\d+"


def block(text: str, kind: str = "application/ld+json") -> str:
    return f'<html><head><script type="{kind}">{text}</script></head></html>'


def html(body: str, url: str = PAGE) -> HtmlResponse:
    return HtmlResponse(url, body=body, encoding="utf-8", request=Request(url))


def outputs(response: Response, spider: JsonLdSpider | None = None) -> list[Any]:
    return list((spider or ExampleSpider()).parse(response))


@pytest.mark.parametrize(
    "kind",
    ["application/ld+json", "Application/LD+JSON", " application/ld+json ", "application/ld+json; charset=utf-8"],
)
def test_the_type_attribute_is_read_in_all_its_variants(kind: str) -> None:
    assert extract_jsonld(block('{"@type": "Dataset"}', kind)).objects == [{"@type": "Dataset"}]


def test_other_scripts_are_not_read() -> None:
    assert extract_jsonld(block("var a = 1;", "text/javascript") + block('{"@type": "A"}', "application/json")) == (
        [],
        [],
    )


def test_a_selector_is_read_like_text() -> None:
    page = block('{"@type": "Dataset"}')
    assert extract_jsonld(parsel.Selector(page)) == extract_jsonld(page)


@pytest.mark.parametrize(
    "text",
    [
        '<!-- {"@type": "Dataset", "name": "a"} -->',
        '<![CDATA[ {"@type": "Dataset", "name": "a"} ]]>',
        '//<![CDATA[\n{"@type": "Dataset", "name": "a"}\n//]]>',
        '/*<![CDATA[*/ {"@type": "Dataset", "name": "a"} /*]]>*/',
        '\ufeff{"@type": "Dataset", "name": "a"};\n',
        '{"@type": "Dataset", "name": "a",}',
        '{"@type": ["Dataset",], "name": "a"}',
        "{&quot;@type&quot;: &quot;Dataset&quot;, &quot;name&quot;: &quot;a&quot;}",
        '{"@type": "http://schema.org/Dataset", "http://schema.org/name": "a"}',
        '{"@type": "https://schema.org/Dataset", "https://schema.org/name": "a"}',
        '{"@type": ["schema:Dataset"], "schema:name": "a"}',
        '{"@context": {"sc": "http://schema.org/"}, "@type": "sc:Dataset", "sc:name": "a"}',
        '{"@context": ["https://schema.org", {"bs": "https://bioschemas.org/"}], "@type": ["bs:Dataset"], "name": "a"}',
        '[[{"@type": "Dataset", "name": "a"}]]',
        '{"@graph": [{"@type": "Dataset", "name": "a"}]}',
        '{"@graph": {"@type": "Dataset", "name": "a"}}',
    ],
)
def test_what_sites_write_around_and_into_json_is_seen_through(text: str) -> None:
    [item] = extract_jsonld(block(text)).of_types(("Dataset",))
    item.pop("@context", None)
    assert item == {"@type": "Dataset", "name": "a"}


@pytest.mark.parametrize(
    "value", ["a,]", "a,}", '\\",}', "<!-- a -->", "]]>", "//]]> -->", "a;", "&quot;a&quot;", "&amp;"]
)
def test_strings_are_left_as_they_are(value: str) -> None:
    [item] = extract_jsonld(block(f'<!-- {{"@type": "Dataset", "name": "{value}", "a": [1,],}} -->')).objects
    assert item["name"] == value.replace("\\", "")


def test_control_characters_in_strings_are_let_pass() -> None:
    [item] = extract_jsonld(block('{"@type": "Dataset", "name": "a\tb\nc"}')).objects
    assert item["name"] == "a\tb\nc"


def test_a_number_that_json_does_not_know_is_nothing() -> None:
    [item] = extract_jsonld(block('{"@type": "Dataset", "size": NaN}')).objects
    assert item["size"] is None


def test_the_main_entity_of_a_page_is_found() -> None:
    text = '{"@type": "WebPage", "mainEntity": {"@type": "Dataset", "name": "a"}}'
    assert extract_jsonld(block(text)).of_types(("Dataset",)) == [{"@type": "Dataset", "name": "a"}]


def test_references_within_the_page_are_resolved() -> None:
    graph = [
        {"@id": "#page", "@type": "WebPage", "mainEntity": {"@id": "#data"}},
        {"@id": "#data", "@type": "Dataset", "creator": [{"@id": "#ada"}, {"@id": "#elsewhere"}]},
        {"@id": "#ada", "@type": "Person", "name": "Ada", "affiliation": {"@id": "#institute"}},
        {"@id": "#institute", "@type": "Organization", "employee": {"@id": "#ada"}},
    ]
    [item] = extract_jsonld(block(json.dumps({"@graph": graph}))).of_types(("Dataset",))
    institute = {"@id": "#institute", "@type": "Organization", "employee": {"@id": "#ada"}}
    ada = {"@id": "#ada", "@type": "Person", "name": "Ada", "affiliation": institute}
    assert item == {"@id": "#data", "@type": "Dataset", "creator": [ada, {"@id": "#elsewhere"}]}


def test_the_same_object_in_two_blocks_is_one_record() -> None:
    text = '{"@id": "https://doi.org/10.5072/1", "@type": "Dataset"}'
    assert len(extract_jsonld(block(text) + block(text)).of_types(("Dataset",))) == 1


def test_two_objects_of_a_page_are_two_records() -> None:
    text = '[{"@type": "Dataset", "name": "a"}, {"@type": ["Thing", "Dataset"], "name": "b"}]'
    assert [item["name"] for item in extract_jsonld(block(text)).of_types(("Dataset",))] == ["a", "b"]


@pytest.mark.parametrize("text", ['{"@type": "Dataset", "name": "a', "", "<p>oops</p>", '{"a":' * 100_000, "1" * 5000])
def test_a_broken_block_is_told_beside_the_others(text: str) -> None:
    extraction = extract_jsonld(block(text) + block('{"@type": "Dataset"}'))
    assert extraction.objects == [{"@type": "Dataset"}]
    [fault] = extraction.faults
    assert fault.reason.startswith("JSON-LD block 1 can't be read: ")
    assert len(fault.reason) < 300


def test_a_landing_page_gives_its_records() -> None:
    page = html(block('{"@context": "https://schema.org", "@type": "Dataset", "identifier": "D1", "name": "a"}'))
    assert outputs(page) == [{"_id": "D1", "@type": "Dataset", "identifier": "D1", "name": "a", "url": PAGE}]


@pytest.mark.parametrize(
    ("fields", "identifier"),
    [
        ({"identifier": "D1", "@id": "x", "url": "y"}, "D1"),
        ({"identifier": 7}, "7"),
        ({"identifier": [{"@type": "PropertyValue", "value": "D2"}, "D1"]}, "D2"),
        ({"identifier": {"@id": "https://doi.org/10.5072/1"}}, "https://doi.org/10.5072/1"),
        ({"identifier": " ", "@id": "https://doi.org/10.5072/1"}, "https://doi.org/10.5072/1"),
        ({"identifier": {"@type": "PropertyValue"}, "url": "https://data.example.org/d"}, "https://data.example.org/d"),
        ({"name": "a"}, PAGE),
    ],
)
def test_the_identifier_is_the_sites_own(fields: dict[str, Any], identifier: str) -> None:
    assert ExampleSpider().identifier(fields, html("")) == identifier


def test_a_landing_page_without_the_wanted_type_is_an_error_that_names_what_was_found() -> None:
    with pytest.raises(PageError, match=r"datasets/1: no Dataset in its JSON-LD \(found: Person, WebPage\)"):
        outputs(html(block('[{"@type": "WebPage"}, {"@type": "Person"}]')))


def test_a_landing_page_without_json_ld_is_an_error() -> None:
    with pytest.raises(PageError, match="found: no object"):
        outputs(html("<p>Nothing here</p>"))


def test_a_landing_page_that_is_no_text_is_an_error() -> None:
    with pytest.raises(PageError, match="is no text"):
        outputs(Response(PAGE, body=b"\x00\x01"))


def test_a_broken_block_that_may_have_been_a_record_is_an_error_after_the_others() -> None:
    found = []
    with pytest.raises(PageError, match="perhaps not all: JSON-LD block 2 can't be read"):
        found.extend(ExampleSpider().parse(html(block('{"@type": "Dataset"}') + block('{"@type": "Dataset", '))))
    found = []
    results = ExampleSpider().parse(html(block('{"@type": "Dataset"}') + block('{"@type": "Dataset", ')))
    found.append(next(results))
    assert found[0]["@type"] == "Dataset"


def test_a_broken_block_that_was_no_record_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(outputs(html(block('{"@type": "Dataset"}') + block('{"@type": "BreadcrumbList", ')))) == 1
    assert "JSON-LD block 2 can't be read" in caplog.text


def sitemap(*urls: str, kind: str = "url") -> bytes:
    outer = "urlset" if kind == "url" else "sitemapindex"
    entries = "".join(f"<{kind}><loc>{url}</loc></{kind}>" for url in urls)
    return f'<?xml version="1.0"?><{outer} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{outer}>'.encode()


def test_landing_pages_are_followed_from_a_sitemap() -> None:
    body = sitemap(PAGE, "https://data.example.org/about", f"{PAGE}2")
    spider = ExampleSpider()
    requests = outputs(XmlResponse("https://data.example.org/sitemap.xml", body=body), spider)
    assert [(request.url, request.callback) for request in requests] == [
        (PAGE, spider.parse_landing),
        (f"{PAGE}2", spider.parse_landing),
    ]


def test_a_gzipped_sitemap_is_read_also_where_its_name_looks_like_a_landing_page() -> None:
    [request] = outputs(Response("https://data.example.org/datasets/1.xml.gz", body=gzip.compress(sitemap(PAGE))))
    assert request.url == PAGE


def test_all_sitemaps_of_an_index_are_followed() -> None:
    body = sitemap("https://data.example.org/datasets/1.xml", "https://data.example.org/b.xml", kind="sitemap")
    spider = ExampleSpider()
    requests = outputs(XmlResponse("https://data.example.org/sitemap.xml", body=body), spider)
    assert [(request.url[-5:], request.callback) for request in requests] == [
        ("1.xml", spider.parse),
        ("b.xml", spider.parse),
    ]


def test_only_the_listings_asked_for_are_followed() -> None:
    class Choosy(ExampleSpider):
        listing_pattern = r"/(b\.xml|list\?page=\d+)"

    body = sitemap("https://data.example.org/a.xml", "https://data.example.org/b.xml", kind="sitemap")
    [request] = outputs(XmlResponse("https://data.example.org/sitemap.xml", body=body), Choosy())
    assert request.url.endswith("b.xml")
    page = html(
        '<a href="/list?page=2">2</a><a href="/about">x</a><a href="datasets/5"> 5</a>', "https://data.example.org/list"
    )
    assert [request.url for request in outputs(page, Choosy())] == [
        "https://data.example.org/list?page=2",
        "https://data.example.org/datasets/5",
    ]


def test_a_listing_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(PageError, match="none of its 1 links is a landing page"):
        outputs(html('<a href="/about">x</a><a href="mailto:a@example.org">y</a>', "https://data.example.org/list"))
