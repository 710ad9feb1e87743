"""An OAI-PMH server on loopback for the benchmark: records of Dublin Core like those of PubMed Central, answered from memory."""

import threading
import time
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_WORDS = "the gluteus medius showed no significant difference in muscle activity among different gait speeds in healthy adults "
_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
    b"<responseDate>2026-01-01T00:00:00Z</responseDate><request>http://127.0.0.1/oai</request>"
)
_IDENTIFY = (
    b"<Identify><repositoryName>Bench</repositoryName><baseURL>http://127.0.0.1/oai</baseURL>"
    b"<protocolVersion>2.0</protocolVersion><adminEmail>a@example.org</adminEmail>"
    b"<earliestDatestamp>2020-01-01T00:00:00Z</earliestDatestamp><deletedRecord>no</deletedRecord>"
    b"<granularity>YYYY-MM-DDThh:mm:ssZ</granularity></Identify>"
)


class Repository:
    """``count`` records, as far apart as six years have room; above 200,000 they are made when they are asked for."""

    def __init__(self, count: int, page_size: int) -> None:
        self.page_size = page_size
        self._apart = timedelta(seconds=6 * 365 * 86400 // count)
        self.dates = [self._date(number) for number in range(count)]
        self._kept = [self._record(number) for number in range(count)] if count <= 200_000 else None

    def page(self, low: int, high: int, offset: int) -> bytes:
        end = min(offset + self.page_size, high)
        records = self._kept[offset:end] if self._kept else [self._record(number) for number in range(offset, end)]
        if not records:
            return b'<error code="noRecordsMatch">nothing</error>'
        size = f'completeListSize="{high - low}" cursor="{offset - low}"'
        token = f"<resumptionToken {size}>{low}.{high}.{end}</resumptionToken>" if end < high else ""
        return b"<ListRecords>" + b"".join(records) + token.encode() + b"</ListRecords>"

    def bounds(self, start: str, until: str) -> tuple[int, int]:
        low = bisect_left(self.dates, start) if start else 0
        high = (
            bisect_right(self.dates, until + ("T23:59:59Z" if len(until) == 10 else "")) if until else len(self.dates)
        )
        return low, high

    def _date(self, number: int) -> str:
        return (_EPOCH + number * self._apart).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _record(self, number: int) -> bytes:
        pmc, day = 3_000_000 + number, self.dates[number][:10]
        creators = "".join(f"<dc:creator>Surname{number % 97 + k}, Given Name {k}</dc:creator>\n" for k in range(5))
        return (
            f"<record><header><identifier>oai:bench.example.org:{pmc}</identifier><datestamp>{self.dates[number]}</datestamp>"
            f"<setSpec>set{number % 50}</setSpec></header><metadata>"
            '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
            f"<dc:title>Muscle activity of the gluteus medius at speed {number}</dc:title>\n{creators}"
            f"<dc:subject>Original Article</dc:subject>\n<dc:description>{_WORDS * 6}</dc:description>\n"
            f"<dc:publisher>The Society of Physical Therapy</dc:publisher>\n<dc:date>{day}</dc:date>\n"
            f"<dc:identifier>http://www.ncbi.nlm.nih.gov/pmc/articles/PMC{pmc}/</dc:identifier>\n"
            f"<dc:identifier>http://www.ncbi.nlm.nih.gov/pubmed/{pmc + 7}</dc:identifier>\n"
            f"<dc:identifier>http://dx.doi.org/10.5555/jpts.{number}</dc:identifier>\n"
            "<dc:type>Text</dc:type>\n<dc:language>en</dc:language>\n"
            "<dc:rights>http://creativecommons.org/licenses/by-nc-nd/3.0/</dc:rights>\n</oai_dc:dc></metadata></record>"
        ).encode()


def serve(count: int, page_size: int, delay_seconds: float) -> None:
    """Serve until the process is ended; says its port on standard output."""
    repository = Repository(count, page_size)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != "/oai":
                self._answer(404, b"")
                return
            time.sleep(delay_seconds)
            query = dict(parse_qsl(parts.query))
            if query.get("verb") == "Identify":
                body = _IDENTIFY
            elif token := query.get("resumptionToken"):
                body = repository.page(*map(int, token.split(".")))
            else:
                low, high = repository.bounds(query.get("from", ""), query.get("until", ""))
                body = repository.page(low, high, low)
            self._answer(200, _HEAD + body + b"</OAI-PMH>")

        def _answer(self, status: int, body: bytes) -> None:
            head = f"HTTP/1.1 {status} -\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    threading.current_thread().name = "server"
    server.serve_forever()
