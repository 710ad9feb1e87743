"""The class of a failure, judged by errors that real servers and real libraries make."""

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from scrapy import exceptions as scrapy_exceptions
from twisted.internet import error as twisted_error
from twisted.python.failure import Failure
from twisted.web._newclient import ResponseFailed

from crawlers.runtime.failures import failure_class, status_class
from crawlers.runtime.tally import ADVICE
from tests.site import Answer, Site, serve_site


@contextmanager
def unused_port() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def failure_of(url: str) -> requests.RequestException:
    with pytest.raises(requests.RequestException) as caught, requests.Session() as session:
        session.get(url, timeout=0.3)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(fault="reset"), "connection"),
        (Answer("short", fault="truncate"), "connection"),
        (Answer(fault="hang"), "timeout"),
        (Answer(status=302, headers={"Location": "/page"}), "http"),
        (Answer(status=302, headers={"Location": "ftp://site.invalid/"}), "scheme"),
        (Answer(b"no gzip", headers={"Content-Encoding": "gzip"}), "connection"),
    ],
    ids=["reset", "truncated", "hanging", "redirected in a circle", "redirected to ftp", "not what it says"],
)
def test_what_requests_raises_for_a_server_that_misbehaves(site: Site, answer: Answer, kind: str) -> None:
    site.put("/page", answer)
    assert failure_class(failure_of(f"{site.url}/page")) == kind


def test_what_requests_raises_where_no_server_is() -> None:
    with unused_port() as port:
        assert failure_class(failure_of(f"http://127.0.0.1:{port}/")) == "connection"
    assert failure_class(failure_of("http://nonexistent.invalid/")) == "dns"


def test_what_requests_raises_where_tls_goes_wrong(site: Site) -> None:
    assert failure_class(failure_of(site.url.replace("http:", "https:"))) == "tls"
    untrusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate: the handshake fails
    with serve_site(untrusted) as other:
        assert failure_class(failure_of(other.url)) == "tls"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (twisted_error.DNSLookupError(), "dns"),
        (twisted_error.ConnectionRefusedError(), "connection"),
        (twisted_error.ConnectionLost(), "connection"),
        (twisted_error.TCPTimedOutError(), "timeout"),
        (twisted_error.TimeoutError(), "timeout"),
        (ResponseFailed([Failure(twisted_error.ConnectionLost())]), "connection"),
        (ssl.SSLCertVerificationError("certificate verify failed"), "tls"),
        (scrapy_exceptions.IgnoreRequest("Forbidden by robots.txt"), "robots"),
        (scrapy_exceptions.IgnoreRequest("Filtered offsite request to 'x'"), "offsite"),
        (scrapy_exceptions.IgnoreRequest("max redirections reached"), "http"),
        (scrapy_exceptions.NotSupported("ftp"), "scheme"),
        (socket.gaierror(-2, "Name or service not known"), "dns"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "connection"),
        (KeyError("title"), "parse"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}",
)
def test_what_scrapy_and_twisted_raise(error: Exception, kind: str) -> None:
    assert failure_class(error) == kind
    assert kind in ADVICE


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "blocked"), (403, "blocked"), (429, "blocked"), (404, "not_found"), (410, "not_found"), (400, "http"),
        (418, "http"), (451, "http"), (500, "server"), (503, "server"), (599, "server"),
    ],
)  # fmt: skip
def test_each_status_has_a_class(status: int, kind: str) -> None:
    assert status_class(status) == kind
    assert kind in ADVICE


def test_an_error_that_causes_itself_is_no_endless_loop() -> None:
    first, second = KeyError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert failure_class(first) == "parse"
