"""Crawls of API sources, through the real command, against a real server that misbehaves."""

import json
import ssl
from itertools import pairwise
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.command import Fleet
from tests.site import Answer, Site, serve_site

HARVESTER = """
    def parse(api):
        for name in api.get_json("http://site.invalid/names", {"size": 100}):
            item = api.get_json(f"http://site.invalid/item/{name}", required=False)
            if item is not None:
                yield {"_id": name, **item}
"""
AGAIN = {"Retry-After": "0"}
# By name: what the site answers, and the error class it belongs to; "" where a record is made.
TROUBLE = {
    "missing": (Answer(status=404), "not_found"),
    "forbidden": (Answer(status=401), "blocked"),
    "teapot": (Answer(status=418), "http"),
    "broken": (Answer(status=502, headers=AGAIN), "server"),
    "busy": (Answer(status=429, headers=AGAIN), "blocked"),
    "reset": (Answer(fault="reset"), "connection"),
    "short": (Answer('{"a": 1}', fault="truncate"), "connection"),
    "loop": (Answer(status=302, headers={"Location": "/item/loop"}), "http"),
    "hang": (Answer(fault="hang"), "timeout"),
    "secret": (Answer("{}"), "robots"),
    "hidden": (Answer(status=302, headers={"Location": "/item/secret"}), "robots"),
    "page": (Answer("<html>We are moving</html>"), "parse"),
    "nothing": (Answer(""), "parse"),
    "ok": (Answer('{"title": "fine"}', type="application/json"), ""),
    "moved": (Answer(status=301, headers={"Location": "http://site.invalid/item/ok"}), ""),
}


def put_names(site: Site, *names: str) -> None:
    site.put("/names?size=100", json.dumps(names))
    for name in names:
        site.put(f"/item/{name}", "{}")


def put_trouble(site: Site) -> None:
    put_names(site, *TROUBLE)
    for name, (answer, _) in TROUBLE.items():
        site.put(f"/item/{name}", answer)
    site.put("/robots.txt", Answer("User-agent: *\nDisallow: /item/secret\n", type="text/plain"))


def test_every_failure_is_counted_by_class_and_kept_in_the_rejects(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, error_budget=1)
    put_trouble(site)
    done = fleet.run("crawl", "little", "--base-url", site.url, "--json", FLEET_TIMEOUT_SECONDS="0.3")
    assert done.returncode == 0, done.stderr
    expected: dict[str, int] = {}
    for _, kind in TROUBLE.values():
        if kind:
            expected[kind] = expected.get(kind, 0) + 1
    description = fleet.description("little")
    assert json.loads(done.stdout) == description
    assert {kind: error["count"] for kind, error in description["errors"].items()} == expected
    assert description["counts"] == {
        "requests": len(site.seen),
        "responses": description["counts"]["responses"],
        "pages": description["counts"]["pages"],
        "failed_requests": 13,
        "items": 2,
        "records": 2,
        "replayed": 0,
        "rejected_items": 0,
        "duplicates": 0,
        "withdrawn": 0,
        "rejects": 13,
    }
    assert [record["_id"] for record in fleet.records("little")] == ["little_moved", "little_ok"]
    reasons = {reject["url"].rsplit("/", 1)[-1]: reject["reason"] for reject in fleet.rejects("little")}
    assert {name: reason.split(":")[0] for name, reason in reasons.items()} == {
        name: kind for name, (_, kind) in TROUBLE.items() if kind
    }
    assert "/item/secret" not in site.paths()
    assert site.paths().count("/item/reset") == 5
    assert site.paths().count("/item/missing") == 1
    assert all(seen.user_agent.startswith("crawler-fleet/") for seen in site.seen)
    assert all("tests@example.org" in seen.user_agent for seen in site.seen)


def test_failures_above_the_budget_publish_nothing_and_are_explained(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, error_budget=0.2)  # of 6 requests: one
    put_names(site, "a", "b", "c", "d", "e")
    site.put("/item/b", Answer(status=404))
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    before = (fleet.folder("little") / "data.ndjson").read_bytes()
    site.put("/item/c", Answer("<html>We are moving</html>"))
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 4
    assert "2 of 6 pages failed; error_budget allows 20.00%" in done.stderr
    assert "not JSON" in done.stderr
    assert "<html>We are moving</html>" in done.stderr
    assert (fleet.folder("little") / "data.ndjson").read_bytes() == before
    assert fleet.files("little") == ["data.ndjson", "held", "rejects.ndjson", "release.json", "release.txt"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(status=404), "not_found"),
        (Answer(status=500, headers=AGAIN), "server"),
        (Answer("<html>"), "parse"),
        (Answer("[]"), "no record was found"),
    ],
    ids=["404", "500", "html", "empty"],
)
def test_without_its_list_a_source_publishes_nothing(fleet: Fleet, site: Site, answer: Answer, kind: str) -> None:
    fleet.write_source("little", "api", HARVESTER, error_budget=1)
    site.put("/names?size=100", answer)
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert (done.returncode, fleet.files("little")) == (1, [])
    assert kind in done.stderr


