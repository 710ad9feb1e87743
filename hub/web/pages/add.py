"""``GET /add``: how a source is added, step by step, and the manifests that could not be used: file, line and reason."""

import re
import shlex
from dataclasses import dataclass

from crawlers.runtime.http import is_http_url
from crawlers.runtime.manifest import KINDS, NAME_PATTERN, nearest
from hub.dataload.source_classes import SourceFault
from hub.web.pages.page import PageHandler

_WHEN = {
    "scrapy": "A site whose pages you read with selectors: listings lead to the pages of its datasets.",
    "jsonld": "Landing pages that carry schema.org JSON-LD, found by a sitemap or listing. Mostly nothing but addresses to fill in.",
    "api": "A JSON or XML interface that gives records page by page.",
    "oai-pmh": "An OAI-PMH endpoint. It needs no code.",
    "pages": "A site that is described rather than programmed, in pages.toml.",
    "browser": "Pages that show nothing without JavaScript: Chromium renders them. The slowest way; take it last.",
}
_EXAMPLES = {"name": "my_archive", "kind": "jsonld", "url": "https://data.example.org/"}
_AROUND = 2


@dataclass(frozen=True)
class Fault:
    """A source that can't be served. ``lines``: those around the fault, each with its number; ``line``: that of the fault, or None."""

    name: str
    path: str
    line: int | None
    reason: str
    lines: list[tuple[int, str]]


class AddPage(PageHandler):
    """``GET /add``; ``?name=…&kind=…&url=…``: what is to be written, so that the commands can be copied."""

    here = "/add"

    def get(self) -> None:
        given = {key: str(self.get_query_argument(key, ""))[:300].strip() for key in _EXAMPLES}
        names = [classes.source.name for classes in self.server.sources] + [it.name for it in self.server.faults]
        wrong = _find_wrong(given, names)
        wanted = {key: example if key in wrong else given[key] or example for key, example in _EXAMPLES.items()}
        self.render_page(
            "add.html",
            given=given,
            wanted={key: shlex.quote(value) for key, value in wanted.items()},
            wrong=wrong,
            kinds=_WHEN,
            faults=[_describe(fault) for fault in self.server.faults],
            folder=str(self.server.settings.runtime.sources_dir),
        )


def _find_wrong(given: dict[str, str], names: list[str]) -> dict[str, str]:
    """What is wrong with what was filled in, by field."""
    wrong = {}
    name, kind, url = (given[key] for key in ("name", "kind", "url"))
    if name and not re.match(NAME_PATTERN, name):
        wrong["name"] = "2 to 40 lower-case letters, digits and _ are expected, a letter first, e.g. my_archive"
    elif name in names:
        wrong["name"] = f"there is a source {name} already"
    if kind and kind not in KINDS:
        wrong["kind"] = f"the kinds are {', '.join(KINDS)}.{nearest(kind, KINDS)}"
    if url and not is_http_url(url):
        wrong["url"] = "an address is expected that begins with http:// or https://"
    return wrong


def _describe(fault: SourceFault) -> Fault:
    error = fault.error
    if error is None:
        return Fault(fault.name, "", None, fault.reason, [])
    try:
        text = error.path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        text = []
    first = max(error.line - _AROUND, 1)
    lines = list(enumerate(text[first - 1 : error.line + _AROUND], start=first))
    return Fault(fault.name, str(error.path), error.line, error.reason, lines)
