"""Parsers of plain values: text, language, URL, number, boolean.

Each takes whatever a site may give, returns the value of its type or raises :class:`Unparsable`, and gives its own output back
as it is.
"""

import html
import math
import re
from typing import Any
from urllib.parse import urlsplit

import langcodes
from w3lib.url import safe_url_string

from crawlers.runtime.schema.unparsable import Unparsable, kind_of, plain

MAX_URL_LENGTH = 8000
# Far longer than any abstract; what is longer would cost seconds, and as a document of MongoDB hardly be let pass.
MAX_TEXT_LENGTH = 2_000_000
# Deeper than any generator of pages escapes twice by mistake; each further level costs one more walk through the text.
MAX_ESCAPING = 8
_SIXTY_FOUR_BITS = range(-(2**63), 2**64)
# Elements of HTML, and of the JATS and MathML that publishers put into abstracts. "x<y and z>w" is none of them.
_ELEMENTS = frozenset(
    """a abbr address article aside b bdi bdo big blockquote body br caption center cite code col colgroup dd del details dfn div
    dl dt em figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li
    link main mark meta nav ol option p pre q s samp section select small span strike strong sub summary sup table tbody td
    textarea tfoot th thead time title tr tt u ul var wbr""".split()  # noqa: SIM905 - as a list it would fill a page
)
# Those that begin a line of their own.
_BREAKING = frozenset(
    """address article blockquote br dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li ol p pre section table td th tr ul
    jats:p jats:title jats:sec jats:list-item""".split()  # noqa: SIM905
)
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*(?::\w+)?)((?:\s[^<>]*)?/?)>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")
_SCHEME = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_GROUPED = re.compile(
    r"[+-]?\d{1,3}(?:([ ,'\u00a0\u202f])\d{3})(?:\1\d{3})+(?:\.\d+)?|[+-]?\d{1,3}(?:[ '\u00a0\u202f]\d{3})", re.ASCII
)
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "1", "https://schema.org/true", "http://schema.org/true"), True),
    **dict.fromkeys(("false", "no", "n", "0", "https://schema.org/false", "http://schema.org/false"), False),
}


def parse_line(value: Any) -> str:
    """Text on one line, without HTML. Numbers become text; what is empty without its HTML is an empty string."""
    return " ".join(_text(value).split())


def parse_text(value: Any) -> str:
    """Text without HTML, its paragraphs on lines of their own; a list of texts is joined."""
    if isinstance(value, list | tuple):
        return parse_text("\n".join(_text(plain(part)) for part in value))
    lines = (" ".join(line.split()) for line in _text(value).split("\n"))
    return "\n".join(filter(None, lines))


def parse_language(value: Any) -> str:
    """A language as BCP 47 (https://www.rfc-editor.org/info/bcp47): "en", "pt-BR"; also from names and three-letter codes."""
    name = value.get("alternateName") or value.get("name") if isinstance(value, dict) else value
    text = parse_line(name)
    if not text or len(text) > 60:
        raise Unparsable("not a language")
    try:
        language = langcodes.get(text, normalize=True)
        if not language.is_valid():
            raise Unparsable("not a language")
    except langcodes.LanguageTagError:
        try:
            language = langcodes.find(text)
        except LookupError:
            raise Unparsable("not a language") from None
    return language.to_tag()


