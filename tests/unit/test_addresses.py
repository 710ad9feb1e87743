"""Which addresses a crawl connects to."""

import socket
from typing import Any

import pytest
import urllib3

from crawlers.runtime.addresses import Addresses, ForbiddenAddressError, ForbiddenSchemeError, Hosts
from crawlers.runtime.guarded_connections import guarded_pools
from crawlers.runtime.manifest import Manifest
from tests.command import MANIFEST

PRIVATE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
]


def addresses(base_url: str = "", **fields: Any) -> Addresses:
    return Addresses(Manifest(name="little", kind="api", **{**MANIFEST, **fields}), base_url)


@pytest.mark.parametrize("host", PRIVATE)
def test_a_url_of_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="private_hosts"):
        addresses().check_url(f"http://{host}:8080/latest/meta-data/")


@pytest.mark.parametrize(
    "host", ["93.184.215.14", "[2606:2800:21f:cb07::1]", "data.example.org", "localhost.example.org"]
)
def test_a_url_of_the_internet_is_let_through(host: str) -> None:
    addresses().check_url(f"https://{host}/")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/", "javascript:alert(1)", "data:text/html,x", ""]
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenSchemeError):
        addresses().check_url(url)


def test_places_that_a_person_named_are_trusted_to_the_port() -> None:
    ours = addresses(
        "http://127.0.0.1:8000", url="http://localhost:99/", private_hosts=("10.0.0.5:80", "intra.example.org")
    )
    for url in ("http://127.0.0.1:8000/a", "http://localhost:99/", "http://10.0.0.5/"):
        ours.check_url(url)
    for url in ("http://127.0.0.1:8001/", "http://127.0.0.1/", "http://localhost/", "https://10.0.0.5/"):
        with pytest.raises(ForbiddenAddressError):
            ours.check_url(url)
    ours.check("intra.example.org", "10.9.9.9", 443)


def test_a_host_of_the_manifest_that_is_a_name_is_not_trusted_by_that() -> None:
    with pytest.raises(ForbiddenAddressError, match=r"site.invalid \(127.0.0.1\)"):
        addresses().check("site.invalid", "127.0.0.1", 80)


def test_a_name_is_resolved_once_and_that_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["127.0.0.1", "8.8.8.8"], ["127.0.0.1"]])
    connected = []

    def resolve(*args: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in next(answers)]

    def connect(place: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        connected.append(place[0])
        raise OSError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    manager = urllib3.PoolManager(retries=False)
    manager.pool_classes_by_scheme = guarded_pools(addresses())
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        manager.request("GET", "http://rebound.example.org/")
    assert connected == ["8.8.8.8"]
    with pytest.raises(ForbiddenAddressError):
        manager.request("GET", "http://rebound.example.org/")
    assert connected == ["8.8.8.8"]


def test_a_site_is_its_hosts_with_their_subdomains_and_www() -> None:
    site = Hosts(["www.example.org", "Data.example.com"])
    for host in ("example.org", "www.example.org", "a.b.example.org", "data.example.com", "DATA.example.com."):
        assert host in site
    for host in ("example.com", "badexample.org", "org", "", "example.org.evil.net"):
        assert host not in site
