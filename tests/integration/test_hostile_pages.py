"""Pages that try to lead a crawl where it has no business, or to drown it, through the real command and real servers."""

import http.server
import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command import Fleet
from tests.site import Answer, Site, serve_site

SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["START/list"]

        def parse(self, response):
            for link in response.css("a::attr(href)").getall():
                yield scrapy.Request(response.urljoin(link), self.parse_item)

        def parse_item(self, response):
            yield {"_id": response.url.rsplit("/", 1)[-1], "size": len(response.body)}
"""
HARVESTER = """
    import json

    def parse(api):
        for path in api.get_json("START/list"):
            answer = api.get(path, required=False)
            if answer is not None:
                yield {"_id": path.rsplit("/", 1)[-1], "size": len(answer.content)}
"""
# A resolver of the test's own: names of example.org are on loopback, as an attacker's may be.
RESOLVER = """
import socket
original, by_name = socket.getaddrinfo, socket.gethostbyname
def ours(host):
    return "127.0.0.1" if isinstance(host, str) and host.endswith("example.org") else host
socket.getaddrinfo = lambda host, *args, **options: original(ours(host), *args, **options)
socket.gethostbyname = lambda host: by_name(ours(host))
"""
FLOOD = ("/honest", "/endless", "/bomb", "/good")
METADATA = "http://169.254.169.254/latest/meta-data/"
KINDS = pytest.mark.parametrize("kind", ["scrapy", "api"])


@pytest.fixture
def elsewhere() -> Iterator[Site]:
    """Another server, which nothing may be asked of."""
    with serve_site() as site:
        yield site


@pytest.fixture
def resolver(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "resolver").mkdir()
    (tmp_path / "resolver/sitecustomize.py").write_text(RESOLVER)
    return {"PYTHONPATH": f"{tmp_path / 'resolver'}:{Path.cwd()}"}


def put_list(site: Site, kind: str, *links: str) -> None:
    html = "".join(f'<a href="{link}">x</a>' for link in links)
    site.put("/list", Answer(json.dumps(links), type="application/json") if kind == "api" else html)


def write(fleet: Fleet, kind: str, start: str = "http://site.invalid", **manifest: Any) -> None:
    code = {"scrapy": SPIDER, "api": HARVESTER}[kind]
    fleet.write_source("little", kind, code.replace("START", start), **{"error_budget": 1, **manifest})


def redirect(target: str) -> Answer:
    return Answer(status=302, headers={"Location": target})


def crawl(fleet: Fleet, *options: str, **environment: str) -> dict[str, int]:
    """The errors by class, of a crawl that published."""
    done = fleet.run("crawl", "little", *options, **environment)
    assert done.returncode == 0, done.stderr
    return {kind: error["count"] for kind, error in fleet.description("little")["errors"].items()}


@KINDS
def test_no_redirect_leads_to_a_private_address_or_another_site(
    fleet: Fleet, site: Site, elsewhere: Site, kind: str
) -> None:
    targets = {
        "loopback": elsewhere.url,
        "metadata": METADATA,
        "mapped": f"http://[::ffff:127.0.0.1]:{elsewhere.port}/",
        "odd": f"http://127.1:{elsewhere.port}/",
        "offsite": "http://elsewhere.invalid/",
        "file": "file:///etc/passwd",
    }
    write(fleet, kind)
    put_list(site, kind, *(f"http://site.invalid/{name}" for name in targets), "http://site.invalid/good")
    for name, target in targets.items():
        site.put(f"/{name}", redirect(target))
    site.put("/good", "good")
    errors = crawl(fleet, "--base-url", site.url)
    assert errors["address"] == 4
    assert sum(errors.values()) == 6
    assert elsewhere.seen == []
    assert set(site.paths()) == {"/list", "/good", *(f"/{name}" for name in targets)}
    assert [record["_id"] for record in fleet.records("little")] == ["little_good"]
    assert {reject["url"] for reject in fleet.rejects("little")} >= {f"http://site.invalid/{name}" for name in targets}


@KINDS
def test_a_name_that_resolves_to_a_private_address_is_not_connected_to(
    fleet: Fleet, site: Site, resolver: dict[str, str], kind: str
) -> None:
    start = f"http://site.example.org:{site.port}"
    trap = f"http://trap.site.example.org:{site.port}/trap"
    write(fleet, kind, start, url=start, private_hosts=["site.example.org"])
    put_list(site, kind, trap, f"{start}/moved", f"{start}/good")
    site.put("/moved", redirect(f"{trap}/moved"))
    site.put("/trap", "secret")
    site.put("/good", "good")
    errors = crawl(fleet, **resolver)
    assert errors["address"] == 2
    assert set(site.paths()) == {"/list", "/moved", "/good"}
    assert [record["_id"] for record in fleet.records("little")] == ["little_good"]


@KINDS
def test_a_site_that_is_itself_at_a_private_address_needs_the_manifest_s_word(
    fleet: Fleet, site: Site, resolver: dict[str, str], kind: str
) -> None:
    start = f"http://site.example.org:{site.port}"
    write(fleet, kind, start, url=start)
    put_list(site, kind, f"{start}/good")
    done = fleet.run("crawl", "little", **resolver)
    assert done.returncode == 1
    assert "private_hosts" in done.stderr
    assert site.seen == []


def test_links_of_other_schemes_and_private_addresses_cost_nothing_but_a_count(
    fleet: Fleet, site: Site, elsewhere: Site
) -> None:
    write(fleet, "scrapy", error_budget=0)
    put_list(site, "scrapy", "file:///etc/passwd", "ftp://site.invalid/x", METADATA, f"{elsewhere.url}/", "/good")
    site.put("/good", "good")
    errors = crawl(fleet, "--base-url", site.url)
    assert errors == {"scheme": 2, "address": 2}
    assert elsewhere.seen == []
    assert len(fleet.records("little")) == 1


def test_a_javascript_link_that_the_code_follows_is_counted_and_costs_its_page_alone(fleet: Fleet, site: Site) -> None:
    write(fleet, "scrapy")
    code = (fleet.sources / "little/spider.py").read_text()
    (fleet.sources / "little/spider.py").write_text(
        code.replace('start_urls = ["', 'start_urls = ["http://site.invalid/other", "')
    )
    put_list(site, "scrapy", "/good")
    site.put("/other", '<a href="javascript:alert(1)">x</a>')
    site.put("/good", "good")
    assert crawl(fleet, "--base-url", site.url) == {"scheme": 1}
    assert len(fleet.records("little")) == 1


@KINDS
def test_a_redirect_within_the_site_is_followed(fleet: Fleet, site: Site, kind: str) -> None:
    write(fleet, kind, hosts=["cdn.invalid"])
    put_list(site, kind, "http://site.invalid/1", "http://site.invalid/2")
    site.put("/1", redirect("http://www.site.invalid/good"))
    site.put("/2", redirect("http://cdn.invalid/fine"))
    site.put("/good", "good")
    site.put("/fine", "fine")
    assert crawl(fleet, "--base-url", site.url) == {}
    assert len(fleet.records("little")) == 2


@contextmanager
def serve_flood(kind: str) -> Iterator[str]:
    """A server whose pages are 1 GB, in one way or another: honest, without a length, or unpacked from 1 MB."""
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(1 << 10)), packer.flush()])
    html = "".join(f'<a href="{path}">x</a>' for path in FLOOD)
    listing = json.dumps([f"http://site.invalid{path}" for path in FLOOD]) if kind == "api" else html

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path in ("/list", "/good"):
                self.answer(listing.encode() if self.path == "/list" else b"good", {})
            elif self.path == "/robots.txt":
                self.answer(b"", {})
            elif self.path == "/bomb":
                self.answer(bomb, {"Content-Encoding": "gzip"})
            else:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                if self.path == "/honest":
                    self.send_header("Content-Length", str(1 << 30))
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                for _ in range(1 << 10):
                    self.wfile.write(bytes(1 << 20))

        def answer(self, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@KINDS
def test_answers_of_a_gigabyte_are_refused_in_bounded_memory(fleet: Fleet, kind: str) -> None:
    write(fleet, kind)
    with serve_flood(kind) as base_url, fleet.start("crawl", "little", "--base-url", base_url) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _peak_memory_mb(process.pid))
            time.sleep(0.05)
        _, said = process.communicate()
    assert process.returncode == 0, said
    errors = fleet.description("little")["errors"]
    assert {name: error["count"] for name, error in errors.items()} == {"too_large": 3}
    assert [record["_id"] for record in fleet.records("little")] == ["little_good"]
    assert 0 < peak < 700


def _peak_memory_mb(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) >> 10 if found else 0
