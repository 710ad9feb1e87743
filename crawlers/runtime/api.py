"""HTTP for sources that are a generator of records over an API: polite, patient, and with every failure counted."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from protego import Protego
from requests.adapters import HTTPAdapter

from crawlers.runtime import http
from crawlers.runtime.addresses import Addresses, ForbiddenAddressError, Hosts, host_of
from crawlers.runtime.errors import FleetError, PageError
from crawlers.runtime.failures import failure_class, status_class
from crawlers.runtime.guarded_connections import guarded_pools
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.rejects import Answer
from crawlers.runtime.tally import Tally

logger = logging.getLogger(__name__)

Reject = Callable[..., None]


class RequestFailed(FleetError):
    """A request was given up for good. ``kind``: its error class (see ``tally.ADVICE``); ``answer``: what came, if anything did."""

    def __init__(self, kind: str, url: str, message: str, answer: Answer | None = None) -> None:
        super().__init__(f"{url}: {message}")
        self.kind = kind
        self.url = url
        self.message = message
        self.answer = answer


class ApiClient:
    """Sends the requests of one crawl, one at a time, at most ``manifest.rate`` a second to each host.

    Failures that may pass (resets, timeouts, truncated bodies, 408, 429, 5xx) are tried again with growing pauses
    (``patience``), or after what ``Retry-After`` asks for. robots.txt is followed (RFC 9309) unless the manifest says otherwise.

    ``last``: the last answer that came, for the rejects; None before the first.

    :param reject: where rejects go, ``ReleaseWriter.reject`` or the like.
    """

    def __init__(
        self,
        manifest: Manifest,
        tally: Tally,
        reject: Reject,
        *,
        base_url: str = "",
        contact: str = "",
        patience: http.Patience = http.PATIENCE,
    ) -> None:
        self._manifest = manifest
        self._tally = tally
        self._reject = reject
        self._patience = patience
        self.last: Answer | None = None
        self._session = requests.Session()
        self._addresses = Addresses(manifest, base_url)
        self._hosts = Hosts([host_of(manifest.url), *manifest.hosts])
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._admit, base_url, self._addresses))
        self._session.headers["User-Agent"] = http.user_agent(manifest, contact)
        self._next_at: dict[str, float] = {}
        self._robots: dict[str, Protego | None] = {}

    def get(self, url: str, params: dict[str, Any] | None = None, *, required: bool = True) -> requests.Response | None:
        """The answer to a GET request, of a status below 400.

        :param params: added to the query, in the order given.
        :param required: whether a record, or the whole crawl, makes no sense without it. Where it is not, None is returned, and
            the failure counts against the manifest's error budget and goes to the rejects.
        :raises RequestFailed: it failed for good and is required. In a ``page`` block that costs the page, else the crawl.
        """
        return self._settle(url, params, self._send, required)

    def get_json(self, url: str, params: dict[str, Any] | None = None, *, required: bool = True) -> Any:
        """Like ``get``, but the JSON value in the answer. An answer that is no JSON is a failure of class ``parse``."""
        return self._settle(url, params, lambda sent: _decode(sent, self._send(sent)), required)

    def reject(self, record: Any, reason: str, *, field: str = "", url: str = "") -> None:
        """Put a record that makes no sense into the rejects instead of yielding it. It counts against the reject budget."""
        self._reject(reason, kind="refused", field=field, url=url, record=record, response=self.last)

    def expect(self, total: int, came: int, what: str = "records") -> None:
        """Fail the crawl where the site says itself that there are more than came. To be called after the last page.

        More than it says are well: some may have been added meanwhile.

        :param total: how many there are, by the site's own word; ``came``: how many it listed.
        :raises PageError: there are more.
        """
        self._tally.expected = total
        if came < total:
            url = self.last.url if self.last else self._manifest.url
            raise PageError(url, f"{came} {what} came, but the site says that there are {total}: a page came short")

    @contextmanager
    def page(self, url: str) -> Iterator[None]:
        """Make the records of one page within the block: an error there costs what is at ``url``, not the crawl.

        It counts against the manifest's error budget, and goes to the rejects. A block that sends no request, for one record
        of many in an answer, is a page all the same.
        """
        pages = self._tally.pages
        try:
            yield
        except RequestFailed as error:  # counted when it failed
            self._reject_request(error, error.url)
        except PageError as error:
            self._fail(error.url, error.reason, error.field)
        except Exception as error:
            logger.debug("%s: the source's code failed", url, exc_info=True)
            self._fail(url, f"{type(error).__name__}: {error}")
        finally:
            if self._tally.pages == pages:
                self._tally.pages += 1

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _fail(self, url: str, message: str, field: str = "") -> None:
        self._tally.error("parse", url, message)
        self._reject(f"parse: {message}", kind="parse", url=url, field=field, response=self.last)

    def _reject_request(self, error: RequestFailed, url: str) -> None:
        self._reject(f"{error.kind}: {error.message}", kind=error.kind, url=url, response=error.answer)

    def _settle(self, url: str, params: dict[str, Any] | None, fetch: Callable[[str], Any], required: bool) -> Any:
        self._tally.pages += 1
        try:
            url = _complete_url(url, params)
            return fetch(url)
        except RequestFailed as error:
            self._tally.error(error.kind, url, error.message)
            if required:
                raise
            self._reject_request(error, url)
            return None

    def _send(self, url: str) -> requests.Response:
        self._hosts.add(host_of(url))
        for attempt in range(1, http.RETRIES + 2):
            asked = None
            try:
                response = self._send_once(url)
            except (requests.RequestException, ValueError) as error:
                # A ValueError: a URL or a header, of ours or of a redirect, that can't be sent.
                kind = "http" if isinstance(error, ValueError) else failure_class(error)
                failure = RequestFailed(kind, url, f"{type(error).__name__}: {error}")
                if failure.kind in ("tls", "http", "scheme"):
                    break
            except (http.TooLargeError, ForbiddenAddressError) as error:
                raise RequestFailed(failure_class(error), url, str(error)) from error
            else:
                answer = _as_answer(url, response)
                if response.status_code < 400:
                    if http.leads_to_login(url, response.url):
                        raise RequestFailed("blocked", url, f"it is redirected to a login page, {response.url}", answer)
                    self.last = answer
                    return response
                failure = RequestFailed(
                    status_class(response.status_code), url, f"HTTP {response.status_code} {response.reason}", answer
                )
                if response.status_code not in http.RETRY_STATUSES:
                    break
                asked = http.retry_after_seconds(response.headers.get("Retry-After"), time.time())
            if attempt <= http.RETRIES:
                pause = self._patience.pause_seconds(attempt, asked)
                logger.info("%s: %s; once more in %.1f s", self._manifest.name, failure, pause)
                self._sleep(pause)
        raise failure

    def _send_once(self, url: str) -> requests.Response:
        try:
            with self._session.get(url, timeout=self._patience.timeout_seconds, stream=True) as response:
                body = bytearray()
                for block in response.iter_content(1 << 16):
                    body += block
                    self._tally.received_bytes += len(block)
                    if len(body) > http.MAX_BODY_BYTES:
                        raise http.TooLargeError(f"more than {http.MAX_BODY_BYTES >> 20} MiB")
                response._content = bytes(body)
        finally:
            self._tally.under_way.clear()  # with what it was redirected from: one request is sent at a time
        self._tally.answer(response.url)
        return response

    def _admit(self, url: str) -> None:
        """Let a request through that is about to be sent, also one that a redirect leads to."""
        self._addresses.check_url(url)
        if host_of(url) not in self._hosts:
            raise RequestFailed(
                "http", url, "a redirect leads there, and it is no host of the site: see hosts in the manifest"
            )
        self._check_robots(url)
        self._wait_for_turn(urlsplit(url).netloc)
        self._tally.ask(url)

    def _wait_for_turn(self, host: str) -> None:
        now = time.monotonic()
        turn = max(self._next_at.get(host, 0.0), now)
        self._next_at[host] = turn + 1 / self._manifest.rate
        if turn > now:
            self._sleep(turn - now)

    def _sleep(self, seconds: float) -> None:
        self._tally.wait(seconds)
        time.sleep(seconds)

    def _check_robots(self, url: str) -> None:
        parts = urlsplit(url)
        if not self._manifest.obey_robots or parts.path == "/robots.txt":
            return
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._robots:
            self._robots[site] = None  # while it is read: it may be redirected, also to a page of the same site
            try:
                self._robots[site] = self._read_robots(f"{site}/robots.txt")
            except BaseException:
                del self._robots[site]
                raise
        rules = self._robots[site]
        if rules is not None and not rules.can_fetch(url, str(self._session.headers["User-Agent"])):
            raise RequestFailed("robots", url, f"forbidden by {site}/robots.txt")

    def _read_robots(self, url: str) -> Protego | None:
        last = self.last
        try:
            return Protego.parse(self._send(url).text)
        except RequestFailed as error:
            if error.kind in ("not_found", "blocked", "http"):  # RFC 9309, 2.3.1.3: no rules
                return None
            raise
        finally:
            self.last = last


class _Adapter(HTTPAdapter):
    """Sends each request to the base URL, if there is one; the session sees the real URLs all the same."""

    def __init__(self, admit: Callable[[str], None], base_url: str, addresses: Addresses) -> None:
        self._admit = admit
        self._base_url = base_url
        self._addresses = addresses
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = guarded_pools(self._addresses)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """:raises RequestFailed: robots.txt forbids it, or it leads to another site.
        :raises ForbiddenAddressError: it leads to a private address.
        """
        assert request.url is not None
        self._admit(request.url)
        sent = request.copy()
        sent.url = http.rebase(request.url, self._base_url)
        if self._base_url:
            options["proxies"] = None  # those of the environment are for the real host
        response = super().send(sent, *args, **options)
        response.url, response.request = request.url, request
        return response


def _complete_url(url: str, params: dict[str, Any] | None) -> str:
    try:
        return requests.Request("GET", url, params=params).prepare().url or url
    except ValueError as error:
        raise RequestFailed("http", url, f"{type(error).__name__}: {error}") from error


def _as_answer(url: str, response: requests.Response) -> Answer:
    return Answer(response.url or url, response.status_code, response.headers.get("Content-Type", ""), response.content)


def _decode(url: str, response: requests.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        kind = response.headers.get("Content-Type", "no content type")
        raise RequestFailed(
            "parse",
            url,
            f"not JSON ({error}), but {kind}: {response.content[:60].decode('utf-8', 'replace')!r}",
            _as_answer(url, response),
        ) from error
