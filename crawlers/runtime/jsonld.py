"""schema.org JSON-LD in landing pages: taken out of the HTML, and crawled.

Sites embed it as https://schema.org/docs/gs.html and https://json-ld.org/spec/latest/json-ld-api-best-practices say, more or
less. What can be read without guessing is read; what can't be is reported, never dropped in silence.
"""

import html
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import parsel
import scrapy
from scrapy.http import Response, TextResponse
from scrapy.utils.gz import gunzip, gzip_magic_number
from scrapy.utils.sitemap import Sitemap

from crawlers.runtime.errors import PageError
from crawlers.runtime.fields import listed

logger = logging.getLogger(__name__)

# Bioschemas extends schema.org, and is written beside it as if it were part of it.
_SCHEMA_ORG = r"https?://(?:www\.)?(?:schema|bioschemas)\.org/(?:types/)?"
_PREFIXES = {"schema", "sdo"}
# What wraps the JSON inside a script element, for readers of another age: comment and CDATA marks, also commented out.
_WRAPPING = re.compile(r"(?:(?://|/\*)?\s*(?:<!--|<!\[CDATA\[)\s*(?:\*/)?\s*)+")
_WRAPPING_END = re.compile(r"(?:(?://|/\*)?\s*(?:-->|\]\]>)\s*(?:\*/)?\s*)+$")
_WRAPPING_END_LENGTH = 80
_AROUND = " \t\r\n\f\v;\ufeff"
# A comma before a closing bracket, outside of strings: the string alternative comes first and is kept as it is.
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)
# Unpacked; https://www.sitemaps.org/protocol.html allows 50 MB.
_SITEMAP_MAX_BYTES = 64_000_000
# How deep objects of the same page are put in place of references to them.
_EMBED_DEPTH = 3


class Fault(NamedTuple):
    """A JSON-LD block that can't be read: why, and its text."""

    reason: str
    text: str


class Extraction(NamedTuple):
    """What the JSON-LD blocks of a page hold.

    ``objects``: the typed objects at the top of each block: members of lists and of ``@graph``, and what those name as
    their ``mainEntity``; keys and types without the schema.org prefix, references within the page resolved.
    ``faults``: the blocks that can't be read.
    """

    objects: list[dict[str, Any]]
    faults: list[Fault]

    def of_types(self, types: tuple[str, ...]) -> list[dict[str, Any]]:
        """The objects of one of the schema.org ``types``, the same one (by ``@id``) once."""
        found: dict[str, dict[str, Any]] = {}
        for number, item in enumerate(self.objects):
            if set(types).intersection(_types(item)):
                found.setdefault(str(item.get("@id") or number), item)
        return list(found.values())


def extract_jsonld(page: str | parsel.Selector) -> Extraction:
    """Read every JSON-LD block of an HTML page, given as text or selector."""
    selector = parsel.Selector(page) if isinstance(page, str) else page
    tops: list[dict[str, Any]] = []
    faults: list[Fault] = []
    scripts = selector.xpath("//script[@type]")
    blocks = [script for script in scripts if script.attrib["type"].strip().lower().startswith("application/ld+json")]
    for number, block in enumerate(blocks, start=1):
        text = "".join(block.xpath("text()").getall())
        try:
            tops.extend(_tops(_without_prefix(_decode(text))))
        except (ValueError, RecursionError) as error:
            reason = f"JSON-LD block {number} can't be read: {error}; it begins {text.strip()[:80]!r}"
            faults.append(Fault(reason, text))
    nodes = {item["@id"]: item for item in tops if isinstance(item.get("@id"), str) and len(item) > 1}
    objects = []
    for item in tops:
        try:
            objects += [_embed(item, nodes, ())] if _types(item) else []
        except RecursionError:
            faults.append(Fault(f"an object is nested too deeply; it begins {str(item.get('@type'))[:80]!r}", ""))
    return Extraction(objects, faults)


