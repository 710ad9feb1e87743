"""Real sites, crawled by definitions alone: documentation out of Debian packages, and recorded pages of registers and repositories.

What a site holds is found out here from its files, by other means, and compared with what the crawl published.
"""

import gzip
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from crawlers.runtime.case_run import run_case
from crawlers.runtime.cases import Case, Exchange
from crawlers.runtime.manifest import load_source
from tests.command import Fleet
from tests.debian import package_root, serve_nginx
from tests.replay import Answer, answer, read_exchanges, replay

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT.parent / "shared" / "data"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded answers are not there: {DATA}")

POSTGRESQL = """
    [pages.page]
    start = "http://site.invalid/index.html"
    pager = { kind = "next", link = { css = "link[rel=next]" } }

    [pages.page.record]
    _id = { field = "url", processors = [{ regex = "[^/]+$" }] }
    name = { css = "title", required = true }
    up = { css = "link[rel=up]::attr(title)" }
"""
OPENJDK = """
    [pages.index]
    start = "http://site.invalid/allclasses-index.html"
    check = ["All Classes"]

    [pages.class]
    links = { from = "index", css = "div.col-first a" }
    check = [{ css = "h1.title" }]

    [pages.class.record]
    _id = { field = "url", processors = [{ regex = "site.invalid/(.*)[.]html" }] }
    name = { css = "h1.title", required = true }
    package = { css = "div.sub-title:contains(Package) a" }
    since = { xpath = "(//dt[.='Since:']/following-sibling::dd)[1]" }
"""
BOOST = """
    [pages.page]
    start = "http://site.invalid/doc/html/index.html"
    links = { from = "page", css = "a[href]", matching = "^http://site.invalid/.*[^/]$" }
    may_be_empty = true

    [pages.page.record]
    _id = { field = "url" }
    name = { css = "title", processors = [{ default = "without a title" }] }
"""


