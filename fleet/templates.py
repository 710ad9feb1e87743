"""What ``fleet new-source`` writes: for each kind the code, and a first case after a plausible shape."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from urllib.parse import urljoin, urlsplit
from xml.sax.saxutils import escape

from crawlers.runtime.cases import Exchange


@dataclass(frozen=True)
class Template:
    """``code``: the source's code, given its name and URL; None where it needs none; ``pages``: the exchanges of its first case, given its URL.

    ``peculiar``: what has to be adapted in the code.
    """

    code: Callable[[str, str], str] | None
    pages: Callable[[str], list[Exchange]]
    peculiar: str


def manifest(name: str, kind: str, url: str, contact: str, schedule: str) -> str:
    """The text of source.toml. A JSON string is a TOML string too."""
    parts = urlsplit(url)
    return dedent(
        f"""\
        name = "{name}"
        kind = "{kind}"
        title = "{parts.hostname}"
        description = "Research metadata of {parts.hostname}."
        url = "{parts.scheme}://{parts.netloc}/"
        license_url = "{url}"
        contact = {json.dumps(contact)}
        maintainer = "Crawler Fleet team"
        schedule = "{schedule}"
        rate = 1
        error_budget = 0.01
        """
    ) + (f'\n[oai]\nendpoint = "{url}"\nmetadata_prefix = "oai_dc"\n' if kind == "oai-pmh" else "")


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_")) + "Spider"


def _scrapy_code(name: str, url: str) -> str:
    return f'''"""{urlsplit(url).hostname}: a listing leads to its next page and to the datasets' pages."""

from collections.abc import Iterator

import scrapy
from scrapy.http import HtmlResponse

from crawlers.runtime.schema.models import Dataset


