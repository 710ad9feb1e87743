"""``fleet test`` and ``fleet record``: a source's recorded cases, for a person."""

import re
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import requests

from crawlers.runtime.api import ApiClient
from crawlers.runtime.case_run import find_request, run_case
from crawlers.runtime.cases import (
    CASE_PATTERN,
    FIXTURES,
    Case,
    CaseError,
    Exchange,
    difference,
    find_cases,
    read_case,
    read_expected,
    write_case,
    write_expected,
)
from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.http import Patience, check_base_url, is_http_url
from crawlers.runtime.loading import load_site
from crawlers.runtime.manifest import Source, find_source
from crawlers.runtime.settings import RuntimeSettings
from crawlers.runtime.tally import Tally

# A case is read by people and kept in git.
MAX_BODY_BYTES = 5_000_000
FOLLOWS_SHOWN = 5
_SUFFIXES = {"json": ".json", "html": ".html", "xml": ".xml", "gzip": ".gz"}
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(epilog="Example: fleet test demo")
@click.argument("name")
@click.option("--accept", is_flag=True, help="Write what the code makes of the cases as what is expected.")
def test(name: str, accept: bool) -> None:
    """Run the code of the source NAME over its recorded cases, and show how the outcome differs from what is expected.

    Exits with 1 if a case differs, or if there is none.
    """
    source = find_source(RuntimeSettings.from_environment().sources_dir, name)
    folders = find_cases(source)
    if not folders:
        raise FleetError(f"{name} has no case in {source.folder / FIXTURES}. Record one: fleet record {name} URL")
    differing = 0
    for folder in folders:
        case = read_case(folder)
        outcome = run_case(source, case)
        if accept:
            write_expected(case, outcome)
        lines = difference(read_expected(case), outcome)
        differing += bool(lines)
        click.echo(
            f"{click.style('differs', fg='red') if lines else click.style('ok', fg='green')}  {_summary(case, outcome)}"
        )
        for line in lines:
            click.echo(click.style(line, fg=_COLOURS.get(line[:1])))
    if differing:
        raise FleetError(
            f"{differing} of {len(folders)} cases of {name} differ: - is expected, + is what the code makes of it. "
            f"Correct the code; or, if + is right, write it down: fleet test {name} --accept"
        )


@click.command(
    epilog="Example: fleet record demo 'http://demo.crawler-fleet.invalid/datasets?page=2' --case second-page"
)
@click.argument("name")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option(
    "--case", "case_name", default="", help="The case's name. Default: made from the first URL.", metavar="CASE"
)
@click.option("--method", default="parse", help="The spider's method that parses the first URL.", show_default=True)
@click.option("--base-url", help="Fetch from URL instead of the pages' own host.", metavar="URL")
@click.option("--force", is_flag=True, help="Replace a case of the same name.")
def record(name: str, urls: tuple[str, ...], case_name: str, method: str, base_url: str | None, force: bool) -> None:
    """Record a new case of the source NAME: fetch each URL, run the code over them, and keep pages and outcome for review.

    The case starts at the first URL; the others are pages that the code asks for from there.
    """
    settings = RuntimeSettings.from_environment()
    source = find_source(settings.sources_dir, name)
    for url in urls:
        if not is_http_url(url):
            raise UsageError(
                f"URL is {url!r}: expected is http(s)://host/path, escaped, e.g. https://data.example.org/a%20b"
            )
    folder = source.folder / FIXTURES / _case_name(case_name, urls[0])
    if folder.exists() and not force:
        raise UsageError(f"{folder} is there already. Give another name by --case, or replace it by --force")
    serve = load_site(source) if base_url is None else None
    with serve() if serve else nullcontext("" if base_url is None else check_base_url(base_url)) as base:
        if source.manifest.kind == "browser":
            exchanges = render(source, urls, base, settings, method)
        else:
            exchanges = fetch(source, urls, base, settings)
    failure = None
    with tempfile.TemporaryDirectory(prefix=".record-", dir=source.folder) as temporary:
        case = Case(Path(temporary) / folder.name, exchanges, method)
        try:
            outcome = run_case(source, case)
        except CaseError as error:
            outcome, failure = {"records": [], "follows": []}, error
        write_case(case, outcome)
        if force and folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(exist_ok=True)
        case.folder.rename(folder)
    if failure:
        raise FleetError(
            f"{failure}\nThe pages are kept in {folder}. Correct the code, then write the outcome: fleet test {name} --accept"
        )
    click.echo(f"Recorded in {folder}: {_summary(case, outcome)}")
    follows = outcome["follows"]
    for url in follows[:FOLLOWS_SHOWN]:
        click.echo(f"  asks for {url}")
    if len(follows) > FOLLOWS_SHOWN:
        click.echo(f"  and for {len(follows) - FOLLOWS_SHOWN} more")
    click.echo(f"Read {folder / 'expected.json'}: it holds what the code made of the pages, right or wrong.")


