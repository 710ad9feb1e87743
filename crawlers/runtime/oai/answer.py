"""One answer of an OAI-PMH server: read strictly where it can be, mended where it can't, and said what was mended.

http://www.openarchives.org/OAI/openarchivesprotocol.html. Nothing here touches the network, resolves an entity or reads a DTD.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lxml import etree

from crawlers.runtime.oai import mending
from crawlers.runtime.oai.names import LOCAL

# An answer with one of these roots is OAI-PMH; static repositories have a root of their own (guidelines-static-repository.htm).
_ROOTS = {"OAI-PMH", "Repository"}
_LISTS = ("ListRecords", "GetRecord", "ListIdentifiers")
_STRICT = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_SHOWN_ERRORS = 5

# The error codes of section 3.6; a code that is none of them is taken as it comes.
BAD_TOKEN = "badResumptionToken"  # noqa: S105 - the protocol's word
NO_RECORDS = "noRecordsMatch"
BAD_ARGUMENT = "badArgument"
BAD_VERB = "badVerb"
NO_FORMAT = "cannotDisseminateFormat"
NO_SETS = "noSetHierarchy"
NO_IDENTIFIER = "idDoesNotExist"


class OaiRecord(NamedTuple):
    """A record as a server gave it.

    ``datestamp``: as written, ``YYYY-MM-DD`` or ``YYYY-MM-DDThh:mm:ssZ``. ``deleted``: the server says that the record is gone.
    ``metadata``: the element within ``<metadata>``, of lxml; None where the record has none, as deleted ones do.
    """

    identifier: str
    datestamp: str
    set_specs: tuple[str, ...]
    deleted: bool
    metadata: Any


@dataclass(frozen=True, slots=True)
class Token:
    """How a list goes on. ``text``: empty on the last page; ``size`` and ``cursor``: None where the server doesn't say."""

    text: str
    size: int | None = None
    cursor: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A record in an answer that can't be read. ``identifier``: empty where not even that can."""

    identifier: str
    reason: str


@dataclass(slots=True)
class Answer:
    """An answer that was read.

    ``verb``: which element holds what was asked for, empty if none; ``errors``: (code, message) pairs; ``elements``: the
    ``<record>`` elements, or ``<header>`` elements of ListIdentifiers; ``repairs``: what had to be mended, in words.
    """

    root: Any
    verb: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    elements: list[Any] = field(default_factory=list)
    token: Token | None = None
    repairs: list[str] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    _records: list[OaiRecord] = field(default_factory=list)

    @property
    def error(self) -> str:
        """The code of the error that counts; empty where there is none, or where there are records all the same."""
        return "" if self.elements or not self.errors else self.errors[0][0]

    def describe_errors(self) -> str:
        return "; ".join(f"{code}: {message}" if message else code for code, message in self.errors)

    def records(self) -> list[OaiRecord]:
        """The records. Of a ListIdentifiers answer all, too, without metadata."""
        if len(self._records) != len(self.elements):
            self._records = [_record(element) for element in self.elements]
        return self._records


