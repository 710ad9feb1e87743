"""Run a source's code over a recorded case: no network, no clock, no reactor; the same for a person and for the tests."""

import asyncio
import inspect
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import requests

from crawlers.runtime.api import ApiClient, RequestFailed
from crawlers.runtime.cases import CONTENT_TYPES, URLS, Case, CaseError, Exchange
from crawlers.runtime.errors import FleetError
from crawlers.runtime.failures import status_class
from crawlers.runtime.loading import load_parse, load_spider
from crawlers.runtime.manifest import Source
from crawlers.runtime.rejects import Answer
from crawlers.runtime.schema.record import as_dict
from crawlers.runtime.tally import Tally

if TYPE_CHECKING:
    import scrapy


def run_case(source: Source, case: Case) -> dict[str, Any]:
    """What the source's code makes of the case, in the form of ``expected.json``.

    :raises CaseError: the code fails, or yields what is no record; says in which line.
    """
    run = _Run(source, case)
    if source.manifest.kind == "api":
        run.run_parse()
    elif source.manifest.kind == "oai-pmh":
        run.run_oai()
    else:
        run.run_spider()
    return run.outcome()


def find_request(source: Source, case: Case, url: str) -> "scrapy.Request | None":
    """The request for ``url`` that the spider makes when it starts at the case's first page; None: it makes none.

    For a first page at which the spider does not start, the one with which it does start: it is a page of the same kind.
    """
    run = _Run(source, case)
    run.run_spider()
    request = run.requests.get(_key(url))
    if request is not None and not request.meta and case.method == "parse" and _key(url) == _key(case.exchanges[0].url):
        return next(run.outputs(load_spider(source)().start, "start"), request)
    return request


class _Run:
    """One run of a source's code over a case."""

    def __init__(self, source: Source, case: Case) -> None:
        self.source = source
        self.case = case
        self.records: list[Any] = []
        self.follows: set[str] = set()
        self.errors: list[str] = []
        self.used: set[str] = set()
        self.requests: dict[tuple, scrapy.Request] = {}
        self.exchanges = {_key(exchange.url): exchange for exchange in case.exchanges}

    def answer(self, url: str) -> Exchange | None:
        exchange = self.exchanges.get(_key(url))
        if exchange is None:
            self.follows.add(url)
        else:
            self.used.add(exchange.url)
        return exchange

    def outcome(self) -> dict[str, Any]:
        outcome: dict[str, Any] = {"records": self.records, "follows": sorted(self.follows)}
        if self.errors:
            outcome["errors"] = self.errors
        if unused := [exchange.url for exchange in self.case.exchanges if exchange.url not in self.used]:
            outcome["unused"] = unused
        return outcome

    def run_parse(self) -> None:
        parse = load_parse(self.source)
        for record in self.outputs(lambda: parse(_CaseClient(self)), "parse"):
            self.take(record)

    def run_oai(self) -> None:
        from crawlers.runtime.oai.answer import AnswerError
        from crawlers.runtime.oai.source import read_case

        assert self.source.manifest.oai is not None
        url = self.case.exchanges[0].url
        while url and (exchange := self.answer(url)):
            try:
                records, errors, url = read_case(exchange.body, self.source.manifest.oai.endpoint)
            except AnswerError as error:
                self.errors.append(f"{url}: {error}")
                return
            self.errors += errors
            for record in records:
                self.take(record)

    def run_spider(self) -> None:
        from scrapy import Request
        from scrapy.utils.request import fingerprint

        spider = load_spider(self.source)()
        pending = deque([self.start_request(spider)])
        seen = set()
        while pending:
            request = pending.popleft()
            if fingerprint(request) in seen and not request.dont_filter:
                continue
            seen.add(fingerprint(request))
            self.requests[_key(request.url)] = request
            exchange = self.answer(request.url)
            if exchange is None or not (
                exchange.ok
                or exchange.status in getattr(spider, "handle_httpstatus_list", ())
                or exchange.status in request.meta.get("handle_httpstatus_list", ())
            ):
                continue
            response = scrapy_response(request, exchange.status, CONTENT_TYPES[exchange.suffix], exchange.body)
            callback = request.callback or spider.parse
            for output in self.outputs(lambda: callback(response, **request.cb_kwargs), request.url):  # noqa: B023
                if isinstance(output, Request):
                    pending.append(output)
                else:
                    self.take(output)

    def start_request(self, spider: "scrapy.Spider") -> "scrapy.Request":
        from scrapy import Request

        url = self.case.exchanges[0].url
        for request in self.outputs(spider.start, "start"):
            if _key(request.url) == _key(url):
                return request
        method = getattr(spider, self.case.method, None)
        if not callable(method):
            raise CaseError(
                f"{self.case.folder / URLS}:1: {type(spider).__name__} has no method {self.case.method!r} to parse {url}"
            )
        return Request(url, method)

    def reject(self, reason: str, *, url: str = "", record: Any = None, **more: Any) -> None:
        """Keep what the code gives up; that a case ends somewhere is no fault of it."""
        if url not in self.follows:
            self.errors.append(f"{url or orjson.dumps(record).decode()}: {reason}")

    def take(self, record: Any) -> None:
        record = as_dict(record)
        if not isinstance(record, dict):
            raise CaseError(
                f"{self.case.folder}: the code yields {record!r:.200}; expected is a record, a dict or a model's"
            )
        try:
            self.records.append(orjson.loads(orjson.dumps(record)))
        except TypeError as error:
            raise CaseError(f"{self.case.folder}: {error}, in the record {record!r:.200}") from error

    def outputs(self, call: Any, place: str) -> Iterator[Any]:
        """What the source's code gives, plain or asynchronous. Its errors for the rejects are kept, others are ours."""
        try:
            yield from synchronous(call)
        except _NotRecorded:
            return
        except CaseError:
            raise
        except FleetError as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        except (Exception, SystemExit) as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if self.is_ours(frame.filename)]
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(self.source.folder)
            raise CaseError(f"{where}: {type(error).__name__}: {error} (case {self.case.name!r}, {place})") from error

    def is_ours(self, filename: str) -> bool:
        return Path(filename).parent == self.source.folder


