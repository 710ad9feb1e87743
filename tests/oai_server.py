"""An OAI-PMH server on loopback that does as the standard says, or is as hostile as it is told to be."""

import gzip
import socket
import struct
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

START = int(datetime(2024, 3, 5, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Item:
    """A record. ``at``: its datestamp, in seconds since 1970."""

    identifier: str
    at: int
    deleted: bool = False
    sets: tuple[str, ...] = ()
    title: str = "A title"


@dataclass
class Fault:
    """What to do instead of answering well.

    ``status``: answer so, with these headers; ``reset``: end the connection; ``body``: send this instead; ``cut``: promise more bytes
    than are sent; ``cut_gzip``: compress, and send half of it.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    body: bytes | None = None
    cut: bool = False
    cut_gzip: bool = False


Arguments = dict[str, str]
# Sees the arguments, the page of items that would be given (GetRecord: one), and how often the same was asked before.
Hostile = Callable[[Arguments, list[Item], int], Fault | None]


class OaiServer:
    """``items`` may be changed while it runs, by ``put``. ``seen``: the arguments of each request, in order.

    ``hostile``: asked before each answer; ``token``: makes the token for the next page from (page's end, arguments) and may lie;
    ``skip``: so many records are left out at each turn of a page; ``sizes``: whether completeListSize and cursor are given;
    ``now``: the server's clock; ``expires``: whether a token is good once only, and only so many in a row.
    """

    def __init__(self, items: list[Item], *, page: int = 100, seconds: bool = True, sizes: bool = True) -> None:
        self.page = page
        self.seconds = seconds
        self.sizes = sizes
        self.skip = 0
        self.list_size_factor = 1.0
        self.tokens_in_a_row = 0
        self.loop_at = -1
        self.delay_seconds = 0.0
        self.now: Callable[[], int] = lambda: START + 400 * 86400
        self.earliest = "2000-01-01T00:00:00Z"
        self.hostile: Hostile = lambda arguments, page, times: None
        self.seen: list[Arguments] = []
        self.broken: set[str] = set()
        self.url = ""
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.put(items)

    def put(self, items: list[Item]) -> None:
        self.items = sorted(items, key=lambda item: (item.at, item.identifier))
        self.by_identifier = {item.identifier: item for item in self.items}
        self._dates = [item.at for item in self.items]

    @property
    def requests(self) -> int:
        return len(self.seen)

    def answer(self, arguments: Arguments) -> tuple[bytes, Fault | None]:
        with self._lock:
            self.seen.append(arguments)
            key = repr(sorted(arguments.items()))
            self._times[key] += 1
            times = self._times[key] - 1
        verb = arguments.get("verb", "")
        if verb == "Identify":
            return self._identify(), self.hostile(arguments, [], times)
        if verb == "GetRecord":
            item = self.by_identifier.get(arguments.get("identifier", ""))
            if item is None:
                return self._error("idDoesNotExist"), None
            return self._list("GetRecord", [item], ""), self.hostile(arguments, [item], times)
        if verb in ("ListRecords", "ListIdentifiers"):
            return self._page(verb, arguments, times)
        if verb == "ListMetadataFormats":
            body = "<metadataFormat><metadataPrefix>oai_dc</metadataPrefix></metadataFormat>"
            return self._answer(f"<{verb}>{body}</{verb}>"), None
        return self._error("badVerb"), None

    def _page(self, verb: str, arguments: Arguments, times: int) -> tuple[bytes, Fault | None]:
        if token := arguments.get("resumptionToken"):
            try:
                number, start, until, wanted_set, turn = unquote(token).split("/")
            except ValueError:
                return self._error("badResumptionToken"), None
            if self.tokens_in_a_row and int(turn) > self.tokens_in_a_row:
                return self._error("badResumptionToken"), None
        else:
            if arguments.get("metadataPrefix") != "oai_dc":
                return self._error("cannotDisseminateFormat"), None
            number, start, until, turn = "0", arguments.get("from", ""), arguments.get("until", ""), "0"
            wanted_set = arguments.get("set", "")
            if any(value and (len(value) > 10) > self.seconds for value in (start, until)):
                return self._error("badArgument"), None
        low = bisect_left(self._dates, _moment(start, False)) if start else 0
        high = bisect_right(self._dates, _moment(until, True)) if until else len(self.items)
        found = self.items[low:high]
        if wanted_set:
            found = [item for item in found if wanted_set in item.sets]
        if not found:
            return self._error("noRecordsMatch"), None
        first = int(number)
        page = found[first : first + self.page]
        after = first + self.page + self.skip
        if self.loop_at >= 0 and int(turn) >= self.loop_at:
            after = first
        text = ""
        if after < len(found):
            text = quote(f"{after}/{start}/{until}/{wanted_set}/{int(turn) + 1}", safe="")
        attributes = ""
        if self.sizes:
            attributes = f' completeListSize="{int(len(found) * self.list_size_factor)}" cursor="{first}"'
        whole = len(found) <= self.page
        element = "" if whole else f"<resumptionToken{attributes}>{text}</resumptionToken>"
        return self._list(verb, page, element), self.hostile(arguments, page, times)

    def _list(self, verb: str, page: list[Item], token: str) -> bytes:
        write = self._header if verb == "ListIdentifiers" else self._record
        return self._answer(f"<{verb}>{''.join(write(item) for item in page)}{token}</{verb}>")

    def _header(self, item: Item) -> str:
        status = ' status="deleted"' if item.deleted else ""
        sets = "".join(f"<setSpec>{name}</setSpec>" for name in item.sets)
        return (
            f"<header{status}><identifier>{escape(item.identifier)}</identifier><datestamp>{self._date(item.at)}</datestamp>"
            f"{sets}</header>"
        )

    def _record(self, item: Item) -> str:
        if item.deleted:
            return f"<record>{self._header(item)}</record>"
        title = f"{escape(item.title)}</dc:oops>" if item.identifier in self.broken else escape(item.title)
        return (
            f'<record>{self._header(item)}<metadata><oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
            f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title>'
            f"<dc:identifier>https://repository.invalid/{escape(item.identifier)}</dc:identifier></oai_dc:dc></metadata></record>"
        )

    def _identify(self) -> bytes:
        granularity = "YYYY-MM-DDThh:mm:ssZ" if self.seconds else "YYYY-MM-DD"
        earliest = self.earliest if self.seconds else self.earliest[:10]
        return self._answer(
            f"<Identify><repositoryName>Test</repositoryName><baseURL>{self.url}</baseURL><protocolVersion>2.0</protocolVersion>"
            f"<adminEmail>a@example.org</adminEmail><earliestDatestamp>{earliest}</earliestDatestamp>"
            f"<deletedRecord>persistent</deletedRecord><granularity>{granularity}</granularity></Identify>"
        )

    def _error(self, code: str) -> bytes:
        return self._answer(f'<error code="{code}">No.</error>')

    def _answer(self, content: str) -> bytes:
        now = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
            f"<responseDate>{now}</responseDate><request>{self.url}</request>{content}</OAI-PMH>"
        ).encode()

    def _date(self, at: int) -> str:
        text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return text if self.seconds else text[:10]


def items(count: int, *, every: int = 1, start: int = START, prefix: str = "oai:test:") -> list[Item]:
    """``count`` records, one every so many seconds."""
    return [Item(f"{prefix}{number:06d}", start + number * every, title=f"Title {number}") for number in range(count)]


@contextmanager
def serve_oai(server: OaiServer, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[OaiServer]:
    """Serve, by default on a free loopback port."""

    class Handler(_Handler):
        oai = server

    running = _Server(address, Handler)
    server.url = f"http://{address[0]}:{running.server_port}/oai"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def _moment(text: str, end: bool) -> int:
    if len(text) == 10:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) + (86399 if end else 0)
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that are killed are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    oai: OaiServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self._answer(path, query)

    def do_POST(self) -> None:
        self._answer(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, path: str, query: str) -> None:
        if path == "/robots.txt":
            self._send(404, {}, b"none")
            return
        arguments = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if self.oai.delay_seconds:
            time.sleep(self.oai.delay_seconds)
        body, fault = self.oai.answer(arguments)
        if fault is None:
            self._send(200, {"Content-Type": "text/xml"}, body)
        elif fault.reset:
            # A linger time of 0: the connection ends by RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif fault.cut_gzip:
            packed = gzip.compress(body)
            self._send(200, {"Content-Encoding": "gzip"}, packed[: len(packed) // 2])
        elif fault.cut:
            self._send(200, {}, body[: len(body) // 2], promised=len(body))
            self.close_connection = True
        else:
            self._send(fault.status or 200, fault.headers, body if fault.body is None else fault.body)

    def _send(self, status: int, headers: dict[str, str], body: bytes, promised: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read ``seen``."""