class {_class_name(name)}(scrapy.Spider):
    name = "{name}"
    start_urls = ["{url}"]

    def parse(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        yield from response.follow_all(css="h2 a", callback=self.parse_dataset)
        yield from response.follow_all(css="a[rel=next]", callback=self.parse)

    def parse_dataset(self, response: HtmlResponse) -> Iterator[Dataset]:
        yield Dataset.create(
            response.url,
            {{
                "_id": response.url.rstrip("/").rsplit("/", 1)[-1],
                "name": response.css("h1::text").get(),
                "description": response.css("meta[name=description]::attr(content)").get(),
                "datePublished": response.css("time::attr(datetime)").get(),
                "author": response.css(".author::text").getall(),
            }},
        )
'''


def _scrapy_pages(url: str) -> list[Exchange]:
    detail = urljoin(url, "/datasets/example-1")
    listing = """\
        <!DOCTYPE html>
        <title>Datasets</title>
        <h2><a href="/datasets/example-1">A first dataset</a></h2>
        <h2><a href="/datasets/example-2">A second dataset</a></h2>
        <a rel="next" href="?page=2">Next</a>
        """
    page = """\
        <!DOCTYPE html>
        <title>A first dataset</title>
        <meta name="description" content="What was measured, and how.">
        <h1>A first dataset</h1>
        <p>By <span class="author">Erika Example</span>, <time datetime="2026-01-31">31 January 2026</time></p>
        """
    return [_exchange(url, listing, ".html"), _exchange(detail, page, ".html")]


def _browser_code(name: str, url: str) -> str:
    return f'''"""{urlsplit(url).hostname}: a listing in JavaScript leads to its next page and to the datasets' pages."""

from collections.abc import AsyncIterator, Iterator

import scrapy
from scrapy.http import HtmlResponse

from crawlers.runtime.browser.rendering import BrowserRequest
from crawlers.runtime.fields import filled

# What is done in a listing before it is read, e.g. {{"click": "button.more", "times": 50, "wait_for": "h2 a"}}.
LISTING = [{{"click": "#cookie-banner button", "optional": True}}]


class {_class_name(name)}(scrapy.Spider):
    name = "{name}"

    async def start(self) -> AsyncIterator[scrapy.Request]:
        yield BrowserRequest("{url}", self.parse, wait_for="h2 a", steps=LISTING)

    def parse(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        for link in response.css("h2 a::attr(href)").getall():
            yield BrowserRequest(response.urljoin(link), self.parse_dataset, wait_for="h1")
        for link in response.css("a[rel=next]::attr(href)").getall():
            yield BrowserRequest(response.urljoin(link), self.parse, wait_for="h2 a", steps=LISTING)

    def parse_dataset(self, response: HtmlResponse) -> Iterator[dict]:
        record = {{
            "_id": response.url.rstrip("/").rsplit("/", 1)[-1],
            "@type": "Dataset",
            "name": response.css("h1::text").get("").strip(),
            "description": response.css("meta[name=description]::attr(content)").get(),
            "url": response.url,
            "datePublished": response.css("time::attr(datetime)").get(),
            "author": [{{"@type": "Person", "name": name}} for name in response.css(".author::text").getall()],
        }}
        yield filled(record)
'''


def _jsonld_code(name: str, url: str) -> str:
    return f'''"""{urlsplit(url).hostname}: landing pages from its sitemap, each with schema.org JSON-LD."""

from crawlers.runtime.jsonld import JsonLdSpider


class {_class_name(name)}(JsonLdSpider):
    name = "{name}"
    start_urls = ["{_sitemap(url)}"]
    landing_pattern = r"/datasets/"
'''


def _sitemap(url: str) -> str:
    return url if ".xml" in urlsplit(url).path else urljoin(url, "/sitemap.xml")


def _jsonld_pages(url: str) -> list[Exchange]:
    first, second = urljoin(url, "/datasets/example-1"), urljoin(url, "/datasets/example-2")
    sitemap = f"""\
        <?xml version="1.0" encoding="UTF-8"?>
        <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
          <url><loc>{first}</loc></url>
          <url><loc>{second}</loc></url>
        </urlset>
        """
    page = f"""\
        <!DOCTYPE html>
        <title>A first dataset</title>
        <script type="application/ld+json">
        {{
          "@context": "https://schema.org/",
          "@type": "Dataset",
          "identifier": "example-1",
          "name": "A first dataset",
          "description": "What was measured, and how.",
          "url": "{first}",
          "creator": {{"@type": "Person", "name": "Erika Example"}},
          "datePublished": "2026-01-31"
        }}
        </script>
        """
    return [_exchange(_sitemap(url), sitemap, ".xml"), _exchange(first, page, ".html")]


def _api_code(name: str, url: str) -> str:
    parts = urlsplit(url)
    return f'''"""{parts.hostname}: its API lists the datasets, page by page."""

from collections.abc import Iterator

from crawlers.runtime.api import ApiClient
from crawlers.runtime.schema.models import Dataset

DATASETS = "{url}"
PAGE_SIZE = 100


def parse(api: ApiClient) -> Iterator[Dataset]:
    page = seen = 0
    while True:
        page += 1
        answer = api.get_json(DATASETS, {{"page": page, "size": PAGE_SIZE}})
        for dataset in answer["items"]:
            with api.page(f"{{DATASETS}}#{{dataset.get('id')}}"):  # an odd dataset is a reject, not the end
                yield record(dataset)
        seen += len(answer["items"])
        if not answer["items"] or seen >= answer["total"]:
            api.expect(answer["total"], seen, "datasets")  # a page that comes short is a failed crawl, not a small source
            return


def record(dataset: dict) -> Dataset:
    return Dataset.create(
        f"{parts.scheme}://{parts.netloc}/datasets/{{dataset['id']}}",
        {{
            "_id": dataset["id"],
            "name": dataset.get("title"),
            "description": dataset.get("description"),
            "datePublished": dataset.get("published"),
            "author": dataset.get("authors"),
        }},
    )
'''


def _api_pages(url: str) -> list[Exchange]:
    answer = """\
        {
          "total": 2,
          "items": [
            {
              "id": "example-1",
              "title": "A first dataset",
              "description": "What was measured, and how.",
              "authors": ["Erika Example"],
              "published": "2026-01-31"
            },
            {"id": "example-2", "title": "A second dataset", "authors": []}
          ]
        }
        """
    return [_exchange(f"{url}{'&' if urlsplit(url).query else '?'}page=1&size=100", answer, ".json")]


def _oai_pages(url: str) -> list[Exchange]:
    host = urlsplit(url).hostname
    answer = f"""\
        <?xml version="1.0" encoding="UTF-8"?>
        <OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
          <responseDate>2026-01-31T12:00:00Z</responseDate>
          <request verb="ListRecords" metadataPrefix="oai_dc">{escape(url)}</request>
          <ListRecords>
            <record>
              <header>
                <identifier>oai:{host}:example-1</identifier>
                <datestamp>2026-01-31T08:00:00Z</datestamp>
                <setSpec>datasets</setSpec>
              </header>
              <metadata>
                <oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">
                  <dc:title>A first dataset</dc:title>
                  <dc:creator>Example, Erika</dc:creator>
                  <dc:description>What was measured, and how.</dc:description>
                  <dc:identifier>https://{host}/datasets/example-1</dc:identifier>
                  <dc:date>2026-01-31</dc:date>
                  <dc:type>Dataset</dc:type>
                </oai_dc:dc>
              </metadata>
            </record>
            <record>
              <header status="deleted">
                <identifier>oai:{host}:example-2</identifier>
                <datestamp>2026-01-31T09:00:00Z</datestamp>
              </header>
            </record>
          </ListRecords>
        </OAI-PMH>
        """
    return [
        _exchange(f"{url}{'&' if urlsplit(url).query else '?'}verb=ListRecords&metadataPrefix=oai_dc", answer, ".xml")
    ]


def _pages_code(name: str, url: str) -> str:
    return f'''# {urlsplit(url).hostname}: a listing leads to its next page and to the datasets' pages. docs/pages.md explains each key.

[pages.listing]
start = "{url}"
pager = {{ kind = "next", link = {{ css = "a[rel=next]" }} }}

[pages.dataset]
links = {{ from = "listing", css = "h2 a" }}
check = [{{ css = "h1" }}]

[pages.dataset.record]
_id = {{ field = "url", processors = [{{ regex = "[^/]+/?$" }}] }}
"@type" = {{ value = "Dataset" }}
name = {{ css = "h1", required = true }}
description = {{ css = "meta[name=description]::attr(content)" }}
url = {{ field = "url" }}
datePublished = {{ css = "time::attr(datetime)" }}

[pages.dataset.record.author]
each = {{ css = ".author" }}
object = {{ "@type" = {{ value = "Person" }}, name = {{ xpath = "." }} }}
'''


def _exchange(url: str, text: str, suffix: str) -> Exchange:
    return Exchange(url, dedent(text).encode(), suffix)


TEMPLATES = {
    "scrapy": Template(_scrapy_code, _scrapy_pages, "start_urls and the selectors"),
    "browser": Template(_browser_code, _scrapy_pages, "what to wait for, what to click, and the selectors"),
    "jsonld": Template(_jsonld_code, _jsonld_pages, "start_urls and landing_pattern"),
    "api": Template(_api_code, _api_pages, "DATASETS, the names of fields, and how its pages are counted"),
    "oai-pmh": Template(None, _oai_pages, "endpoint, metadata_prefix and, for a part of it only, set"),
    "pages": Template(_pages_code, _scrapy_pages, "start and the selectors"),
}
