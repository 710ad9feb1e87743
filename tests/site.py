"""A real HTTP server on loopback that can misbehave, and remembers what it was asked for."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer of the site.

    ``fault``: empty, or ``reset`` (the connection is reset), ``truncate`` (the body ends early), ``hang`` (nothing comes
    until the site is closed), ``stall`` (half of the body comes, and then nothing more). ``gate``: what it waits for first.
    """

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    type: str = "text/html; charset=utf-8"
    gate: threading.Event | None = None


@dataclass(frozen=True)
class Seen:
    """A request that arrived. ``at``: by the monotonic clock."""

    path: str
    host: str
    user_agent: str
    at: float


class Site:
    """``pages``: by path with query, the answers one after the other; the last one stays. Anything else is not found."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Answer]] = {}
        self.seen: list[Seen] = []
        self.url = ""
        self.port = 0
        self.closing = threading.Event()
        self._changed = threading.Condition()

    def put(self, path: str, *answers: Answer | str) -> None:
        self.pages[path] = [answer if isinstance(answer, Answer) else Answer(answer) for answer in answers]

    def paths(self) -> list[str]:
        """What was asked for, in order, robots.txt left out."""
        return [seen.path for seen in self.seen if seen.path != "/robots.txt"]

    def wait_for(self, path: str, timeout_seconds: float = 60) -> None:
        """Wait until ``path`` was asked for."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: any(seen.path == path for seen in self.seen), timeout_seconds)
        assert arrived, f"{path} was not asked for within {timeout_seconds} s, only {self.paths()}"

    def take(self, seen: Seen) -> Answer:
        """The answer to a request that arrived."""
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()
            answers = self.pages.get(seen.path, [Answer("There is no such page.", 404)])
            return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def serve_site(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A site on a free loopback port."""
    site = Site()

    class Handler(_Handler):
        pass

    Handler.site = site
    server = _Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.port = server.server_port
    site.url = f"http{'s' if tls else ''}://127.0.0.1:{site.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that goes away, or doesn't trust us, is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = self.headers
        seen = Seen(self.path, headers.get("Host", ""), headers.get("User-Agent", ""), time.monotonic())
        answer = self.site.take(seen)
        body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
        if answer.gate:
            answer.gate.wait()
        if answer.fault == "hang":
            self.site.closing.wait()
        if answer.fault in ("hang", "reset"):
            # A linger time of 0: the connection ends by RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.type, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (100 if answer.fault == "truncate" else 0)))
        self.end_headers()
        if answer.fault == "stall":
            self.wfile.write(body[: len(body) // 2])
            self.site.closing.wait()
            self.close_connection = True
            return
        self.wfile.write(body)
        if answer.fault == "truncate":
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read ``seen``."""
