"""An OAI-PMH endpoint: its six verbs, asked with patience, answered or told why not."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from protego import Protego

from crawlers.runtime import http
from crawlers.runtime.errors import FleetError
from crawlers.runtime.failures import status_class
from crawlers.runtime.oai.answer import Answer, AnswerError, Token, read_answer
from crawlers.runtime.oai.dates import DAY
from crawlers.runtime.oai.transport import Response, Transport, TransportError, origin
from crawlers.runtime.oai.windows import Frame

_SAFE_TOKEN = re.compile(r"(?:[A-Za-z0-9_.~!*'(),/:@;$=+-]|%[0-9A-Fa-f]{2})+")
# Answers that are no OAI-PMH and come with status 200 are mostly pages of a proxy or of maintenance: they may pass.
_PASSING = {"html", "truncated", "empty"}
# Such failures, and those on the way, are more often the moment's fault than a record's; a server that asks to wait is waited for.
_PASSING_TRIES = 3
_ASKS_TO_WAIT = (429, 503)
# How often XML that can't be mended is asked for again: it was mostly written so.
_XML_TRIES = 2


@dataclass(frozen=True)
class Reply:
    """An answer that could be read, and what a window's file keeps of it."""

    answer: Answer
    body: bytes
    frame: Frame


@dataclass(frozen=True)
class Identify:
    """What a server says of itself. ``granularity``: seconds, 1 or those of a day; ``deleted``: no, transient or persistent.

    ``earliest`` and ``now``: dates as written, the server's earliest and that of its clock; empty where it gives none.
    """

    name: str
    earliest: str
    granularity: int
    deleted: str
    compression: tuple[str, ...]
    now: str


# What is learned of a server on the way, and holds for all of a harvest.
_LEARNED = ("proved", "identifies", "ignores_dates", "sizes_lie", "cursors_lie", "tokens_skip", "tokens_as_written")


class AskError(Exception):
    """A request was given up. ``kind``: an error class of ``tally.ADVICE``, or ``html``, ``truncated``, ``xml``.

    ``status``: of HTTP, 0 where no answer came; ``token``: how the list would go on, where that much could be read;
    ``body``: what came.
    """

    def __init__(self, kind: str, url: str, message: str, status: int = 0, token: Token | None = None) -> None:
        super().__init__(f"{url}: {message}")
        self.kind = kind
        self.url = url
        self.message = message
        self.status = status
        self.token = token


class Stopping(Exception):
    """The harvest is being stopped: a request was not sent."""


