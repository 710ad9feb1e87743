"""Reading XML elements by their local names: servers get namespaces wrong, or leave them out, more often than names."""

import html
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from crawlers.runtime.oai.names import LOCAL

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
HREF = "{http://www.w3.org/1999/xlink}href"
_whole_text = etree.XPath("string()")
# Only names of HTML's (and JATS' in Crossref's clothes): "p<q and r>s" is no markup.
_INLINE = re.compile(
    r"</?(?:a|abbr|b|cite|code|em|font|i|italic|mark|q|s|small|span|strike|strong|sub|sup|tt|u|var|jats:(?:bold|italic|sub|sup))"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"</?(?:article|blockquote|body|br|center|dd|div|dl|dt|figcaption|figure|h[1-6]|head|hr|html|img|jats:[a-z-]+|li|ol|p|pre|"
    r"section|style|table|tbody|td|tfoot|th|thead|title|tr|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)


def children(element: Any, name: str) -> list[Any]:
    """The children of that local name."""
    return [child for child in element if LOCAL[child.tag] == name]


def child(element: Any, name: str) -> Any:
    """The first child of that local name, or None."""
    return next((found for found in element if LOCAL[found.tag] == name), None)


def descend(element: Any, *names: str) -> Iterator[Any]:
    """All elements at the end of this path of local names."""
    if not names:
        yield element
        return
    for found in element:
        if LOCAL[found.tag] == names[0]:
            yield from descend(found, *names[1:])


def words(element: Any) -> str:
    """The text in ``element`` and all below it, white space squeezed; empty for None."""
    if element is None:
        return ""
    text = element.text if not len(element) else _whole_text(element)
    return squeezed(text) if text else ""


def squeezed(text: str) -> str:
    """``text`` with one blank for each stretch of white space, and none around it."""
    # Most texts are in order: seeing that takes a tenth of the time of putting them together anew.
    if "  " in text or "\n" in text or "\t" in text or "\r" in text or "\xa0" in text:
        return " ".join(text.split())
    return text.strip()


def words_at(element: Any, *names: str) -> str:
    """The ``words`` of the first element at the end of this path; empty where there is none."""
    return words(next(descend(element, *names), None))


def plain(element: Any) -> str:
    """The ``words``, where they are HTML written as text, without the markup: once or twice escaped, as repositories do."""
    text = words(element)
    if "&" not in text and "<" not in text:
        return text
    for _ in range(2):
        text = html.unescape(text)
        if "<" in text:
            text = _BLOCK.sub(" ", _INLINE.sub("", text))
    return squeezed(text)


def language_of(element: Any) -> str:
    """Its ``xml:lang``, or the ``lang`` that some write instead; empty where there is none."""
    return element.get(LANG) or element.get("lang") or ""