def fetch(source: Source, urls: tuple[str, ...], base_url: str, settings: RuntimeSettings) -> tuple[Exchange, ...]:
    """The answers to ``urls``, fetched as a crawl would: robots.txt, rate and User-Agent of the manifest.

    :raises FleetError: one of them can't be had, or is too large to be kept.
    """
    client = ApiClient(
        source.manifest,
        Tally(),
        lambda *args, **more: None,
        base_url=base_url,
        contact=settings.contact,
        patience=Patience(settings.timeout_seconds, settings.retry_pause_seconds),
    )
    try:
        return tuple(_exchange(url, client.get(url)) for url in urls)
    finally:
        client.close()


def render(
    source: Source, urls: tuple[str, ...], base_url: str, settings: RuntimeSettings, method: str
) -> tuple[Exchange, ...]:
    """The pages at ``urls`` as the browser shows them, each rendered as the code asks for it.

    :raises FleetError: one of them can't be had, or is too large to be kept.
    """
    from crawlers.runtime.addresses import Addresses, Hosts, host_of
    from crawlers.runtime.browser.pool import BrowserPool
    from crawlers.runtime.browser.rendering import Rendering, rendering_of

    manifest = source.manifest
    exchanges: tuple[Exchange, ...] = ()
    hosts = Hosts([*map(host_of, (manifest.url, *urls)), *manifest.hosts, *manifest.browser.hosts])
    with BrowserPool(
        manifest,
        hosts=hosts,
        addresses=Addresses(manifest, base_url),
        base_url=base_url,
        contact=settings.contact,
        patience=Patience(settings.timeout_seconds, settings.retry_pause_seconds),
    ) as pool:
        for url in urls:
            recorded = exchanges or (Exchange(url, b"", ".html", 404),)
            request = find_request(source, Case(source.folder / FIXTURES, recorded, method), url)
            wanted = rendering_of(request) if request is not None else Rendering()
            if wanted is None:  # a page that needs no browser
                exchanges += fetch(source, (url,), base_url, settings)
                continue
            page = pool.render_now(url, wanted)
            body = page.html.encode("utf-8", "replace")
            if page.status != 200 or len(body) > MAX_BODY_BYTES:
                raise FleetError(
                    f"{url}: HTTP {page.status}, {len(body):,} bytes; a case keeps at most {MAX_BODY_BYTES:,}"
                )
            exchanges += (Exchange(url, body, ".html"),)
    return exchanges


def _exchange(url: str, response: requests.Response | None) -> Exchange:
    if response is None or len(response.content) > MAX_BODY_BYTES:
        size = len(response.content) if response else 0
        raise FleetError(f"{url}: {size:,} bytes; a case keeps at most {MAX_BODY_BYTES:,}. Record a smaller page")
    content_type = response.headers.get("Content-Type", "")
    kind = content_type.partition(";")[0].lower()
    suffix = next((suffix for word, suffix in _SUFFIXES.items() if word in kind), ".txt")
    if response.content.startswith(b"\x1f\x8b"):
        suffix = ".gz"
    return Exchange(url, _utf8(response.content, content_type) if suffix == ".html" else response.content, suffix)


def _utf8(body: bytes, content_type: str) -> bytes:
    """An HTML page in UTF-8, whatever its encoding was: cases are read by people."""
    from w3lib.encoding import html_to_unicode

    return html_to_unicode(content_type, body, default_encoding="utf-8")[1].encode()


def _case_name(wanted: str, url: str) -> str:
    if not wanted:
        parts = urlsplit(url)
        last = f"{parts.path.rstrip('/').rsplit('/', 1)[-1]}-{parts.query}".lower()
        return re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:60] or "start"
    if not re.fullmatch(CASE_PATTERN, wanted):
        raise UsageError(
            f"--case is {wanted!r}: expected are lower-case letters, digits, `.`, `_` and `-`, e.g. empty-page"
        )
    return wanted


def _summary(case: Case, outcome: dict[str, Any]) -> str:
    counts = [
        f"{len(outcome[key])} {key[:-1] if len(outcome[key]) == 1 else key}"
        for key in ("records", "follows", "errors", "unused")
        if key == "records" or outcome.get(key)
    ]
    return f"{case.name}: {', '.join(counts)}"