class Endpoint:
    """Asks one server. Threads may share it.

    ``steps`` counts what had to be done beyond asking, by name; see docs/oai-pmh.md. What was learned of the server on the way:
    ``proved``: it gave an answer to such a request as this harvest's; ``identifies``: it knows the verb Identify; ``ignores_dates``: it gives all records whatever the dates; ``sizes_lie``: lists are shorter than their completeListSize;
    ``cursors_lie``: a cursor is not where a list stands; ``tokens_skip``: records are left out from page to page;
    ``tokens_as_written``: tokens are not to be escaped.

    :param post: send requests by POST, for servers that cut long URLs.
    """

    def __init__(self, url: str, transport: Transport, patience: http.Patience, *, post: bool = False) -> None:
        self.url = url
        self.transport = transport
        self.steps: Counter[str] = Counter()
        self.proved = False
        self.identifies = True
        self.ignores_dates = False
        self.sizes_lie = False
        self.cursors_lie = False
        self.tokens_skip = False
        self.tokens_as_written = False
        self._patience = patience
        self._post = post
        self._lock = threading.Lock()

    def learned(self) -> dict[str, bool]:
        """What is known of the server."""
        return {name: getattr(self, name) for name in _LEARNED}

    def learn(self, learned: dict[str, bool]) -> None:
        """Add what another endpoint for the same server learned."""
        for name in _LEARNED:
            if name in learned and learned[name] != (name == "identifies"):
                setattr(self, name, learned[name])

    def count(self, step: str, number: int = 1) -> None:
        """Count a step of rescue."""
        with self._lock:
            self.steps[step] += number

    def identify(self, tries: int = http.RETRIES + 1) -> Identify:
        """:raises AskError: it can't be had, as from any of the verbs."""
        reply = self.ask({"verb": "Identify"}, tries)
        root = reply.answer.root
        element = root.find("{*}Identify")
        if element is None:
            raise AskError("parse", reply.frame.url, f"no <Identify>, but {reply.answer.describe_errors() or root.tag}")
        granularity = _text(element, "granularity")
        earliest = _text(element, "earliestDatestamp") or _text(element, "earliestDateStamp")
        return Identify(
            name=_text(element, "repositoryName"),
            earliest=earliest,
            granularity=1 if "hh" in granularity.lower() or (not granularity and len(earliest) > 10) else DAY,
            deleted=_text(element, "deletedRecord"),
            compression=tuple((found.text or "").strip() for found in element.iterchildren("{*}compression")),
            now=_text(root, "responseDate"),
        )

    def sets(self) -> Iterator[tuple[str, str]]:
        """The sets: pairs of ``setSpec`` and ``setName``."""
        for element in self._listed("ListSets", "set"):
            yield _text(element, "setSpec"), _text(element, "setName")

    def formats(self, identifier: str = "") -> list[str]:
        """The metadata prefixes that the server offers, or those of one record."""
        arguments = {"identifier": identifier} if identifier else {}
        return [
            _text(element, "metadataPrefix")
            for element in self._listed("ListMetadataFormats", "metadataFormat", arguments)
        ]

    def list_records(self, arguments: dict[str, str], tries: int) -> Reply:
        """A page of ListRecords."""
        return self.ask({"verb": "ListRecords", **arguments}, tries)

    def list_identifiers(self, arguments: dict[str, str], tries: int) -> Reply:
        """A page of ListIdentifiers."""
        return self.ask({"verb": "ListIdentifiers", **arguments}, tries)

    def get_record(self, identifier: str, prefix: str, tries: int) -> Reply:
        """One record."""
        return self.ask({"verb": "GetRecord", "identifier": identifier, "metadataPrefix": prefix}, tries)

    def ask(self, arguments: dict[str, str], tries: int) -> Reply:
        """The answer to a request, protocol errors included; what may pass is tried again, ``tries`` times in all; more often, unless
        once is enough, where it probably will.

        :raises AskError: it was given up.
        """
        query = self._query(arguments)
        url = f"{self.url}{'&' if '?' in self.url else '?'}{query}"
        resumed = "resumptionToken" in arguments
        attempt = enough = 0
        while True:
            attempt += 1
            if self.transport.stopping.is_set():
                raise Stopping
            wait = None
            try:
                response = self.transport.send(self.url, query) if self._post else self.transport.send(url)
            except TransportError as error:
                failure = AskError(error.kind, url, str(error))
                last = error.kind in ("tls", "http", "too_large")
                enough = _patient(tries)
            else:
                try:
                    return self._read(url, response)
                except AnswerError as error:
                    failure, last = _judge(url, response, error, attempt)
                    wait = response.wait_seconds
                    asked = wait is not None or response.status in _ASKS_TO_WAIT
                    enough = http.RETRIES + 1 if asked else _patient(tries) if error.kind in _PASSING else tries
            if last or attempt >= enough:
                raise failure
            self.count("resumed" if resumed else "retried")
            self.transport.pause(self._patience.pause_seconds(attempt, wait))

    def _query(self, arguments: dict[str, str]) -> str:
        escaped = urlencode(arguments, quote_via=quote, safe="!*(),/:")
        token = arguments.get("resumptionToken", "")
        if self.tokens_as_written and _SAFE_TOKEN.fullmatch(token):
            return f"verb={arguments['verb']}&resumptionToken={token}"
        return escaped

    def try_tokens_as_written(self, token: str) -> bool:
        """Whether a token that was refused is worth to be sent once more, unescaped: some servers escape it themselves."""
        worth = not self.tokens_as_written and "%" in token and bool(_SAFE_TOKEN.fullmatch(token))
        self.tokens_as_written = self.tokens_as_written or worth
        return worth

    def require_allowed(self) -> None:
        """:raises FleetError: robots.txt forbids to harvest. One that can't be had forbids nothing: the endpoint is there for it."""
        url = f"{origin(self.url)}/robots.txt"
        try:
            response = self.transport.send(url)
        except TransportError:
            return
        if response.status < 400:
            agent = self.transport.user_agent
            if not Protego.parse(response.body.decode("utf-8", "replace")).can_fetch(self.url, agent):
                raise FleetError(
                    f"{self.url} is forbidden by {url}. Ask the server's operators; it can be ignored if they agree."
                )

    def _read(self, url: str, response: Response) -> Reply:
        if not response.body.strip():
            raise AnswerError("empty", "the answer is empty")
        answer = read_answer(response.body)
        if response.status in _ASKS_TO_WAIT or (response.status >= 400 and not answer.errors):
            raise AnswerError("refused", answer.describe_errors() or "an answer that is none")
        if answer.repairs:
            self.count("repaired")
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        frame = Frame(url=url, when=when, bytes=len(response.body), status=response.status, repairs=answer.repairs[:50])
        return Reply(answer, response.body, frame)

    def _listed(self, verb: str, name: str, arguments: dict[str, str] | None = None) -> Iterator[Any]:
        asked = {"verb": verb, **(arguments or {})}
        seen: set[str] = set()
        while True:
            reply = self.ask(asked, http.RETRIES + 1)
            if reply.answer.error:
                raise AskError(reply.answer.error, reply.frame.url, reply.answer.describe_errors(), reply.frame.status)
            yield from reply.answer.root.iterfind(f"{{*}}{verb}/{{*}}{name}")
            token = reply.answer.token
            if token is None or not token.text or token.text in seen:
                return
            seen.add(token.text)
            asked = {"verb": verb, "resumptionToken": token.text}


def _patient(tries: int) -> int:
    return max(tries, _PASSING_TRIES) if tries > 1 else 1


def _judge(url: str, response: Response, error: AnswerError, attempt: int) -> tuple[AskError, bool]:
    """What went wrong, and whether asking again is of no use."""
    status = response.status
    if status >= 400:
        told = f"HTTP {status}" + (f", {error}" if error.kind == "html" else "")
        return AskError(status_class(status), url, told, status), status not in http.RETRY_STATUSES
    last = error.kind not in _PASSING and attempt >= _XML_TRIES
    kind = "truncated" if error.kind == "empty" else error.kind
    return AskError(kind, url, str(error), status, error.token), last


def _text(element: Any, name: str) -> str:
    return re.sub(r"\s+", " ", (element.findtext(f"{{*}}{name}") or "")).strip()
