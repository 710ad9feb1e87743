"""A site as data: what ``pages.toml`` says, as structures. ``reading`` makes them of the file and checks them.

A definition is a hierarchy of pages. Each kind of page has a name, and is reached by its ``start`` URLs or by ``links`` of
another; it gives ``fields`` to the pages that it links to, and records. docs/pages.md is the reference for who writes one.
"""

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

DEFINITION = "pages.toml"

Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Url = Text  # whether it can be asked for, `checks` finds out
Count = Annotated[int, Meta(ge=1)]
Status = Annotated[int, Meta(ge=300, le=599)]
# The name of a processor, or a table of one key: the name, and its argument.
Step = str | dict[str, Any]


class Selection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where values stand: in exactly one of these places; ``processors`` then change them, one after the other.

    ``css``, ``xpath``: elements, attributes or text of the page, or of the item. An element stands for its text.
    ``json``: a JMESPath expression (https://jmespath.org/specification.html) on the page as JSON, or on the item.
    ``jsonld``: the page's JSON-LD objects of these schema.org types.
    ``label``: what stands at this label, or at these, by the page's ``labelled``.
    ``regex``: on the text of the page or item; its first group, or all of the match where it has none.
    ``value``: a constant. ``field``: a field of this page or of one that led to it; ``url`` is the page's address.
    """

    PLACES: ClassVar = ("css", "xpath", "label", "json", "jsonld", "regex", "value", "field")

    css: Text | None = None
    xpath: Text | None = None
    label: Text | list[Text] | None = None
    json: Text | None = None
    jsonld: Text | list[Text] | None = None
    regex: Text | None = None
    value: Any = None
    field: Text | None = None
    processors: list[Step] = msgspec.field(default_factory=list)

    @property
    def places(self) -> list[str]:
        """The places that are named."""
        return [place for place in self.PLACES if getattr(self, place) is not None]


class Field(Selection, frozen=True, kw_only=True):
    """A field of a record. ``all``: a list of all values instead of the first; ``required``: the page fails without it.

    ``object``: the field is an object with these fields, and no place of its own; with ``each``, a list of such objects, one for
    each element or JSON value selected, which may go through processors.
    """

    all: bool = False
    required: bool = False
    each: Selection | None = None
    object: dict[str, "Field"] | None = None


class Links(Selection, frozen=True, kw_only=True):
    """Links that lead to a page. ``parents`` (``from``): the names of the pages that hold them.

    An element stands for its ``href`` or ``src``. ``matching``: regular expression found in the URLs that are followed.
    """

    parents: Text | list[Text] = msgspec.field(name="from")
    matching: Text | None = None


class Pager(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """How a page goes on. ``max_pages``: more than these are an error, and nothing is published.

    ``end_statuses``: HTTP statuses by which the site says that there are no more pages, e.g. 404.
    """

    max_pages: Count = 10_000
    end_statuses: list[Status] = msgspec.field(default_factory=list)


class NextPager(Pager, frozen=True, kw_only=True, tag="next"):
    """By a link to the next page; the last page has none."""

    link: Selection


class NumbersPager(Pager, frozen=True, kw_only=True, tag="numbers"):
    """By numbers, put for ``{page}`` into ``url``. ``start``: the number of the first page.

    ``stop``: the number of the last page, or where the first page says it; each page up to it must be there. Without it, the
    pager ends at a page that is empty or that repeats an earlier one.
    """

    url: Text
    start: int = 1
    step: Count = 1
    stop: int | Selection | None = None


class ListPager(Pager, frozen=True, kw_only=True, tag="list"):
    """By each of ``values``, put for ``{page}`` into ``url``."""

    url: Text
    values: Annotated[list[str | int], Meta(min_length=1)]


class OffsetPager(Pager, frozen=True, kw_only=True, tag="offset"):
    """By how many items come before, put for ``{offset}`` into ``url``, and ``limit`` for ``{limit}``.

    ``total``: where the first page says how many items there are; each page up to it must be there. Without it, the pager ends
    at a page that is empty or that repeats an earlier one.
    """

    url: Text
    start: Annotated[int, Meta(ge=0)] = 0
    limit: Count
    total: int | Selection | None = None


class CursorPager(Pager, frozen=True, kw_only=True, tag="cursor"):
    """By a cursor that each page gives for the next one, put for ``{cursor}`` into ``url``; the last page gives none."""

    url: Text
    cursor: Selection


AnyPager = NextPager | NumbersPager | ListPager | OffsetPager | CursorPager


class BrowserStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done in a rendered page before it is read: click on ``click`` (a CSS selector), then wait for ``wait_for`` (another).

    ``times``: click again and again, at most so often, until there is no such element to be seen: a "load more" button.
    ``optional``: it is no failure if there is none at all: a cookie banner.
    """

    click: Text
    wait_for: Text | None = None
    times: Annotated[int, Meta(ge=1, le=10_000)] = 1
    optional: bool = False


class Browser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a page is rendered. ``wait_for``: the CSS selector of what shows that it is ready; then ``steps``, in order."""

    wait_for: Text | None = None
    steps: list[BrowserStep] = msgspec.field(default_factory=list)


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of page.

    ``start``: URLs at which the crawl starts; ``links``: what leads to the page.
    ``check``: what must be there, text or selection, or the page counts as blocked or changed.
    ``labelled``: an XPath expression that leads from a label, ``$label`` in it, to what stands there.
    ``each``: the items of the page, each with fields, links and a record of its own; without it, the page is one item.
    ``pager``: how the page goes on.
    ``fields``: values for its records and for those of the pages that it leads to.
    ``record``: the record that each item makes; ``whole``: of a JSON item, with all that is in it besides.
    ``may_be_empty``: a page, or an item, without a link, record or next page is no error.
    ``refetch_days``: for how long a stored page is taken as it is before the site is asked whether it changed.
    ``max_pages``: more pages of this kind are an error, and nothing is published; ``max_links``: more links on one page are
    an error of that page. ``encoding``: the page's charset, where the site says a wrong one.
    ``browser``: the page needs JavaScript. ``images``, ``files``: what is kept beside its records; an element stands for its ``src`` or
    ``href``. Their URLs become the record's ``image_urls`` and ``file_urls``, as Scrapy's media pipelines have it.
    """

    start: Url | list[Url] | None = None
    links: Links | list[Links] | None = None
    check: list[Text | Selection] = msgspec.field(default_factory=list)
    labelled: Text | None = None
    each: Selection | None = None
    pager: AnyPager | None = None
    fields: dict[str, Field] = msgspec.field(default_factory=dict)
    record: dict[str, Field] | None = None
    whole: bool = False
    may_be_empty: bool = False
    refetch_days: Annotated[float, Meta(ge=0)] = 0
    max_pages: Count = 1_000_000
    max_links: Count = 20_000
    encoding: Text | None = None
    browser: bool | Browser = False
    images: Selection | None = None
    files: Selection | None = None

    @property
    def starts(self) -> list[str]:
        return [self.start] if isinstance(self.start, str) else self.start or []

    @property
    def links_to_it(self) -> list[Links]:
        return [self.links] if isinstance(self.links, Links) else self.links or []

    @property
    def rendering(self) -> Browser | None:
        """How a browser renders the page; None where it needs none."""
        return (Browser() if self.browser else None) if isinstance(self.browser, bool) else self.browser


class Definition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``pages.toml``. ``hosts``: those that are crawled; default: the hosts of the start URLs. ``pages``: by name."""

    hosts: list[Text] = msgspec.field(default_factory=list)
    pages: dict[str, Page]

    def links_from(self, name: str) -> list[tuple[str, Links]]:
        """The links that the page ``name`` holds, each with the name of the page that they lead to."""
        return [
            (child, links)
            for child, page in self.pages.items()
            for links in page.links_to_it
            if name in ([links.parents] if isinstance(links.parents, str) else links.parents)
        ]
