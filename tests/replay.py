"""A server on loopback that gives recorded answers: what a site said once, said again.

It goes by path and query alone, since `fleet crawl --base-url` replaces the host. Recorded exchanges are folders with an
``index.json``: ``exchanges``, a list of ``method``, ``url``, ``status``, ``headers`` (name: list of values), ``body_file`` and
``body_wire_encoding`` (``gzip`` where the file holds the bytes as they went over the wire).
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

# Of the recorded headers those that bear on how an answer is read; the server says the others itself.
_KEPT_HEADERS = {"content-type", "content-encoding", "location", "retry-after", "last-modified", "etag", "link"}


class Answer(NamedTuple):
    """What is given to a request: HTTP status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Replay:
    """A running server. ``requests`` counts them by path and query, as they were sent."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.requests: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All requests but those for robots.txt."""
        return self.requests.total() - self.requests["/robots.txt"]


def answer(body: bytes | str, content_type: str = "text/html; charset=utf-8", status: int = 200) -> Answer:
    """An answer with this body."""
    return Answer(status, {"Content-Type": content_type}, body.encode() if isinstance(body, str) else body)


def sitemap(urls: list[str]) -> Answer:
    """A sitemap that names these URLs, for where only the pages were recorded."""
    entries = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    return answer(
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>',
        "application/xml",
    )


def read_exchanges(folder: Path) -> dict[str, Answer]:
    """The recorded exchanges in ``folder``, by URL; the last one of a URL counts."""
    answers = {}
    for exchange in json.loads((folder / "index.json").read_text(encoding="utf-8"))["exchanges"]:
        headers = {
            name: ", ".join(values) for name, values in exchange["headers"].items() if name.lower() in _KEPT_HEADERS
        }
        if exchange.get("body_wire_encoding") == "gzip":
            headers = {name: value for name, value in headers.items() if name.lower() != "content-encoding"}
            headers["Content-Encoding"] = "gzip"
        body = (folder / exchange["body_file"]).read_bytes() if exchange.get("body_file") else b""
        answers[exchange["url"]] = Answer(exchange["status"], headers, body)
    return answers


@contextmanager
def replay(answers: Mapping[str, Answer]) -> Iterator[Replay]:
    """Serve ``answers``, by URL, on a free loopback port; anything else is answered by 404."""
    by_path = {_key(url): answer for url, answer in answers.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = (
            "HTTP/1.1"  # 1.0 ends each connection without saying so, and Twisted takes it for one to keep
        )

        def do_GET(self) -> None:
            running.requests[self.path] += 1
            missing = answer(f"Nothing was recorded for {self.path}\n", "text/plain", 404)
            status, headers, body = by_path.get(_key(self.path), missing)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test says what it asked for."""

    server = _Server(("127.0.0.1", 0), Handler)
    running = Replay(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # crawls open dozens of connections at once; of more than these, the system drops some


def _key(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    parts = urlsplit(url)
    return parts.path or "/", tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