class _NotRecorded(RequestFailed):
    """The case has no answer to a request: what needs it ends here."""


class _CaseClient(ApiClient):
    """An ``ApiClient`` that sends nothing: its answers are those of a case."""

    def __init__(self, run: _Run) -> None:
        super().__init__(run.source.manifest, Tally(quiet=True), run.reject)
        self._run = run

    def _send(self, url: str) -> requests.Response:
        exchange = self._run.answer(url)
        if exchange is None:
            raise _NotRecorded("not_found", url, "not recorded in this case")
        if not exchange.ok:
            raise RequestFailed(status_class(exchange.status), url, f"HTTP {exchange.status}")
        response = requests.Response()
        response.status_code, response.url, response.encoding = exchange.status, url, "utf-8"
        response.headers["Content-Type"] = CONTENT_TYPES[exchange.suffix]
        response._content = exchange.body
        self.last = Answer(url, exchange.status, CONTENT_TYPES[exchange.suffix], exchange.body)
        return response


def synchronous(call: Callable[[], Any]) -> Iterator[Any]:
    """What the source's code gives, whether it is plain or asynchronous."""
    result = call()
    if hasattr(result, "__anext__"):
        yield from _each(result)
        return
    if inspect.isawaitable(result):
        result = asyncio.run(_await(result))
    # One record, or one request, may be returned as it is.
    yield from [result] if isinstance(result, Mapping) or not isinstance(result, Iterable | None) else result or ()


def _each(results: AsyncGenerator[Any, Any]) -> Iterator[Any]:
    end = object()
    with asyncio.Runner() as runner:
        while (result := runner.run(_await(anext(results, end)))) is not end:
            yield result


async def _await(result: Any) -> Any:
    return await result


def scrapy_response(request: "scrapy.Request", status: int, content_type: str, body: bytes) -> Any:
    """The answer to ``request`` as Scrapy would give it to the source's code."""
    from scrapy.http import Headers
    from scrapy.responsetypes import responsetypes

    headers = Headers({"Content-Type": content_type} if content_type else {})
    response_class = responsetypes.from_args(headers=headers, url=request.url, body=body)
    return response_class(request.url, status, headers, body, request=request)


def _key(url: str) -> tuple:
    """Two URLs of one key are answered alike: the order of the query's fields and how they are escaped don't count."""
    parts = urlsplit(url)
    return (
        parts.scheme,
        parts.netloc,
        parts.path or "/",
        tuple(sorted(parse_qsl(parts.query, keep_blank_values=True))),
    )