def test_an_empty_list_is_a_release_where_the_manifest_allows_it(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, allow_empty=True)
    put_names(site)
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    assert (fleet.records("little"), fleet.description("little")["records"]) == ([], 0)


def test_a_source_that_fails_at_record_10_publishes_neither_10_nor_990(fleet: Fleet, site: Site) -> None:
    code = """
        def parse(api):
            for number in range(1000):
                if number == 10:
                    raise KeyError("the tenth")
                yield {"_id": str(number)}
    """
    fleet.write_source("little", "api", code, error_budget=1, reject_budget=1)
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert (done.returncode, fleet.files("little")) == (1, [])
    assert "the harvester failed after 10 records: KeyError: 'the tenth'" in done.stderr


@pytest.mark.parametrize(("failing", "code"), [(1, 0), (2, 4)])
def test_an_odd_record_among_many_of_one_answer_costs_that_record_and_the_budget_is_kept_to_it(
    fleet: Fleet, site: Site, failing: int, code: int
) -> None:
    harvester = """
        def parse(api):
            for item in api.get_json("http://site.invalid/items"):
                with api.page(f"http://site.invalid/items/{item['id']}"):
                    yield {"_id": item["id"], "title": item["title"]}
    """
    fleet.write_source("little", "api", harvester, error_budget=0.1)  # of 11 pages, the answer and 10 items: one
    site.put("/items", json.dumps([{"id": f"{n}"} | ({"title": "x"} if n >= failing else {}) for n in range(10)]))
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == code, done.stderr
    if code:
        assert "2 of 11 pages failed" in done.stderr
        assert fleet.files("little") == ["held"]
    else:
        [reject] = fleet.rejects("little")
        assert reject["url"] == "http://site.invalid/items/0"
        assert reject["reason"] == "parse: KeyError: 'title'"
        assert fleet.description("little")["records"] == 9


def test_records_that_can_not_be_written_go_to_the_rejects_and_above_the_budget_publish_nothing(
    fleet: Fleet, site: Site
) -> None:
    code = """
        def parse(api):
            yield {"_id": "1"}
            yield {"_id": "2", "share": float("nan")}
            yield {"_id": "1", "again": True}
            yield None
            yield {"_id": "3"}
    """
    fleet.write_source("little", "api", code, reject_budget=0.6, duplicate_budget=0.2)
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    assert [record["_id"] for record in fleet.records("little")] == ["little_1", "little_3"]
    assert sorted((reject["field"], reject["record"] is None) for reject in fleet.rejects("little")) == [
        ("", True),
        ("_id", False),
        ("share", False),
    ]
    fleet.write_source("little", "api", code, reject_budget=0.59, duplicate_budget=0.2)
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 4
    assert "3 of 5 records were rejected" in done.stderr


