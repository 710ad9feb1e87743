"""Mends XML that servers send although it is none: on bytes and text, before a parser sees it."""

import html
import itertools
import re

TOKEN = re.compile(rb"<(?:[\w.-]+:)?resumptionToken\b([^>]*?)(?<!/)>([^<]*)<")
ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*[\"']([^\"']*)[\"']")
_DECLARATION = re.compile(rb"^<\?xml[^>]{0,200}\?>")
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]{0,1000}(?:\[.{0,65536}?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(
    rb"^\s*(?:<\?xml[^>]*\?>|<!--.*?-->|\s)*(?:<!DOCTYPE\s+html|<html\b|<head\b|<body\b)", re.IGNORECASE | re.DOTALL
)
_TITLE = re.compile(rb"<title[^>]*>([^<]{0,200})", re.IGNORECASE)
# What XML 1.0, section 2.2, has no place for.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(x[0-9A-Fa-f]{1,8}|[0-9]{1,9});")
_NAMED = re.compile(r"&([A-Za-z_:][\w.:-]*);")
_BARE = re.compile(r"&(?!(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z_:][\w.:-]*);)")
_XML_NAMES = {"amp", "lt", "gt", "quot", "apos"}
_RECORD = re.compile(rb"<(?:[\w.-]+:)?record\b[^>]*>\s*<(?:[\w.-]+:)?header\b")
_RECORDS_END = re.compile(rb"<(?:[\w.-]+:)?resumptionToken\b|</(?:[\w.-]+:)?(?:ListRecords|GetRecord)\s*>")
_RECORD_END = re.compile(rb"</(?:[\w.-]+:)?record\s*>\s*$")
_IDENTIFIER = re.compile(rb"<(?:[\w.-]+:)?identifier\b[^>]*>\s*([^<]{1,2000}?)\s*</")
_END = re.compile(rb"</(?:[\w.-]+:)?(?:OAI-PMH|Repository|ListRecords|GetRecord|ListIdentifiers)\s*>\s*$")


def strip_start(body: bytes, repairs: list[str]) -> bytes:
    """Without what may stand before nothing in XML: blanks, and a byte order mark that needs no mending."""
    stripped = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if len(body) - len(stripped) > 3 and stripped.startswith(b"<?xml"):
        repairs.append("blanks before the XML declaration were left out")
    return stripped


def is_html(body: bytes) -> bool:
    """Whether it is a page for people."""
    return bool(_HTML.match(body[:8192]))


def title(body: bytes) -> str:
    """The title of an HTML page, for messages."""
    found = _TITLE.search(body[:65536])
    return found[1].decode("utf-8", "replace").strip() if found else "no title"


def without_doctype(body: bytes) -> bytes:
    """Without its document type declaration, and so without the entities that it declares."""
    return _DOCTYPE.sub(b"", body, count=1)


def mend_text(body: bytes, repairs: list[str]) -> bytes:
    """The body as UTF-8 without what XML can't hold; what was changed is added to ``repairs``."""
    declaration = _DECLARATION.match(body)
    named = _ENCODING.search(declaration[0]) if declaration else None
    text = _decode(body, named[1].decode() if named else "utf-8", repairs)
    if declaration:
        text = text[text.find("?>") + 2 :].lstrip()
    text, count = _ILLEGAL.subn("", text)
    _report(repairs, count, "control characters were left out")
    text, count = _sub_counting(_REFERENCE, _legal_reference, text)
    _report(repairs, count, "references to control characters were left out")
    text, count = _sub_counting(_NAMED, _named_entity, text)
    _report(repairs, count, "named entities were replaced")
    text, count = _BARE.subn("&amp;", text)
    _report(repairs, count, "bare ampersands were escaped")
    return text.encode()


def is_whole(body: bytes) -> bool:
    """Whether it ends as an answer does."""
    return bool(_END.search(body[-2048:]))


def cut_records(body: bytes) -> tuple[bytes, list[bytes], bytes] | None:
    """What stands before the records, each record, and what stands after; None where it can't be told."""
    starts = [found.start() for found in _RECORD.finditer(body)]
    if not starts:
        return None
    ends = [found.start() for found in _RECORDS_END.finditer(body, starts[-1])]
    if not ends:
        return None
    bounds = [*starts, ends[0]]
    pieces = [body[start:end] for start, end in itertools.pairwise(bounds)]
    return body[: starts[0]], pieces, body[ends[0] :]


def find_identifier(piece: bytes) -> str:
    """The identifier in the header of a broken record; empty where it can't be read."""
    found = _IDENTIFIER.search(piece)
    return unescape(found[1].decode("utf-8", "replace")) if found else ""


def unescape(text: str) -> str:
    """The text that stands in XML as ``text``."""
    return html.unescape(text)


def _decode(body: bytes, encoding: str, repairs: list[str]) -> str:
    try:
        return body.decode(encoding)
    except LookupError:
        repairs.append(f"unknown encoding {encoding!r}: read as UTF-8")
    except UnicodeDecodeError:
        pass
    text = body.decode("utf-8", "replace")
    _report(repairs, text.count("\ufffd"), "bytes that are not UTF-8 were replaced")
    return text


def _sub_counting(pattern: re.Pattern[str], change: "type[str] | object", text: str) -> tuple[str, int]:
    changed = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal changed
        new = change(found)  # type: ignore[operator]
        changed += new != found[0]
        return new

    return pattern.sub(replace, text), changed


def _legal_reference(found: re.Match[str]) -> str:
    number = int(found[1][1:], 16) if found[1].startswith("x") else int(found[1])
    legal = (
        number in (9, 10, 13) or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or 0x10000 <= number <= 0x10FFFF
    )
    return found[0] if legal else ""


def _named_entity(found: re.Match[str]) -> str:
    if found[1] in _XML_NAMES:
        return found[0]
    meant = html.unescape(found[0])
    return f"&amp;{found[1]};" if meant == found[0] else meant


def _report(repairs: list[str], count: int, what: str) -> None:
    if count:
        repairs.append(f"{count} {what}")
