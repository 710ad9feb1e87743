"""The rules of a definition that its structures can't tell."""

import codecs
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import jmespath
import jmespath.exceptions
from cssselect import SelectorError
from lxml import etree
from parsel.csstranslator import HTMLTranslator

from crawlers.runtime.http import is_http_url
from crawlers.runtime.manifest import nearest
from crawlers.runtime.pages.definition import (
    CursorPager,
    Definition,
    Field,
    ListPager,
    NextPager,
    NumbersPager,
    OffsetPager,
    Page,
    Selection,
)
from crawlers.runtime.pages.processors import StepError, make_step

NAME = re.compile(r"[a-z][a-z0-9_]*")
URL_FIELD = "url"
_PLACEHOLDERS = {NumbersPager: {"page"}, ListPager: {"page"}, OffsetPager: {"offset", "limit"}, CursorPager: {"cursor"}}


class Fault(Exception):
    """Something in a definition is wrong. ``place``: the keys, from the top, that lead there."""

    def __init__(self, place: tuple[str | int, ...], reason: str) -> None:
        super().__init__(reason)
        self.place = place

    @property
    def where(self) -> str:
        """The place as a person writes it."""
        return ".".join(str(key) for key in self.place) or "the definition"


def check(definition: Definition) -> None:
    """Check the whole definition.

    :raises Fault: at the first rule that is broken.
    """
    if not definition.pages:
        raise Fault(("pages",), "there is no page; write at least one table [pages.NAME]")
    for name, page in definition.pages.items():
        if not NAME.fullmatch(name):
            raise Fault(
                ("pages", name), f"{name!r} is no name for a page: lower-case letters, digits and _, a letter first"
            )
        _check_reached(definition, name, page)
    for name, page in definition.pages.items():
        place = ("pages", name)
        _check_page(page, place)
        if page.pager:
            _check_pager(page, place)
        if not page.record and not definition.links_from(name):
            raise Fault(place, f"makes no record and leads to no page: give it [pages.{name}.record], or links to it")
        if page.record and "_id" not in page.record:
            raise Fault((*place, "record"), "has no _id: the site's own identifier of what the record is about")
        _check_references(definition, name, page)
    if not any(page.record for page in definition.pages.values()):
        raise Fault(("pages",), "no page makes a record; write a table [pages.NAME.record]")


