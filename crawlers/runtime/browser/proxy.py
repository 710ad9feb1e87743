"""The only way out of a browser: a proxy on loopback that lets it reach the site, and nothing else.

Chromium asks for scripts, data and fonts by itself, from any host that a page names. Here each connection is looked at as all others
of the crawl are: the host must be the site's (or one that ``[browser] hosts`` adds), its address no private one. With a base URL
all of it goes there instead, and the browser sees the real URLs all the same; https ends in this proxy then.
"""

import asyncio
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crawlers.runtime import http
from crawlers.runtime.addresses import Addresses, ForbiddenUrlError, Hosts
from crawlers.runtime.failures import failure_class

_HEAD_BYTES = 1 << 16
_CONNECT_SECONDS = 30
# A connection carries the answers to many requests, scripts among them.
_CONNECTION_BYTES = 4 * http.MAX_PAGE_BYTES
# Where Chromium is told to send what it asks for by itself, so that it isn't mistaken for a wish of a page.
BROWSER_S_OWN = "browser.invalid"
# The same, and Debian's start page, for versions that don't listen to that.
_UNCOUNTED = frozenset(
    {BROWSER_S_OWN, "accounts.google.com", "clients2.google.com", "update.googleapis.com", "start.duckduckgo.com"}
)
_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class OffsiteError(Exception):
    """The host is not the site's."""


class GuardProxy:
    """A proxy for browsers, in a thread of its own. ``refused``: how often which host was refused, by class of error and host."""

    def __init__(self, addresses: Addresses, hosts: Hosts, base_url: str = "") -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        self._addresses = addresses
        self._hosts = hosts
        self._base = urlsplit(base_url)
        self._tls = _own_certificate() if base_url else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="browser-proxy", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            pass  # the browser sees a connection that ends
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, head = _read_head(await reader.readuntil(b"\r\n\r\n"))
        place = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = place.hostname or "", place.port or 80
        try:
            upstream = await self._connect(host, port)
        except (ForbiddenUrlError, OffsiteError) as error:
            kind = "offsite" if isinstance(error, OffsiteError) else failure_class(error)
            if host not in _UNCOUNTED:
                self.refused[kind, host] += 1
            writer.write(_REFUSED)
            await writer.drain()
            return
        up_reader, up_writer = upstream
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                if self._tls:
                    await writer.start_tls(self._tls)
                    method, target, head = _read_head(await reader.readuntil(b"\r\n\r\n"))
                    up_writer.write(self._rewritten(method, target, head))
            else:
                up_writer.write(self._rewritten(method, target, head))
            await _relay(reader, writer, up_reader, up_writer)
        finally:
            up_writer.close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the host, or to the base URL in its place.

        :raises OffsiteError: it is not the site's. :raises ForbiddenUrlError: its address is private. :raises OSError: not reached.
        """
        if host not in self._hosts:
            raise OffsiteError(host)
        self._addresses.check_url(f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/")
        if self._base.hostname:
            secure = self._base.scheme == "https"
            base_port = self._base.port or (443 if secure else 80)
            options = {"ssl": ssl.create_default_context()} if secure else {}
            opened = asyncio.open_connection(self._base.hostname, base_port, **options)  # type: ignore[arg-type]
            return await asyncio.wait_for(opened, _CONNECT_SECONDS)
        failure: OSError = OSError(f"{host} has no address")
        for address in await self._loop.run_in_executor(None, self._addresses.resolve, host, port):
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, port), _CONNECT_SECONDS)
            except OSError as error:
                failure = error
        raise failure

    def _rewritten(self, method: str, target: str, head: list[bytes]) -> bytes:
        """A request as servers expect it. One request a connection: so the next one is looked at, too."""
        parts = urlsplit(target)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = self._base.netloc or parts.netloc
        kept = [
            line
            for line in head
            if line.partition(b":")[0].strip().lower() not in (b"host", b"connection", b"proxy-connection")
        ]
        first = f"{method} {self._base.path}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        return first.encode("latin-1") + b"".join(line + b"\r\n" for line in kept) + b"\r\n"


def _read_head(head: bytes) -> tuple[str, str, list[bytes]]:
    """Method, target and header lines of a request. :raises ValueError: it is none."""
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.decode("latin-1").split(" ")
    return method, target, [line for line in lines if line]


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
) -> None:
    """Pass on what comes from either side, until one of them ends."""
    ways = {asyncio.create_task(_copy(reader, up_writer)), asyncio.create_task(_copy(up_reader, writer))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    left = _CONNECTION_BYTES
    while left > 0 and (block := await reader.read(1 << 16)):
        left -= len(block)
        writer.write(block)
        await writer.drain()


def _own_certificate() -> ssl.SSLContext:
    """TLS with a certificate of our own, of this moment: with a base URL, https ends here, and the browser is told not to mind."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "crawler-fleet")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.pem"
        path.touch(0o600)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)
    return context