def test_a_limit_shows_the_first_records_and_publishes_nothing(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    put_names(site, "a", "b", "c")
    done = fleet.run("crawl", "little", "--base-url", site.url, "--limit", "2")
    assert (done.returncode, fleet.files("little")) == (5, [])
    assert [json.loads(line)["_id"] for line in done.stdout.splitlines()] == ["little_a", "little_b"]


def test_a_failure_that_passes_is_tried_again_when_the_site_asks_for_it(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    put_names(site, "a", "b", "c")
    site.put("/item/a", Answer(status=500), Answer("{}"))
    site.put("/item/b", Answer(status=429, headers={"Retry-After": "1"}), Answer("{}"))
    site.put("/item/c", Answer(fault="reset"), Answer("{", fault="truncate"), Answer("{}"))
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    assert fleet.description("little")["errors"] == {}
    assert fleet.description("little")["counts"]["requests"] == len(site.seen) == 9
    first, second = (seen.at for seen in site.seen if seen.path == "/item/b")
    assert second - first >= 1


def test_the_rate_of_the_manifest_is_kept_for_retries_and_redirects_too(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER, rate=10)
    put_names(site, "a", "b", "c")
    site.put("/item/a", Answer(status=503, headers=AGAIN), Answer("{}"))
    site.put("/item/b", Answer(status=302, headers={"Location": "/item/c"}))
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 0
    times = [seen.at for seen in site.seen]
    assert len(times) == 7
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.05


def test_a_robots_txt_that_the_site_fails_to_give_forbids_everything(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    put_names(site, "a")
    site.put("/robots.txt", Answer(status=503, headers=AGAIN))
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert (done.returncode, fleet.files("little"), site.paths()) == (1, [], [])
    assert "robots.txt" in done.stderr


def test_a_certificate_that_nobody_vouches_for_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    fleet.write_source("little", "api", HARVESTER)
    with serve_site(self_signed(tmp_path)) as site:
        put_names(site, "a")
        done = fleet.run("crawl", "little", "--base-url", site.url)
    assert (done.returncode, fleet.files("little"), site.seen) == (1, [], [])
    assert "tls × 1" in done.stderr


def test_an_unreadable_harvester_is_bad_usage_and_named_with_its_line(fleet: Fleet, site: Site) -> None:
    folder = fleet.write_source("little", "api", "import nothing_like_this\n")
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert (done.returncode, fleet.files("little")) == (2, [])
    assert f"{folder / 'harvester.py'}:1: can't be imported" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("nothing",), {}, "no source is called 'nothing'"),
        (("litle",), {}, "Did you mean 'little'?"),
        (("little", "--base-url", "127.0.0.1:80"), {}, "expected http(s)://host"),
        (("little", "--limit", "0"), {}, "0 is not in the range"),
        (("little",), {"FLEET_TIMEOUT_SECONDS": "soon"}, "FLEET_TIMEOUT_SECONDS is 'soon'"),
        (("little",), {"FLEET_SOURCES_DIR": "/nowhere"}, "no source is called"),
    ],
)
def test_bad_usage_has_an_exit_code_of_its_own_and_says_what_is_wrong(
    fleet: Fleet, arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    fleet.write_source("little", "api", HARVESTER)
    done = fleet.run("crawl", *arguments, **environment)
    assert (done.returncode, fleet.files("little")) == (2, [])
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def self_signed(folder: Path) -> ssl.SSLContext:
    """What a server needs that vouches for itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(folder))
    return context


def test_a_robots_txt_that_is_redirected_to_a_page_of_the_site_forbids_nothing(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "api", HARVESTER)
    put_names(site, "one")
    site.put("/robots.txt", Answer(status=302, headers={"Location": "/login"}))
    site.put("/login", "<p>Please log in.</p>")
    result = fleet.run("crawl", "little", "--base-url", site.url)
    assert result.returncode == 0, result.stderr
    assert site.paths() == ["/login", "/names?size=100", "/item/one"]


def test_a_url_that_is_none_costs_its_record_and_not_the_crawl(fleet: Fleet, site: Site) -> None:
    code = """
        def parse(api):
            for url in ("nowhere", "http://[::1", "http://site.invalid:99999/", "http://site.invalid/item/moved"):
                api.get(url, required=False)
            yield {"_id": "1"}
    """
    fleet.write_source("little", "api", code, error_budget=1)
    site.put("/item/moved", Answer(status=302, headers={"Location": "http://[::1"}))
    result = fleet.run("crawl", "little", "--base-url", site.url)
    assert result.returncode == 0, result.stderr
    assert fleet.description("little")["errors"]["http"]["count"] == 4
    assert fleet.rejects("little")[0]["url"] == "nowhere"
    assert site.paths() == ["/item/moved"]


def test_with_a_limit_records_are_printed_whatever_they_hold_and_whoever_reads(fleet: Fleet, site: Site) -> None:
    code = """
        def parse(api):
            yield {"_id": "odd", "name": "\\ud800"}
            for number in range(40):
                yield {"_id": str(number), "text": "x" * 10_000}
    """
    fleet.write_source("little", "api", code)
    result = fleet.run("crawl", "little", "--limit", "41", "--base-url", site.url)
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 41), result.stderr
    with fleet.start("crawl", "little", "--limit", "41", "--base-url", site.url) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.wait(60) == 0, process.stderr.read()
    counts = fleet.description("little")["counts"]
    assert (counts["items"], counts["records"]) == (41, 40)