def parse_url(value: Any) -> str:
    """An absolute URL of a web or FTP site, escaped where need be."""
    found = value.get("@id") or value.get("url") if isinstance(value, dict) else value
    if not isinstance(found, str):
        raise Unparsable(f"is {kind_of(value)}, expected is a URL")
    text = _whole(found).strip()
    if len(text) > MAX_URL_LENGTH:
        raise Unparsable(f"a URL longer than {MAX_URL_LENGTH} characters")
    if not _SCHEME.match(text):
        raise Unparsable("not a URL that begins with http://, https:// or ftp://")
    if re.search(r"[<>\x00-\x1f\x7f]", text):
        raise Unparsable("a URL with characters that none may have")
    if re.search(r"\s\S*://", text):
        raise Unparsable("several URLs, one is expected")
    try:
        if not urlsplit(text).hostname:
            raise Unparsable("a URL without a host")
        url = safe_url_string(text)
        # Only what comes out the same again is sure to be the same URL everywhere.
        if url != text and (safe_url_string(url) != url or not urlsplit(url).hostname):
            raise Unparsable("not a valid URL")
    except Unparsable:
        raise
    except ValueError:
        raise Unparsable("not a valid URL") from None
    return url


def parse_number(value: Any) -> int | float:
    """A finite number of at most 64 bits; a text is one with or without separators of thousands."""
    if isinstance(value, str):
        return _number(" ".join(value.split()) if len(value) <= 60 else "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unparsable(f"is {kind_of(value)}, expected is a number")
    if isinstance(value, int) and value not in _SIXTY_FOUR_BITS:
        raise Unparsable("a number beyond 64 bits")
    if not math.isfinite(value):
        raise Unparsable("not a finite number")
    return value


def parse_boolean(value: Any) -> bool:
    """True or false, also as text or 1 and 0."""
    if isinstance(value, bool):
        return value
    if (
        isinstance(value, int | str)
        and (found := _BOOLEANS.get(str(value).strip().lower() if _short(value) else "")) is not None
    ):
        return found
    raise Unparsable(f"is {kind_of(value)}, expected is true or false")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unparsable(f"is {kind_of(value)}, expected is text")
    if not isinstance(value, str):
        return str(parse_number(value))
    if len(value) > MAX_TEXT_LENGTH:
        raise Unparsable(f"text longer than {MAX_TEXT_LENGTH} characters")
    text = _CONTROL.sub("", _whole(value))
    for _ in range(MAX_ESCAPING):
        before = text
        if "<" in text:
            text = _without_markup(text)
        if "&" in text:
            text = _CONTROL.sub("", _ENTITY.sub(lambda match: html.unescape(match[0]), text))
        if text == before:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise Unparsable(f"HTML that is escaped more than {MAX_ESCAPING} times over")


def _whole(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unparsable("text that is cut in the middle of a character (a lone surrogate)") from None
    return text


def _without_markup(text: str) -> str:
    for start, end in (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"), ("<![CDATA[", "]]>")):
        if start in text:
            text = _without_block(text, start, end, keep=start == "<![CDATA[")
    return _TAG.sub(_blank_for_tag, text)


def _without_block(text: str, start: str, end: str, *, keep: bool) -> str:
    """``text`` without what stands from each ``start`` to its ``end``; ``keep``: without these marks alone."""
    parts: list[str] = []
    while True:
        before, found, rest = text.partition(start)
        inner, closed, after = rest.partition(end)
        if not found or not closed:
            return "".join([*parts, text])
        parts += [before, inner] if keep else [before, " "]
        text = after


def _blank_for_tag(match: re.Match[str]) -> str:
    name, rest = match[1].lower(), match[2].strip("/ \t\r\n")
    if name not in _ELEMENTS and not name.startswith(("jats:", "mml:")):
        return match[0]
    if rest and "=" not in rest:  # no attributes: "a<b and c>d"
        return match[0]
    return "\n" if name in _BREAKING else ""


def _number(text: str) -> int | float:
    if _GROUPED.fullmatch(text):
        text = re.sub(r"[ ,'\u00a0\u202f]", "", text)
    elif re.fullmatch(r"[+-]?\d{1,3},\d{3}", text):
        raise Unparsable("ambiguous: the comma may separate thousands or decimals")
    elif re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text):
        raise Unparsable("not a number")
    return parse_number(int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text))


def _short(value: int | str) -> bool:
    return len(value) <= 60 if isinstance(value, str) else value in (0, 1)
