"""Requests to one server, from several threads at once, in turn: connections kept, bodies whole or an error."""

import threading
import time
import zlib
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import urllib3

from crawlers.runtime import http
from crawlers.runtime.failures import failure_class
from crawlers.runtime.tally import Tally

_REDIRECTS = 5
_REDIRECT_STATUSES = (301, 302, 303, 307, 308)
_READ_BYTES = 1 << 18
_GZIP = b"\x1f\x8b"


class TransportError(Exception):
    """No answer came, or not all of it. ``kind``: its class (see ``tally.ADVICE``)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: ``body`` decompressed; ``wait_seconds``: what Retry-After asks for, None where it doesn't."""

    url: str
    status: int
    body: bytes
    wait_seconds: float | None = None


class Transport:
    """Sends requests; counts them in ``tally``.

    :param rate: requests per second, at most, of all threads together; 0: as fast as answers come.
    :param connections: how many are kept.
    :param base_url: where requests go instead of the real host; empty: to it.
    """

    def __init__(
        self,
        user_agent: str,
        tally: Tally,
        *,
        rate: float = 0.0,
        connections: int = 1,
        base_url: str = "",
        timeout_seconds: float = 60.0,
    ) -> None:
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"}
        self.user_agent = user_agent
        self._pool = urllib3.PoolManager(
            maxsize=connections, block=False, retries=False, timeout=urllib3.Timeout(timeout_seconds)
        )
        self._tally = tally
        self._rate = rate
        self._base_url = base_url
        self._lock = threading.Lock()
        self._next_at = 0.0
        self.stopping = threading.Event()

    def send(self, url: str, form: str = "") -> Response:
        """The answer to a GET of ``url``, whatever its status; ``form``: sent by POST, if not empty.

        :raises TransportError: none came, or not whole.
        """
        for _ in range(_REDIRECTS + 1):
            response, location = self._send_once(url, form)
            if not location:
                return response
            url = urljoin(url, location)
            form = form if response.status in (307, 308) else ""
            if not http.is_http_url(url):
                raise TransportError("http", f"redirected to {location[:200]!r}, which is no URL")
        raise TransportError("http", f"redirected more than {_REDIRECTS} times, last to {url}")

    def pause(self, seconds: float) -> None:
        """Wait out of politeness, unless the harvest is stopping."""
        self._tally.wait(seconds)
        self.stopping.wait(seconds)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _send_once(self, url: str, form: str) -> tuple[Response, str]:
        self._wait_for_turn()
        with self._lock:
            self._tally.ask(url)
        headers = self._headers
        if form:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = self._pool.request(
                "POST" if form else "GET",
                http.rebase(url, self._base_url),
                body=form or None,
                headers=headers,
                preload_content=False,
                redirect=False,
            )
            with reply:
                body = self._read(reply)
                if not reply.closed:
                    reply.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise TransportError(failure_class(error), f"{type(error).__name__}: {error}") from error
        except (OSError, ValueError) as error:
            raise TransportError("connection", f"{type(error).__name__}: {error}") from error
        finally:
            with self._lock:
                self._tally.leave(url)
        with self._lock:
            self._tally.answer(url)
        wait = http.retry_after_seconds(reply.headers.get("Retry-After"), time.time())
        location = reply.headers.get("Location", "") if reply.status in _REDIRECT_STATUSES else ""
        body = _decompress(body, reply.headers.get("Content-Encoding", ""))
        return Response(url, reply.status, body, wait), location

    def _read(self, reply: urllib3.BaseHTTPResponse) -> bytes:
        parts = []
        size = 0
        while part := reply.read(_READ_BYTES, decode_content=False):
            parts.append(part)
            size += len(part)
            with self._lock:
                self._tally.received_bytes += len(part)
            _check_size(size)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wait_for_turn(self) -> None:
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._next_at, now)
            self._next_at = turn + 1 / self._rate
        if turn > now:
            self.pause(turn - now)


def _decompress(body: bytes, encoding: str) -> bytes:
    """The body as text. It goes by what it looks like, since servers and proxies name it wrongly."""
    if body.startswith(_GZIP):
        return _inflate(body, 31)
    if encoding.strip().lower() == "deflate" and not body.lstrip().startswith(b"<"):
        try:
            return _inflate(body, 15)
        except TransportError:
            return _inflate(body, -15)  # without the header that the standard asks for
    return body


def _inflate(body: bytes, window_bits: int) -> bytes:
    parts = []
    size = 0
    try:
        while body:
            inflater = zlib.decompressobj(window_bits)
            part = inflater.decompress(body, http.MAX_BODY_BYTES - size + 1)
            parts.append(part)
            size += len(part)
            _check_size(size)
            if not inflater.eof:
                raise TransportError("connection", f"the compressed body ends early, after {size} bytes of text")
            body = inflater.unused_data if inflater.unused_data.startswith(_GZIP) else b""
    except zlib.error as error:
        raise TransportError("connection", f"the body can't be decompressed: {error}") from error
    return b"".join(parts)


def _check_size(size: int) -> None:
    if size > http.MAX_BODY_BYTES:
        raise TransportError("too_large", f"more than {http.MAX_BODY_BYTES >> 20} MiB")


def origin(url: str) -> str:
    """Scheme and host of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
