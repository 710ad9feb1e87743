"""A demonstration gallery with pictures, served on loopback.

``python crawlers/sources/demo_images/site.py [PORT]`` serves it to a browser.
"""

import contextlib
import re
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CORES = 6
WIDTH, HEIGHT = 60, 160
PAGE = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n<h1>{title}</h1>\n{body}\n</html>\n'


@contextlib.contextmanager
def serve(port: int = 0) -> Iterator[str]:
    """Serve the site on a loopback port, by default a free one; gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(path: str) -> tuple[int, str, bytes]:
    """Status, content type and body of what lies at ``path``."""
    if path in ("/", "/cores"):
        links = "\n".join(f'<li><a href="/cores/{number}">Core {number}</a>' for number in range(1, CORES + 1))
        return (
            200,
            "text/html; charset=utf-8",
            PAGE.format(title="Sediment cores", body=f"<ul>\n{links}\n</ul>").encode(),
        )
    if found := re.fullmatch(rf"/cores/([1-{CORES}])", path):
        pictures = "".join(
            f'<img src="/pictures/{found[1]}-{part}.png" alt="{part} part">\n' for part in ("upper", "lower")
        )
        report = f'<a class="report" href="/reports/{found[1]}.pdf">Report</a>'
        return 200, "text/html; charset=utf-8", PAGE.format(title=f"Core {found[1]}", body=pictures + report).encode()
    if found := re.fullmatch(rf"/pictures/([1-{CORES}])-(upper|lower)\.png", path):
        return 200, "image/png", _picture(int(found[1]) + 10 * (found[2] == "lower"))
    if re.fullmatch(rf"/reports/[1-{CORES}]\.pdf", path):
        return 200, "application/pdf", f"%PDF-1.4\n% The report of {path}, which has no page.\n%%EOF\n".encode()
    return 404, "text/plain", b"There is no such page.\n"


def _picture(seed: int) -> bytes:
    """A PNG of brown layers."""
    rows = []
    for row in range(HEIGHT):
        shade = (row // 8 * seed * 37) % 90
        rows.append(b"\0" + bytes((90 + shade, 60 + shade, 30 + shade // 2)) * WIDTH)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


class _Handler(BaseHTTPRequestHandler):
    # 1.0 ends each connection without saying so; Twisted takes it for one to keep, and now and then a request fails.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, kind, body = answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the crawl's own log says what was asked for."""


if __name__ == "__main__":
    with serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as address, contextlib.suppress(KeyboardInterrupt):
        print(f"The demonstration gallery is at {address}/cores — Ctrl-C ends it.", flush=True)
        threading.Event().wait()
