"""Takes values out of a page, as a definition's selections say."""

import re
from collections.abc import Callable
from typing import Any

import jmespath
import orjson
from lxml import etree
from parsel.csstranslator import HTMLTranslator
from scrapy.http import Response, TextResponse
from scrapy.utils.response import get_base_url

from crawlers.runtime.errors import PageError
from crawlers.runtime.fields import filled, listed
from crawlers.runtime.jsonld import extract_jsonld
from crawlers.runtime.pages.checks import URL_FIELD
from crawlers.runtime.pages.definition import Field, Selection
from crawlers.runtime.pages.processors import make_step

_NAMESPACES = {"re": "http://exslt.org/regular-expressions"}
_EMPTY: tuple[Any, ...] = (None, "", [], {})
# Elements that stand apart from the text around them.
_APART = frozenset(
    ("address", "article", "br", "dd", "div", "dl", "dt", "figcaption", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header",
     "hr", "li", "ol", "p", "pre", "section", "table", "td", "th", "tr", "ul")
)  # fmt: skip
_LINKING = frozenset(("a", "area", "audio", "embed", "iframe", "img", "link", "script", "source", "video"))
_UNSEEN = frozenset(("script", "style", "template", "noscript"))


class FieldFault(ValueError):
    """A field can't be had. ``field``: its name, those of the objects around it before it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Scope:
    """A page, or an item of it: what selections are applied to.

    ``labelled``: leads from a label to what stands there.
    ``inherited``: the fields that the pages which led here gave; ``fields``: all named values that are known here.
    """

    def __init__(self, response: Response, inherited: dict[str, Any], labelled: etree.XPath | None = None) -> None:
        self.response = response
        self.labelled = labelled
        self.url = response.url
        self.inherited = inherited
        self.fields = {**inherited, URL_FIELD: response.url}
        self._root: Any = None
        self._data: Any = None

    def item(self, value: Any) -> "Scope":
        """The scope of an item: an element, or a JSON value."""
        scope = Scope(self.response, self.inherited, self.labelled)
        if isinstance(value, etree._Element):
            scope._root = value
        else:
            scope._data = value
        return scope

    @property
    def root(self) -> Any:
        """The element: the page's, unless the item is one."""
        if self._root is None:
            if not isinstance(self.response, TextResponse):
                raise PageError(self.url, "is no text; expected is a page in HTML or XML")
            selector = self.response.selector
            if selector.type not in ("html", "xml"):  # JSON, say: it holds no element
                self._root = etree.Element("html")
            else:
                if selector.type == "xml" and "namespaces_removed" not in self.response.flags:
                    selector.remove_namespaces()
                    self.response.flags.append("namespaces_removed")
                self._root = selector.root
        return self._root

    @property
    def data(self) -> Any:
        """The JSON value: that of the page, unless the item is one."""
        if self._data is None:
            try:
                self._data = orjson.loads(self.response.body)
            except orjson.JSONDecodeError as error:
                begin = self.response.body[:80]
                raise PageError(self.url, f"is no JSON: {error}; it begins {begin!r}") from error
        return self._data

    def at_label(self, label: str) -> list[Any]:
        """What stands at the label."""
        return listed(self.labelled(self.root, label=label)) if self.labelled else []

    @property
    def base_url(self) -> str:
        """What links of the page are relative to."""
        return get_base_url(self.response) if isinstance(self.response, TextResponse) else self.url

    @property
    def text(self) -> str:
        """The text as it was sent, or that of the item."""
        if self._data is not None:
            return orjson.dumps(self._data).decode()
        if self._root is not None and self._root.getparent() is not None:
            return text_of(self._root)
        return self.response.text if isinstance(self.response, TextResponse) else ""


