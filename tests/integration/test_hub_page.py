"""The hub's page for people: every source at a glance, and nothing in it that a crawled site could run."""

import json
from collections.abc import Callable

import requests
from parsel import Selector

from tests.running_hub import FIRST, RunningHub, documents, wait_for

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
HOSTILE = "<script>alert(1)</script>\u202e"


def test_the_page_shows_every_source_and_escapes_what_sites_say(make_hub: Callable[..., RunningHub]) -> None:
    hub = make_hub()
    for name in ("good", "hostile"):
        hub.add_source(name)
    hub.add_source("bad", kind="scrappy")
    folder = hub.shared / "hostile_crawled"
    folder.mkdir()
    run = {"source": "hostile", "release": FIRST, "started": FIRST, "outcome": "failed", "message": HOSTILE}
    (folder / "last-run.json").write_text(json.dumps(run))
    hub.start()
    hub.publish("good", FIRST, documents(1234, "good"))
    hub.wait_until_live("good", FIRST)
    hub.wait_for_changes("good", FIRST)
    answer = wait_for(
        lambda: "1,234" in (it := requests.get(hub.url, headers=BROWSER, timeout=30)).text and it, "the page to show it"
    )
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page = Selector(answer.text)
    rows = {row.css("th a::text").get(): row for row in page.css("tbody tr")}
    assert rows.keys() == {"bad", "hostile", "good"}
    assert [rows[name].css(".state::text").get() for name in ("bad", "hostile")] == ["faulty", "failing"]
    assert rows["good"].css(".f-documents ::text").getall() == ["1,234", "first release"]
    assert "<script>alert(1)</script>\\u202e" in "".join(rows["hostile"].css("bdi::text").getall())
    assert page.css("script::attr(src)").getall() == ["/static/live.js"]
    style = requests.get(f"{hub.url}/static/style.css", timeout=30)
    assert style.headers["Content-Type"].startswith("text/css")


def test_a_program_that_asks_for_no_page_is_told_where_to_look(make_hub: Callable[..., RunningHub]) -> None:
    answer = requests.get(make_hub().start().url, timeout=30).json()
    assert answer["look"]["status"] == "/fleet/status"