class JsonLdSpider(scrapy.Spider):
    """Crawls a site whose landing pages embed schema.org JSON-LD.

    ``start_urls``: sitemaps (also sitemap indexes, also gzipped), or HTML pages that list landing pages.
    ``landing_pattern``: regular expression found in the URLs of landing pages, and in no others.
    ``listing_pattern``: regular expression of further listings to follow; empty: all sitemaps of an index, no HTML pages.
    ``types``: the schema.org types that are records here.

    A landing page without a record, or with a block that can't be read, is a :class:`PageError`.
    """

    landing_pattern: str
    listing_pattern: str = ""
    types: tuple[str, ...] = ("Dataset",)

    def parse(self, response: Response) -> Iterator[Any]:
        """A landing page gives records; a sitemap or a listing gives requests for more pages."""
        sitemap = _sitemap(response)
        if sitemap is None and re.search(self.landing_pattern, response.url):
            yield from self.parse_landing(response)
            return
        urls = [entry["loc"] for entry in sitemap if entry.get("loc")] if sitemap else _links(response)
        is_index = sitemap is not None and sitemap.type == "sitemapindex"
        found = 0
        for url in urls:
            if not is_index and re.search(self.landing_pattern, url):
                found += 1
                yield response.follow(url, self.parse_landing)
            elif re.search(self.listing_pattern, url) if self.listing_pattern else is_index:
                found += 1
                yield response.follow(url, self.parse)
        if not found:
            raise PageError(
                response.url,
                f"none of its {len(urls)} links is a landing page or a listing. Expected are URLs in which "
                f"{self.landing_pattern!r} is found: has the site changed, or is landing_pattern wrong?",
            )

    def parse_landing(self, response: Response) -> Iterator[dict[str, Any]]:
        """The records of a landing page."""
        if not isinstance(response, TextResponse):
            raise PageError(response.url, "is no text; expected is an HTML page with JSON-LD")
        extraction = extract_jsonld(response.selector)
        items = extraction.of_types(self.types)
        for item in items:
            yield self.record(item, response)
        faults = extraction.faults
        if not items:
            found = ", ".join(sorted({name for item in extraction.objects for name in _types(item)})) or "no object"
            reasons = "; ".join([f"found: {found}", *(fault.reason for fault in faults)])
            raise PageError(response.url, f"no {' or '.join(self.types)} in its JSON-LD ({reasons})", "@type")
        for fault in faults:
            if any(name in fault.text for name in self.types):
                raise PageError(response.url, f"has a record, but perhaps not all: {fault.reason}", "@type")
            logger.warning("%s: %s: %s", self.name, response.url, fault.reason)

    def record(self, item: dict[str, Any], response: Response) -> dict[str, Any]:
        """The record made of one JSON-LD object. A source overrides it to say what is peculiar to its site."""
        record = {key: value for key, value in item.items() if key != "@context"}
        record.setdefault("url", response.url)
        return {"_id": self.identifier(item, response), **record}

    def identifier(self, item: dict[str, Any], response: Response) -> str:
        """The site's own identifier of the object: its ``identifier``, ``@id`` or ``url``, else the page's URL."""
        for key in ("identifier", "@id", "url"):
            for value in listed(item.get(key)):
                value = value.get("value") or value.get("@id") if isinstance(value, dict) else value
                if isinstance(value, str | int) and str(value).strip():
                    return str(value).strip()
        return response.url


def _decode(text: str) -> Any:
    """The JSON in a script element; control characters within strings are let pass, trailing commas mended.

    :raises ValueError: it isn't JSON, also after what can be mended safely.
    """
    text = text.strip(_AROUND)
    if wrapping := _WRAPPING.match(text):
        body, end = text[wrapping.end() : -_WRAPPING_END_LENGTH], text[wrapping.end() :][-_WRAPPING_END_LENGTH:]
        text = (body + _WRAPPING_END.sub("", end)).strip(_AROUND)
    if re.match(r"[\[{]\s*&(quot|#34|#x22);", text):  # escaped as a whole, as if it were no script element
        text = html.unescape(text)
    decoder = json.JSONDecoder(strict=False, parse_constant=lambda name: None)  # NaN and Infinity are no JSON
    try:
        return decoder.decode(text)
    except json.JSONDecodeError:
        return decoder.decode(_TRAILING_COMMA.sub(lambda match: match[1] or "", text))


def _without_prefix(value: Any) -> Any:
    """``value`` with schema.org's names written plainly, in keys and in ``@type``, whatever prefix its context gives them."""
    prefixes = set(_PREFIXES)
    for context in listed(value.get("@context")) if isinstance(value, dict) else ():
        terms = context.items() if isinstance(context, dict) else ()
        prefixes |= {term for term, iri in terms if isinstance(iri, str) and re.fullmatch(_SCHEMA_ORG, iri)}
    names = "|".join(re.escape(prefix) for prefix in sorted(prefixes - {"@vocab", "@base"}))
    return _plain(value, re.compile(f"^(?:{_SCHEMA_ORG}|(?:{names}):)"))


def _plain(value: Any, prefix: re.Pattern[str]) -> Any:
    if isinstance(value, list):
        return [_plain(member, prefix) for member in value]
    if not isinstance(value, dict):
        return value
    plain = {prefix.sub("", key): _plain(member, prefix) for key, member in value.items()}
    if "@type" in plain:
        types = [prefix.sub("", name) for name in listed(plain["@type"]) if isinstance(name, str)]
        plain["@type"] = types[0] if len(types) == 1 else types
    return plain


def _tops(value: Any) -> Iterator[dict[str, Any]]:
    for member in listed(value):
        if isinstance(member, list):
            yield from _tops(member)
        if not isinstance(member, dict):
            continue
        yield from _tops(member.get("@graph", []))
        yield member
        for key in ("mainEntity", "mainEntityOfPage"):
            yield from _tops(member.get(key, []))


def _embed(value: Any, nodes: dict[str, dict], path: tuple[str, ...]) -> Any:
    """``value`` with references, ``{"@id": …}`` and nothing else, replaced by what the page says about it elsewhere."""
    if isinstance(value, list):
        return [_embed(member, nodes, path) for member in value]
    if not isinstance(value, dict):
        return value
    identifier = value.get("@id")
    if len(value) == 1 and identifier in nodes and identifier not in path and len(path) <= _EMBED_DEPTH:
        value = nodes[identifier]
    inner = (*path, identifier) if isinstance(identifier, str) else path
    return {key: _embed(member, nodes, inner) for key, member in value.items()}


def _types(item: dict[str, Any]) -> list[str]:
    return listed(item.get("@type"))


def _sitemap(response: Response) -> Sitemap | None:
    body = gunzip(response.body, max_size=_SITEMAP_MAX_BYTES) if gzip_magic_number(response) else response.body
    return Sitemap(body) if re.search(rb"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]", body[:2000]) else None


def _links(response: Response) -> list[str]:
    if not isinstance(response, TextResponse):
        return []
    urls = (response.urljoin(link.strip()) for link in response.xpath("//a/@href").getall())
    return list(dict.fromkeys(url for url in urls if url.startswith(("http://", "https://"))))
