"""Where a crawl may connect to: no address of this machine, of its network or of its cloud, whatever a page or the DNS says.

Pages are written by others. A link or a redirect to ``http://169.254.169.254/`` would have a crawler read its cloud's secrets, and a
host name may resolve to a private address (DNS rebinding). So URLs are looked at before they are asked for, and each resolved
address before it is connected to; the address that was looked at is the one that is connected to.

Trusted are the places that a person named: the base URL, the manifest's URL where it holds an address or ``localhost``, and the
manifest's ``private_hosts``.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import Manifest

_PORTS = {"http": 80, "https": 443}
# Azure's metadata service: the only one at an address that is not private.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})
# Addresses that carry an IPv4 address in their last 32 bits: NAT64 (RFC 6052), IPv4-compatible (RFC 4291).
_CARRYING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96")))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenUrlError(FleetError):
    """A URL is not asked for. ``is_link``: it was a mere link, and nothing of the site is lost with it."""

    is_link = False


class ForbiddenAddressError(ForbiddenUrlError):
    """A URL leads to a private address."""


class ForbiddenSchemeError(ForbiddenUrlError):
    """A URL is none of http or https."""


class Addresses:
    """Which addresses a crawl may connect to.

    :param base_url: where its requests are sent instead of the real hosts; empty: to them.
    """

    def __init__(self, manifest: Manifest, base_url: str = "") -> None:
        self._trusted: set[tuple[str, int]] = set()  # port 0: any
        self.refused: set[str] = set()
        for url in (manifest.url, base_url):
            host, port = _place(url)
            if host and (url == base_url or host == "localhost" or literal(host) is not None):
                self._trusted.add((host, port))
        for name in manifest.private_hosts:
            host, port = _place(f"//{name}")
            self._trusted.add((host, port))

    def check_url(self, url: str) -> None:
        """Let a URL pass that may be asked for, as far as it can be told without resolving its host.

        :raises ForbiddenSchemeError: it is no http(s) URL.
        :raises ForbiddenAddressError: it names a private address, in any of the forms that resolvers take, or this machine.
        """
        host, port = _place(url)
        if urlsplit(url).scheme not in _PORTS:
            raise ForbiddenSchemeError(f"{url[:200]!r} is no http(s) URL")
        if self._trusts(host, port):
            return
        address = literal(host)
        if host == "localhost" or host.endswith(".localhost") or (address is not None and is_private(address)):
            raise self._refusal(host)

    def check(self, host: str, address: str, port: int = 0) -> None:
        """Let an ``address`` pass that ``host`` resolved to. ``port`` 0: it is not known.

        :raises ForbiddenAddressError: it is private, and the host is not trusted.
        """
        if not self._trusts(host, port) and is_private(ipaddress.ip_address(address.partition("%")[0])):
            self.refused.add(host)
            raise self._refusal(host, address)

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of ``host`` that may be connected to, at least one.

        :raises ForbiddenAddressError: all are private.
        :raises OSError: it can't be resolved (``socket.gaierror``).
        """
        found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        allowed, refusal = [], None
        for address in dict.fromkeys(map(str, found)):
            try:
                self.check(host, address, port)
                allowed.append(address)
            except ForbiddenAddressError as error:
                refusal = error
        if not allowed and refusal:
            raise refusal
        return allowed

    def _trusts(self, host: str, port: int) -> bool:
        host = host.lower().rstrip(".")
        if port == 0:
            return any(host == trusted for trusted, _ in self._trusted)
        return (host, port) in self._trusted or (host, 0) in self._trusted

    def _refusal(self, host: str, address: str = "") -> ForbiddenAddressError:
        resolved = f" ({address})" if address else ""
        return ForbiddenAddressError(
            f"{host}{resolved} is an address of this machine, its network or its cloud. If the site really is there, name the host "
            "in the manifest's private_hosts"
        )


class Hosts:
    """Which hosts belong to the site: those named, their subdomains, and either form with and without ``www.``."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._names: set[str] = set()
        for host in hosts:
            self.add(host)

    def add(self, host: str) -> None:
        if name := host.lower().rstrip(".").removeprefix("www."):
            self._names.add(name)

    def __bool__(self) -> bool:
        return bool(self._names)

    def __contains__(self, host: str) -> bool:
        labels = host.lower().rstrip(".").split(".")
        return any(".".join(labels[index:]) in self._names for index in range(len(labels)))


def host_of(url: str) -> str:
    """The host of a URL, in lower case; empty where there is none."""
    return _place(url)[0]


def literal(host: str) -> Address | None:
    """The address that ``host`` is written as, also in the odd forms that resolvers take (``127.1``, ``0x7f000001``); None: a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host.isascii() else None
    except OSError:
        return None


def is_private(address: Address) -> bool:
    """Whether it is none that everybody in the internet can reach."""
    if isinstance(address, ipaddress.IPv6Address):
        if (carried := address.ipv4_mapped or address.sixtofour) is not None:
            return is_private(carried)
        if any(address in network for network in _CARRYING):
            return is_private(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return not address.is_global or address.is_multicast or address in _METADATA


def _place(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0
