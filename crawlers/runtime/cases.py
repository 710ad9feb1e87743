"""Recorded cases: pages of a site kept as data, and what a source's code should make of them (``case_run`` runs them).

A case is a folder ``fixtures/<case>/`` of the source:

- ``url.txt``: a URL a line, the first is where the case starts. After it, optionally, the HTTP status (200) and the spider's
  method that parses it (``parse``; only for the first line: later pages are parsed by what asked for them).
- ``1.html``, ``2.json`` …: the body of each line's answer, in UTF-8; none where the status is an error without body.
- ``expected.json``: ``records`` as the code yields them; ``follows``: URLs asked for that the case has no answer to, sorted;
  and only where there are some: ``errors``, what was raised for the rejects, and ``unused``, answers nobody asked for.
"""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from crawlers.runtime.errors import UsageError
from crawlers.runtime.http import is_http_url
from crawlers.runtime.manifest import Source

FIXTURES = "fixtures"
URLS = "url.txt"
EXPECTED = "expected.json"
CASE_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,79}$"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".gz": "application/gzip",
}
_LINE = re.compile(r"(?P<url>https?://\S+)(?: (?P<status>[1-5]\d\d))?(?: (?P<method>[A-Za-z_]\w*))?")


class CaseError(UsageError):
    """A recorded case can't be read, or the source's code fails on it."""


@dataclass(frozen=True)
class Exchange:
    """A recorded answer. ``suffix`` is that of its body's file, one of ``CONTENT_TYPES``."""

    url: str
    body: bytes
    suffix: str
    status: int = 200

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Case:
    """A recorded case; ``method`` parses the first page, unless the spider starts there by itself."""

    folder: Path
    exchanges: tuple[Exchange, ...]
    method: str = "parse"

    @property
    def name(self) -> str:
        return self.folder.name


def find_cases(source: Source) -> list[Path]:
    """The folders of the source's cases, sorted by name."""
    return sorted(path.parent for path in (source.folder / FIXTURES).glob(f"*/{URLS}"))


def read_case(folder: Path) -> Case:
    """The case in ``folder``.

    :raises CaseError: a line of url.txt is none, or its body is missing.
    """
    path = folder / URLS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path}:1: can't be read: {error}. Expected is a URL a line") from error
    method = "parse"
    exchanges = []
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line.strip())
        if not found or not is_http_url(found["url"]):
            raise CaseError(f"{path}:{number}: got {line!r}, expected is `URL`, `URL STATUS` or `URL STATUS METHOD`")
        if number == 1 and found["method"]:
            method = found["method"]
        exchanges.append(_read_exchange(folder, number, found["url"], int(found["status"] or 200)))
    if not exchanges:
        raise CaseError(f"{path}:1: is empty; expected is the URL at which the case starts")
    return Case(folder, tuple(exchanges), method)


def write_case(case: Case, outcome: dict[str, Any]) -> None:
    """Write the case and its outcome into the case's folder, which must not exist yet."""
    case.folder.mkdir(parents=True)
    lines = []
    for number, exchange in enumerate(case.exchanges, start=1):
        method = f" {case.method}" if number == 1 and case.method != "parse" else ""
        status = f" {exchange.status}" if method or exchange.status != 200 else ""
        lines.append(f"{exchange.url}{status}{method}\n")
        (case.folder / f"{number}{exchange.suffix}").write_bytes(exchange.body)
    (case.folder / URLS).write_text("".join(lines), encoding="utf-8")
    write_expected(case, outcome)


def write_expected(case: Case, outcome: dict[str, Any]) -> None:
    """Write ``expected.json`` of the case."""
    text = json.dumps(outcome, indent=2, ensure_ascii=False)
    (case.folder / EXPECTED).write_text(text + "\n", encoding="utf-8")


def read_expected(case: Case) -> dict[str, Any]:
    """What ``expected.json`` of the case holds.

    :raises CaseError: it is missing, or no JSON object.
    """
    path = case.folder / EXPECTED
    try:
        expected = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise CaseError(f"{path}: {error}. Expected is a JSON object with records and follows") from error
    if not isinstance(expected, dict):
        raise CaseError(f"{path}: got a JSON {type(expected).__name__}, expected is an object with records and follows")
    return expected


def difference(expected: dict[str, Any], outcome: dict[str, Any]) -> list[str]:
    """A unified diff between the two, line by line; empty where they are equal."""
    old, new = (
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines() for value in (expected, outcome)
    )
    return list(difflib.unified_diff(old, new, "expected", "got", lineterm=""))


def _read_exchange(folder: Path, number: int, url: str, status: int) -> Exchange:
    bodies = sorted(folder.glob(f"{number}.*"))
    if not bodies and status >= 300:
        return Exchange(url, b"", ".txt", status)
    if len(bodies) != 1 or bodies[0].suffix not in CONTENT_TYPES:
        got = ", ".join(path.name for path in bodies) or "none"
        raise CaseError(
            f"{folder / URLS}:{number}: the body of {url} is missing: expected is one file {number}.EXT beside it, EXT one of "
            f"{', '.join(suffix[1:] for suffix in CONTENT_TYPES)}; got: {got}"
        )
    return Exchange(url, bodies[0].read_bytes(), bodies[0].suffix, status)
