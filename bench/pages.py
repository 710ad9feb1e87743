"""How fast a site is crawled by a definition, beside the same spider written by hand for Scrapy with a plain JSON-lines feed.

Usage: python bench/pages.py [PAGES]    (default: 3000 pages of 15 KB)

Both crawl the same site on loopback, each in a process of its own, in turns, three times; the time is the process's own, from its
first request to its last record. By a definition, each page is stored, each record is checked, and the release is published.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

RUNS = 3
ITEMS = 50  # of a listing
CONCURRENCY = 16
TEXT = (
    "<p>The immune response to a vaccine was measured in <b>whole blood</b> before and after, in all who came.</p>\n"
    * 130
)

DEFINITION = """
[pages.listing]
start = "{url}/list/1"
pager = {{ kind = "next", link = {{ css = "a[rel=next]" }} }}

[pages.item]
links = {{ from = "listing", css = "li.item a" }}

[pages.item.record]
_id = {{ field = "url", processors = [{{ regex = "[^/]+$" }}] }}
"@type" = {{ value = "Dataset" }}
name = {{ css = "h1", required = true }}
description = {{ css = "p.abstract" }}
url = {{ field = "url" }}
datePublished = {{ css = "time::attr(datetime)" }}
keywords = {{ css = "ul.keywords li", all = true }}

[pages.item.record.author]
each = {{ css = "ul.authors li" }}
object = {{ "@type" = {{ value = "Person" }}, name = {{ css = ".name" }}, affiliation = {{ css = ".place" }} }}
"""


def page(path: str, pages: int) -> str:
    """A listing, ``/list/NUMBER``, or an item, ``/item/NUMBER``."""
    number = int(path.rsplit("/", 1)[-1])
    if path.startswith("/list/"):
        items = "".join(
            f'<li class="item"><a href="/item/{item}">Dataset {item}</a></li>'
            for item in range((number - 1) * ITEMS, min(number * ITEMS, pages))
        )
        following = f'<a rel="next" href="/list/{number + 1}">next</a>' if number * ITEMS < pages else ""
        return f"<!DOCTYPE html><title>Datasets</title><ul>{items}</ul>{following}"
    authors = '<li><span class="name">Erika Example</span>, <span class="place">Institute of Examples</span></li>' * 3
    return f"""<!DOCTYPE html><title>Dataset {number}</title><h1>Dataset {number}</h1>
<p class="abstract">What was measured in dataset {number}.</p><time datetime="2026-01-31">31 January</time>
<ul class="authors">{authors}</ul><ul class="keywords"><li>vaccination</li><li>immunology</li></ul>{TEXT}"""


def serve(pages: int, port: "Queue[int]") -> None:
    made: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path not in made:
                made[self.path] = b"" if self.path == "/robots.txt" else page(self.path, pages).encode()
            body = made[self.path]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    port.put(server.server_port)
    server.serve_forever()


@contextmanager
def site(pages: int) -> Iterator[str]:
    """The site, in a process of its own; its base URL."""
    port: Queue[int] = Queue()
    process = Process(target=serve, args=(pages, port), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}"
    finally:
        process.terminate()
        process.join()


def by_definition(url: str, folder: Path) -> Callable[[], int]:
    import crawlers.runtime.scrapy_run  # noqa: F401 - what it imports is no part of the crawl
    from crawlers.runtime.crawl import crawl
    from crawlers.runtime.manifest import Manifest, Source

    (folder / "pages.toml").write_text(DEFINITION.format(url=url), encoding="utf-8")
    manifest = Manifest(
        name="bench",
        kind="pages",
        title="Bench",
        description="What is measured.",
        url=f"{url}/",
        license_url=f"{url}/",
        contact="bench@example.org",
        maintainer="Crawler Fleet team",
        schedule="0 4 * * 6",
        rate=1000,
        concurrency=CONCURRENCY,
    )
    return lambda: crawl(Source(folder, manifest), folder / "shared").records


def by_hand(url: str, folder: Path) -> Callable[[], int]:
    import scrapy
    from scrapy.crawler import CrawlerProcess

    class Spider(scrapy.Spider):
        name = "bench"
        start_urls = (f"{url}/list/1",)
        allowed_domains = ("127.0.0.1",)

        def parse(self, response: Any) -> Iterator[Any]:
            yield from response.follow_all(css="li.item a", callback=self.parse_item)
            yield from response.follow_all(css="a[rel=next]", callback=self.parse)

        def parse_item(self, response: Any) -> Iterator[Any]:
            yield {
                "_id": response.url.rsplit("/", 1)[-1],
                "@type": "Dataset",
                "name": response.css("h1::text").get().strip(),
                "description": response.css("p.abstract::text").get(),
                "url": response.url,
                "datePublished": response.css("time::attr(datetime)").get(),
                "keywords": response.css("ul.keywords li::text").getall(),
                "author": [
                    {
                        "@type": "Person",
                        "name": author.css(".name::text").get(),
                        "affiliation": author.css(".place::text").get(),
                    }
                    for author in response.css("ul.authors li")
                ],
            }

    def run() -> int:
        settings = {
            "ROBOTSTXT_OBEY": True,
            "DOWNLOAD_DELAY": 0.001,  # as the manifest's rate has it
            "CONCURRENT_REQUESTS": CONCURRENCY,
            "CONCURRENT_REQUESTS_PER_DOMAIN": CONCURRENCY,
            "COOKIES_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "LOG_LEVEL": "ERROR",
            "FEEDS": {str(folder / "data.jl"): {"format": "jsonlines"}},
        }
        process = CrawlerProcess(settings)
        process.crawl(Spider)
        process.start()
        return sum(1 for _ in (folder / "data.jl").open("rb"))

    return run


WAYS: dict[str, Callable[[str, Path], Callable[[], int]]] = {"by definition": by_definition, "by hand": by_hand}


def measure(way: str, url: str, pages: int) -> float:
    """Pages a second, in a process of its own."""
    result = subprocess.run([sys.executable, __file__, "--one", way, url, str(pages)], check=True, capture_output=True)
    return json.loads(result.stdout.splitlines()[-1])


def measure_here(way: str, url: str, pages: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = WAYS[way](url, Path(folder))
        started = time.process_time()
        assert run() == pages
        return pages / (time.process_time() - started)


def main(pages: int = 3000) -> None:
    best = dict.fromkeys(WAYS, 0.0)
    with site(pages) as url:
        for _ in range(RUNS):
            for way in WAYS:
                best[way] = max(best[way], measure(way, url, pages))
    print(f"{pages} pages of 15 KB, a record each, best of {RUNS}, by the processor time of the crawling process:")
    for way, rate in best.items():
        print(f"  {way:14} {rate:8,.0f} pages/s")
    print(f"  by definition is {best['by definition'] / best['by hand']:.2f} times as fast as by hand")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure_here(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main(*map(int, sys.argv[1:]))