def test_a_chain_of_more_than_a_thousand_next_links_is_walked_to_its_end(fleet: Fleet, tmp_path: Path) -> None:
    root = package_root("postgresql-doc-15") / "usr/share/doc/postgresql-doc-15/html"
    chain, name = [], "index.html"
    while name:
        chain.append(name)
        following = re.search(r'<link rel="next" href="([^"]+)"', (root / name).read_text("utf-8"))
        name = following[1] if following else ""
    assert len(chain) > 1100
    assert len(POSTGRESQL.strip().splitlines()) < 20
    fleet.write_source("little", "pages", POSTGRESQL, concurrency=4)
    with serve_nginx(root, tmp_path) as nginx:
        done = fleet.run("crawl", "little", "--base-url", nginx.url)
    assert done.returncode == 0, done.stderr
    assert {record["_id"].removeprefix("little_") for record in fleet.records("little")} == set(chain)
    assert [path for _, path in nginx.requests()] == [f"/{name}" for name in chain]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_listing_of_thousands_of_details_is_read_whole(fleet: Fleet, tmp_path: Path) -> None:
    root = package_root("openjdk-17-doc") / "usr/share/doc/openjdk-17-jre-headless/api"
    index = (root / "allclasses-index.html").read_text("utf-8")
    classes = set(re.findall(r'col-first [^>]*><a href="([^"#]+)[.]html"', index))
    assert len(classes) > 4000
    fleet.write_source("little", "pages", OPENJDK, concurrency=8)
    with serve_nginx(root, tmp_path) as nginx:
        done = fleet.run("crawl", "little", "--base-url", nginx.url, timeout_seconds=1500)
        assert done.returncode == 0, done.stderr
        assert {record["_id"].removeprefix("little_") for record in fleet.records("little")} == classes
        assert len(nginx.requests()) == len(classes) + 1
        done = fleet.run("crawl", "little", "--base-url", nginx.url, timeout_seconds=1500)
    assert done.returncode == 0, done.stderr
    second = nginx.requests()[len(classes) + 1 :]
    assert {status for status, _ in second} == {304}, "nginx sends ETags, so nothing is sent twice"
    assert len(fleet.records("little")) == len(classes)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_thousands_of_dead_links_are_counted_and_are_not_fatal(fleet: Fleet, tmp_path: Path) -> None:
    root = package_root("libboost1.81-doc") / "usr/share/doc/libboost1.81-doc"
    there, dead, dead_links = walk(root, "/doc/html/index.html")
    # A link with a bare % in it: the server refuses it (400).
    malformed = {path for path in there if re.search("%(?![0-9A-Fa-f]{2})", path)}
    assert len(dead) > 1000
    assert dead_links > 10_000
    fleet.write_source("little", "pages", BOOST, concurrency=8, error_budget=1.0)
    with serve_nginx(root, tmp_path) as nginx:
        done = fleet.run("crawl", "little", "--base-url", nginx.url, timeout_seconds=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    described = fleet.description("little")
    assert described["errors"]["not_found"]["count"] == len(dead)
    assert described["errors"]["http"]["count"] == len(malformed) == 1
    assert described["records"] == len(there) - len(malformed)
    assert len([path for status, path in nginx.requests() if status == 404]) == len(dead)


def walk(root: Path, start: str) -> tuple[set[str], set[str], int]:
    """The pages that can be reached from ``start``, those that are linked but not there, and how many links lead to these."""
    there: set[str] = set()
    dead: set[str] = set()
    dead_links = 0
    pending = [start]
    while pending:
        path = pending.pop()
        if path in there:
            continue
        file = root / unquote(path).lstrip("/")
        if not file.is_file():
            dead.add(path)
            dead_links += 1
            continue
        there.add(path)
        text = re.sub(r"<!--.*?-->", "", file.read_text("utf-8", "replace"), flags=re.DOTALL)
        for link in re.findall(r"<a\b[^>]*?\shref\s*=\s*[\"']([^\"'>]+)", text, re.IGNORECASE):
            url = urldefrag(urljoin(f"http://site.invalid{path}", link.strip())).url
            if re.search(r"^http://site.invalid/.*[^/]$", url):
                pending.append(urlsplit(url).path)
    return there, dead, dead_links


def dds(name: str) -> dict[str, Answer]:
    """A recorded test site of django-dynamic-scraper, by URL."""
    pages = {}
    for file in (DATA / "sites-small" / "dds").glob(f"{name}__*.html"):
        path = file.name.removeprefix(f"{name}__")
        pages[f"http://localhost:8010/static/{name}/{path}"] = answer(file.read_bytes())
    return pages


@recorded
def test_a_small_listing_and_its_details_are_read_by_a_free_list_of_listings(fleet: Fleet) -> None:
    definition = """
        [pages.listing]
        start = "http://localhost:8010/static/site_generic/event_main.html"
        each = { css = "li" }
        pager = { kind = "list", url = "event_{page}.html", values = ["main2"] }
        fields.listed_as = { css = "a" }

        [pages.event]
        links = { from = "listing", css = "a" }

        [pages.event.record]
        _id = { field = "url", processors = [{ regex = "(event[0-9]+)" }] }
        name = { css = "div.title" }
        description = { css = "div.description", processors = [{ prefix = "About: " }] }
        listed_as = { field = "listed_as", processors = ["upper"] }
    """
    fleet.write_source("little", "pages", definition, private_hosts=["localhost:8010"], error_budget=0.5)
    pages = dds("site_generic")
    with replay(pages) as site:
        done = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert done.returncode == 0, done.stderr
    records = {record["_id"]: record for record in fleet.records("little")}
    details = [url for url in pages if re.search(r"event\d+\.html$", url)]
    assert len(details) == 7
    assert set(records) == {f"little_{Path(urlsplit(url).path).stem}" for url in details}
    assert records["little_event5"]["listed_as"] == "EVENT 5"
    assert records["little_event1"]["description"] == "About: Event 1 description"


@recorded
def test_a_small_site_in_many_scripts_is_read_as_it_is(fleet: Fleet) -> None:
    definition = """
        [pages.listing]
        start = "http://localhost:8010/static/site_unicode/event_main.html"
        each = { xpath = "//li" }
        fields.listed_as = { xpath = "a" }

        [pages.event]
        links = { from = "listing", xpath = "a" }
        check = [{ css = "div.event_detail" }]

        [pages.event.record]
        _id = { field = "url", processors = [{ regex = "(event[0-9]+)" }] }
        name = { field = "listed_as" }
        description = { css = "div.description" }
    """
    fleet.write_source("little", "pages", definition, private_hosts=["localhost:8010"])
    with replay(dds("site_unicode")) as site:
        done = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert done.returncode == 0, done.stderr
    records = {record["_id"]: record for record in fleet.records("little")}
    assert len(records) == 4
    assert records["little_event1"]["name"] == "Event 1 ❤ ☀ ★ ☂ ☻ ♞ ☯ ☭ ☢"
    assert records["little_event2"]["name"].startswith("Event 2 雨")


@recorded
def test_landing_pages_with_json_ld_are_read_by_a_definition(fleet: Fleet) -> None:
    definition = """
        [pages.sitemap]
        start = "https://doi.pangaea.de/sitemap.xml"
        [pages.dataset]
        links = { from = "sitemap", xpath = "//loc" }
        each = { jsonld = "Dataset" }
        whole = true
        [pages.dataset.record]
        _id = { json = '"@id"', processors = [{ regex = "10.1594/(.*)" }] }
    """
    fleet.write_source("little", "pages", definition)
    pages = read_exchanges(DATA / "html-jsonld" / "landing" / "pangaea-902845")
    locations = "".join(f"<url><loc>{url}</loc></url>" for url in pages)
    listing = answer(
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{locations}</urlset>',
        "text/xml",
    )
    with replay({"https://doi.pangaea.de/sitemap.xml": listing, **pages}) as site:
        done = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert done.returncode == 0, done.stderr
    [record] = fleet.records("little")
    assert record["_id"] == "little_PANGAEA.902845"
    assert len(record["creator"]) == 9


@recorded
def test_takedas_recorded_trials_become_records_of_the_shipped_source() -> None:
    source = load_source(CHECKOUT / "crawlers" / "sources" / "takeda")
    records = {}
    for folder in (DATA / "trials" / "opentrials").glob("takeda-*"):
        [(url, answer)] = read_exchanges(folder).items()
        body = gzip.decompress(answer.body) if answer.body.startswith(b"\x1f\x8b") else answer.body
        outcome = run_case(source, Case(folder, (Exchange(url, body, ".html"),), "parse_trial"))
        assert "errors" not in outcome
        [record] = outcome["records"]
        records[record["_id"]] = record
    first, second = records["TAK-648_101"], records["ATS K023"]
    assert first["identifier"] == ["TAK-648_101", "NCT02684396", "U1111-1154-2329"]
    assert first["workFeatured"] == ["https://www.takedaclinicaltrials.com/files2/TAK-648-101-RDS-2016-02-10.pdf"]
    assert (first["startDate"], first["targetSampleSize"]) == ("2014-08", 39)
    assert "workFeatured" not in second
    assert second["identifier"] == ["ATS K023", "NCT00770497", "2006-004028-35", "U1111-1115-9194"]
    assert second["drug"] == ["ACTOS", "AD-4833", "pioglitazone"]


@recorded
def test_a_study_register_of_tables_is_read_by_its_labels(fleet: Fleet) -> None:
    definition = """
        [pages.search]
        start = "https://www.gsk-clinicalstudyregister.com/search"

        [pages.study]
        links = { from = "search", css = "a", matching = '/study/\\d+$' }
        labelled = "//td[@class = 'rowlabel'][normalize-space() = $label]/following-sibling::td[1]"

        [pages.study.record]
        _id = { label = "Study ID", required = true }
        name = { label = ["Study Title", "Official Title"] }
        nct = { label = "Clinicaltrials.gov Identifier" }
        drugs = { label = "Trade Name", all = true, processors = [{ split = "," }] }
        condition = { label = "Study Indication" }
        received = { xpath = "//tr[@class = 'header']/td[1]", processors = [{ date = "%b %d, %Y" }] }
    """
    fleet.write_source("little", "pages", definition)
    pages = read_exchanges(DATA / "trials" / "opentrials" / "gsk-handles_all_date_formats")
    listing = "".join(f'<a href="{url}">x</a><a href="{url}#rs">x</a>' for url in pages)
    with replay({"https://www.gsk-clinicalstudyregister.com/search": answer(listing), **pages}) as site:
        done = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert done.returncode == 0, done.stderr
    [record] = fleet.records("little")
    assert record["_id"] == "little_100006"
    assert record["nct"] == "NCT00069459"
    assert record["drugs"] == ["Wellbutrin", "QUOMEM", "Elontril", "Zyban", "ZYNTABAC"]
    assert record["received"] == "2009-05-15"


@recorded
def test_a_register_by_initials_whose_details_come_after_two_redirects_is_read(fleet: Fleet) -> None:
    definition = """
        [pages.initial]
        start = "http://www.accessdata.fda.gov/scripts/cder/drugsatfda/index.cfm?fuseaction=Search.SearchResults_Browse&DrugInitial=A"
        pager = { kind = "list", url = "index.cfm?fuseaction=Search.SearchResults_Browse&DrugInitial={page}", values = ["E"] }

        [pages.drug]
        links = { from = "initial", css = "a", matching = "fuseaction=Search.Overview&DrugName=" }
        labelled = "//td[normalize-space() = $label]/following-sibling::td[1]"

        [pages.drug.record]
        _id = { label = "FDA Application No.", required = true }
        name = { label = "Drug Name(s)" }
        company = { label = "Company" }
        approved = { label = "Original Approval or Tentative Approval Date", processors = [{ date = "%B %d, %Y" }] }
    """
    fleet.write_source("little", "pages", definition, error_budget=1.0, concurrency=16)
    pages: dict[str, Answer] = {}
    for name in ("parse_search_results", "parse_drug_overview", "parse_drug_details"):
        pages.update(read_exchanges(DATA / "trials" / "opentrials" / f"fda-{name}"))
    with replay(pages) as site:
        done = fleet.run("crawl", "little", "--base-url", site.base_url)
    assert done.returncode == 0, done.stderr[-3000:]
    [record] = fleet.records("little")
    assert record["_id"] == "little_(NDA) 020699"
    assert record["approved"] == "1997-10-20"
    # Each of the other links was looked at, and is in the rejects.
    described = fleet.description("little")
    links = {path for path in site.requests if "Search.Overview" in path}
    assert len(links) > 150
    assert described["errors"]["not_found"]["count"] == len(links) - 2
    assert len(fleet.rejects("little")) == len(links) - 1