class Selector:
    """A selection, compiled. ``of_link``: an element stands for what it links to, instead of for its text."""

    def __init__(self, selection: Selection, *, of_link: bool = False) -> None:
        self.selection = selection
        [self.place] = selection.places
        self._of_link = of_link
        self._steps = [make_step(step) for step in selection.processors]
        self.raw = self._compile()

    def values(self, scope: Scope) -> list[Any]:
        """All values, after the processors.

        :raises ValueError: a processor can't do with what it got.
        """
        return listed(self.process(self._as_values(self.raw(scope)), scope))

    def items(self, scope: Scope) -> list[Scope]:
        """A scope for each element or JSON value that is selected."""
        return [scope.item(value) for value in self.raw(scope) if value not in _EMPTY]

    def first(self, scope: Scope) -> Any:
        """The first value, after the processors; None where there is none."""
        values = self._as_values(self.raw(scope))
        return self.process(values[0] if values else None, scope)

    def process(self, value: Any, scope: Scope) -> Any:
        for step in self._steps:
            value = step(value, scope.base_url)
        return value

    def _as_values(self, found: list[Any]) -> list[Any]:
        as_text = linked if self._of_link else text_of
        values = (as_text(value) if isinstance(value, etree._Element) else value for value in found)
        return [value for value in values if value not in _EMPTY and not (isinstance(value, str) and not value.strip())]

    def _compile(self) -> Callable[[Scope], list[Any]]:
        selection = self.selection
        if selection.css or selection.xpath:
            find = compile_xpath(HTMLTranslator().css_to_xpath(selection.css) if selection.css else selection.xpath)
            return lambda scope: listed(find(scope.root))
        if selection.label:
            labels = listed(selection.label)
            return lambda scope: [found for label in labels for found in scope.at_label(label)]
        if selection.json:
            search = jmespath.compile(selection.json).search
            return lambda scope: listed(search(scope.data))
        if selection.jsonld:
            types = (selection.jsonld,) if isinstance(selection.jsonld, str) else tuple(selection.jsonld)
            return lambda scope: _jsonld(scope, types)
        if selection.regex:
            pattern = re.compile(selection.regex)
            group = 1 if pattern.groups else 0
            return lambda scope: [found[group] for found in pattern.finditer(scope.text)]
        if selection.field:
            name = selection.field
            return lambda scope: listed(scope.fields.get(name))
        return lambda scope: listed(selection.value)


class FieldReader:
    """A field, compiled. ``is_constant``: it has a value on each page, whatever the page holds."""

    def __init__(self, name: str, field: Field) -> None:
        self.name = name
        self.is_constant = field.value is not None
        self._field = field
        self._selector = None if field.object is not None else Selector(field)
        self._each = Selector(field.each) if field.each else None
        self._steps = [make_step(step) for step in field.processors] if field.each else []
        self._object = {key: FieldReader(f"{name}.{key}", inner) for key, inner in (field.object or {}).items()}

    def read(self, scope: Scope) -> Any:
        """The value of the field; None, or something empty, where there is none.

        :raises FieldFault: it is required and missing, or a processor can't do with what it got.
        """
        try:
            value = self._read(scope)
        except FieldFault:
            raise
        except (ValueError, OverflowError, TypeError) as error:
            raise FieldFault(self.name, str(error)) from error
        if self._field.required and value in _EMPTY:
            raise FieldFault(self.name, "is missing")
        return value

    def _read(self, scope: Scope) -> Any:
        if self._selector is not None:
            return self._selector.values(scope) if self._field.all else self._selector.first(scope)
        scopes = self._each.items(scope) if self._each else [scope]
        objects: Any = [made for inner in scopes if (made := read_fields(self._object, inner))]
        if self._each is None:
            return next(iter(objects), None)
        for step in self._steps:
            objects = step(objects, scope.base_url)
        return objects


def read_fields(readers: dict[str, FieldReader], scope: Scope) -> dict[str, Any]:
    """The fields that have a value; none where only constants have.

    :raises FieldFault: of the first field that can't be had.
    """
    fields = filled({name: reader.read(scope) for name, reader in readers.items()})
    return fields if any(not readers[name].is_constant for name in fields) else {}


def compile_xpath(path: str | None) -> etree.XPath:
    """The expression, compiled."""
    return etree.XPath(path, namespaces=_NAMESPACES, smart_strings=False)


def text_of(element: etree._Element) -> str:
    """The text of the element as it is read: blanks squeezed, scripts left out, blocks apart."""
    if not len(element):
        return " ".join((element.text or "").split())
    parts: list[str] = []
    walk = etree.iterwalk(element, events=("start", "end", "comment", "pi"))
    for event, node in walk:
        if event in ("comment", "pi"):
            parts.append(node.tail or "")
            continue
        if event == "start" and node.tag in _UNSEEN and node is not element:
            walk.skip_subtree()
        elif event == "start":
            parts.append(f" {node.text or ''}" if node.tag in _APART else node.text or "")
        if event == "end" and node is not element:
            parts.append(f" {node.tail or ''}" if node.tag in _APART else node.tail or "")
    return " ".join("".join(parts).split())


def linked(element: etree._Element) -> str:
    """What the element links to: its ``href`` or ``src``; of one that is not made for links, as in a sitemap, its text."""
    return element.get("href") or element.get("src") or ("" if element.tag in _LINKING else text_of(element))


def _jsonld(scope: Scope, types: tuple[str, ...]) -> list[Any]:
    """The page's JSON-LD objects of these types.

    :raises PageError: a block can't be read that may hold one.
    """
    if not isinstance(scope.response, TextResponse):
        raise PageError(scope.url, "is no text; expected is an HTML page with JSON-LD")
    extraction = extract_jsonld(scope.response.selector)
    items = extraction.of_types(types)
    for fault in extraction.faults:
        if not items or any(name in fault.text for name in types):
            raise PageError(scope.url, f"its {' or '.join(types)} can't all be read: {fault.reason}", "@type")
    return [{key: value for key, value in item.items() if key != "@context"} for item in items]