def inherited(definition: Definition, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The names of the fields that pages which lead to the page ``name`` give it."""
    fields: set[str] = set()
    for parent in _parents(definition.pages[name]):
        if parent in definition.pages and parent not in seen:
            fields |= set(definition.pages[parent].fields) | inherited(definition, parent, seen | {name})
    return fields


def _parents(page: Page) -> list[str]:
    return [
        parent
        for links in page.links_to_it
        for parent in ([links.parents] if isinstance(links.parents, str) else links.parents)
    ]


def _check_reached(definition: Definition, name: str, page: Page) -> None:
    place = ("pages", name)
    for url in page.starts:
        if not is_http_url(url):
            raise Fault((*place, "start"), f"{url!r} is no URL that can be asked for; expected is http(s)://host/path")
    for parent in _parents(page):
        if parent not in definition.pages:
            names = list(definition.pages)
            raise Fault(
                (*place, "links", "from"),
                f"no page is called {parent!r}.{nearest(parent, names)} Pages: {', '.join(names)}",
            )
    if not page.starts and not page.links and not start_template(page):
        raise Fault(place, "is never reached: give it a start, or links from another page")


def start_template(page: Page) -> str:
    """The template of the first page's URL, where a pager alone says how a page is reached; else empty."""
    pager = page.pager
    if page.starts or page.links or not isinstance(pager, NumbersPager | ListPager | OffsetPager):
        return ""
    return pager.url if is_http_url(re.sub(r"\{\w+\}", "0", pager.url)) else ""


def _check_page(page: Page, place: tuple) -> None:
    for number, condition in enumerate(page.check):
        if isinstance(condition, Selection):
            _check_selection(condition, (*place, "check", number))
    if page.labelled:
        _check_xpath(page.labelled, (*place, "labelled"))
        if "$label" not in page.labelled:
            raise Fault((*place, "labelled"), "has no $label in it, which stands for the label of each field")
    if page.each:
        _check_selection(page.each, (*place, "each"), ("css", "xpath", "json", "jsonld"))
    if page.whole and not (page.record and page.each and (page.each.json or page.each.jsonld)):
        raise Fault((*place, "whole"), "needs a record, and items that are JSON: each = { json = … } or { jsonld = … }")
    for links in page.links_to_it:
        _check_selection(links, (*place, "links"))
        if links.matching:
            _check_pattern(links.matching, (*place, "links", "matching"))
    for kind in ("images", "files"):
        media = getattr(page, kind)
        if media:
            _check_selection(media, (*place, kind))
            if not page.record:
                raise Fault((*place, kind), "belongs to a page that makes a record")
    for table in ("fields", "record"):
        for name, field in (getattr(page, table) or {}).items():
            _check_field(field, (*place, table, name))
    if page.encoding:
        try:
            codecs.lookup(page.encoding)
        except LookupError:
            raise Fault((*place, "encoding"), f"{page.encoding!r} is no charset that Python knows") from None
    if rendering := page.rendering:
        selectors = [("wait_for", rendering.wait_for)]
        for number, step in enumerate(rendering.steps):
            selectors += [(f"steps.{number}.click", step.click), (f"steps.{number}.wait_for", step.wait_for)]
        for key, css in selectors:
            if css:
                _check_css(css, (*place, "browser", *key.split(".")))


def _check_field(field: Field, place: tuple) -> None:
    if field.object is None:
        if field.each:
            raise Fault((*place, "each"), "goes with an object: object = { … }")
        _check_selection(field, place)
        return
    if field.places or field.all or (field.processors and not field.each):
        raise Fault(place, "is an object: it has no place, processors or all of its own; a list of objects has `each`")
    _check_steps(field, place)
    if field.each:
        _check_selection(field.each, (*place, "each"), ("css", "xpath", "label", "json"))
    for name, inner in field.object.items():
        _check_field(inner, (*place, "object", name))


def _check_selection(selection: Selection, place: tuple, allowed: tuple[str, ...] = Selection.PLACES) -> None:
    if len(selection.places) != 1 or selection.places[0] not in allowed:
        got = ", ".join(selection.places) or "none"
        raise Fault(place, f"needs exactly one of {', '.join(allowed)}; got: {got}")
    if selection.css:
        _check_css(selection.css, (*place, "css"))
    if selection.xpath:
        _check_xpath(selection.xpath, (*place, "xpath"))
    if selection.json:
        try:
            jmespath.compile(selection.json)
        except jmespath.exceptions.JMESPathError as error:
            raise Fault((*place, "json"), f"{selection.json!r} is no JMESPath expression: {error}") from error
    if selection.regex:
        _check_pattern(selection.regex, (*place, "regex"))
    _check_steps(selection, place)


def _check_steps(selection: Selection, place: tuple) -> None:
    for number, step in enumerate(selection.processors):
        try:
            make_step(step)
        except StepError as error:
            raise Fault((*place, "processors", number), str(error)) from error


def _check_xpath(xpath: str, place: tuple) -> None:
    try:
        etree.XPath(xpath, namespaces={"re": "http://exslt.org/regular-expressions"})
    except etree.XPathError as error:
        raise Fault(place, f"{xpath!r} is no XPath: {error}") from error


def _check_css(css: str, place: tuple) -> None:
    try:
        HTMLTranslator().css_to_xpath(css)
    except SelectorError as error:
        raise Fault(place, f"{css!r} is no CSS selector: {error}") from error


def _check_pattern(pattern: str, place: tuple) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise Fault(place, f"{pattern!r} is no regular expression: {error}") from error


def _check_pager(page: Page, place: tuple) -> None:
    pager = page.pager
    place = (*place, "pager")
    for key in ("link", "cursor", "stop", "total"):
        if isinstance(selection := getattr(pager, key, None), Selection):
            _check_selection(selection, (*place, key))
    if pager is None or isinstance(pager, NextPager):
        return
    needed = _PLACEHOLDERS[type(pager)]
    got = set(re.findall(r"\{(\w*)\}", pager.url))
    if got - needed or not got & (needed - {"limit"}):
        wanted = " and ".join(f"{{{name}}}" for name in sorted(needed, reverse=True))
        raise Fault(
            (*place, "url"), f"{pager.url!r} has to hold {wanted} and no other; got: {', '.join(sorted(got)) or 'none'}"
        )
    if isinstance(pager, NumbersPager) and isinstance(pager.stop, int) and pager.stop < pager.start:
        raise Fault((*place, "stop"), f"{pager.stop} comes before the start, {pager.start}")
    if not (page.starts or page.links or start_template(page)):
        raise Fault((*place, "url"), "is no absolute URL: give it whole, or give the page a start")


def _check_references(definition: Definition, name: str, page: Page) -> None:
    for table in ("fields", "record"):
        for key, field in (getattr(page, table) or {}).items():
            if field.label and not page.labelled:
                raise Fault(
                    ("pages", name, table, key, "label"),
                    f"needs pages.{name}.labelled, an XPath expression with $label in it",
                )
    own = {URL_FIELD, *inherited(definition, name)}
    for table, known in (("fields", own), ("record", own | set(page.fields))):
        for field_name, field in (getattr(page, table) or {}).items():
            for place, reference in _references(field, ("pages", name, table, field_name)):
                _check_known(reference, known, place)
    for links in page.links_to_it:
        if links.field:
            _check_known(links.field, own, ("pages", name, "links", "field"))


def _check_known(reference: str, known: set[str], place: tuple) -> None:
    if reference not in known:
        names = sorted(known)
        raise Fault(
            place, f"no field is called {reference!r}.{nearest(reference, names)} Fields here: {', '.join(names)}"
        )


def _references(field: Field, place: tuple) -> Iterator[tuple[tuple, str]]:
    if field.field:
        yield (*place, "field"), field.field
    for name, inner in (field.object or {}).items():
        yield from _references(inner, (*place, "object", name))


def hosts_of(definition: Definition) -> list[str]:
    """The hosts that are crawled: those that the definition names, or those of its start URLs and templates."""
    if definition.hosts:
        return definition.hosts
    urls = [url for page in definition.pages.values() for url in [*page.starts, start_template(page)] if url]
    return sorted({urlsplit(url).hostname or "" for url in urls} - {""})