class AnswerError(Exception):
    """A body that is no answer: ``kind`` is ``html`` (a page for people), ``truncated``, or ``xml`` (it can't be mended).

    ``token``: how the list would go on, where that much can be read.
    """

    def __init__(self, kind: str, message: str, token: Token | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.token = token


def read_answer(body: bytes) -> Answer:
    """Read the body of an answer, decompressed.

    :raises AnswerError: it is none, and can't be mended.
    """
    repairs: list[str] = []
    if not body.startswith(b"<?xml"):
        body = mending.strip_start(body, repairs)
    if b"<!DOCTYPE" in body[:4096] or b"<!doctype" in body[:4096]:
        body = _without_doctype(body, repairs)
    try:
        return _collect(_parse(body), repairs)
    except etree.XMLSyntaxError as error:
        return _mend(body, error, repairs)


def _mend(body: bytes, error: etree.XMLSyntaxError, repairs: list[str]) -> Answer:
    if mending.is_html(body):
        raise AnswerError("html", f"an HTML page, not OAI-PMH: {mending.title(body)}")
    mended = mending.mend_text(body, repairs)
    try:
        return _collect(_parse(mended), repairs)
    except etree.XMLSyntaxError as still:
        error = still
    token = find_token(mended)
    if not mending.is_whole(mended):
        raise AnswerError("truncated", f"the answer ends early, after {len(body)} bytes: {error}", token)
    answer = _salvage(mended, repairs)
    if answer is None:
        raise AnswerError("xml", f"not well-formed: {error}", token)
    return answer


def _salvage(body: bytes, repairs: list[str]) -> Answer | None:
    """Read the records of a broken answer one by one; None where it can't be told where they begin and end."""
    parts = mending.cut_records(body)
    if parts is None:
        return None
    head, pieces, tail = parts
    try:
        answer = _collect(_parse(head + tail), repairs)
    except (etree.XMLSyntaxError, AnswerError):
        return None
    for piece in pieces:
        wrapped = head + piece + tail
        try:
            answer.elements += _collect(_parse(wrapped), []).elements
        except etree.XMLSyntaxError as error:
            _recover(wrapped, piece, error, answer)
    return answer


def _recover(wrapped: bytes, piece: bytes, error: etree.XMLSyntaxError, answer: Answer) -> None:
    """Read a broken record with a parser that goes on after an error, or say that it can't be read."""
    identifier = mending.find_identifier(piece)
    try:
        root = _parse(wrapped, recover=True)
        elements = _collect(root, []).elements if root is not None else []
    except (etree.XMLSyntaxError, AnswerError):
        elements = []
    if len(elements) == 1 and identifier:
        record = _record(elements[0])
        # What the parser dropped must not be the record itself.
        if record.identifier == identifier and (record.deleted or _has_content(record.metadata)):
            answer.elements.append(elements[0])
            answer.repairs.append(f"record {identifier}: recovered after {error.msg}")
            return
    answer.broken.append(Broken(identifier, f"not well-formed: {error.msg}"))


def _has_content(metadata: Any) -> bool:
    return metadata is not None and (len(metadata) > 0 or bool(metadata.text and metadata.text.strip()))


def _parse(body: bytes, *, recover: bool = False) -> Any:
    return etree.fromstring(body, etree.XMLParser(recover=recover, **_STRICT))


def _without_doctype(body: bytes, repairs: list[str]) -> bytes:
    if mending.is_html(body):
        raise AnswerError("html", f"an HTML page, not OAI-PMH: {mending.title(body)}")
    repairs.append("a document type declaration was left out")
    return mending.without_doctype(body)


def _collect(root: Any, repairs: list[str]) -> Answer:
    name = etree.QName(root).localname if isinstance(root.tag, str) else ""
    if name.lower() == "html":
        raise AnswerError("html", f"an HTML page, not OAI-PMH: {(root.findtext('.//{*}title') or 'no title')[:80]}")
    if name not in _ROOTS and name not in _LISTS:
        raise AnswerError("xml", f"the root element is <{name}>, expected is <OAI-PMH>")
    answer = Answer(root, repairs=repairs)
    for child in (root,) if name in _LISTS else root:
        if not isinstance(child.tag, str):
            continue
        local = child.tag.rpartition("}")[2]
        if local == "error":
            answer.errors += ((child.get("code", ""), (child.text or "").strip()),)
        elif local in _LISTS:
            answer.verb = local
            wanted = "{*}header" if local == "ListIdentifiers" else "{*}record"
            answer.elements += child.iterchildren(wanted)
            answer.token = _token(child.find("{*}resumptionToken"))
        elif local not in ("responseDate", "request"):
            answer.verb = answer.verb or local
            answer.token = answer.token or _token(child.find("{*}resumptionToken"))
    return answer


def _record(element: Any) -> OaiRecord:
    identifier = datestamp = ""
    deleted = False
    specs: tuple[str, ...] = ()
    metadata = None
    parts = (element,) if element.tag.endswith("header") else element
    for part in parts:
        name = LOCAL[part.tag]
        if name == "header":
            deleted = part.get("status") == "deleted"
            for value in part:
                name, text = LOCAL[value.tag], value.text
                if not text:
                    continue
                if name == "identifier":
                    identifier = text.strip()
                elif name in ("datestamp", "dateStamp"):  # the latter is pycsw's
                    datestamp = text.strip()
                elif name == "setSpec":
                    specs += (text.strip(),)
        elif name == "metadata":
            metadata = next((child for child in part if isinstance(child.tag, str)), None)
    return OaiRecord(identifier, datestamp, specs, deleted, metadata)


def _token(element: Any) -> Token | None:
    if element is None:
        return None
    return Token((element.text or "").strip(), _number(element.get("completeListSize")), _number(element.get("cursor")))


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,15}", text.strip()) else None


def find_token(body: bytes) -> Token | None:
    """The resumption token in a body that can't be parsed, found by its looks."""
    found = mending.TOKEN.findall(body)
    if not found:
        return None
    attributes, text = found[-1]
    pairs = dict(mending.ATTRIBUTE.findall(attributes.decode("utf-8", "replace")))
    return Token(
        mending.unescape(text.decode("utf-8", "replace").strip()),
        _number(pairs.get("completeListSize")),
        _number(pairs.get("cursor")),
    )
