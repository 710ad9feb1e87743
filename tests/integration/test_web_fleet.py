"""The operator's pages in a real browser: the fleet, one source, when sources were last collected, and how one is added."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import requests
from parsel import Selector
from selenium.webdriver.common.keys import Keys

from hub.access.passwords import hash_password
from tests.browser import Browser, needs_chromium, open_browser
from tests.morning import Morning
from tests.running_hub import RunningHub, documents, wait_for
from tests.xss import PAYLOADS

pytestmark = needs_chromium

PASSWORD = "correct horse battery"
PAGES = {
    "fleet": "/",
    "source": "/sources/hostile",
    "source-running": "/sources/at_work",
    "ask": "/sources/held_back/ask/approve",
    "ask-pause": "/sources/good/ask/pause",
    "last-collected": "/last-collected",
    "add": "/add?name=x&url=javascript:1",
}


@pytest.fixture(scope="module")
def morning(make_module_hub: Callable[..., RunningHub]) -> Iterator[Morning]:
    """A running hub with a fleet in every state, an operator erika and a reader rita."""
    hub = make_module_hub()
    users = hub.data / "users.toml"
    hashed = hash_password(PASSWORD)
    users.write_text(
        "".join(
            f'[users.{name}]\nrole = "{role}"\npassword = "{hashed}"\n'
            for name, role in (("erika", "operator"), ("rita", "reader"))
        )
    )
    morning = Morning(hub)
    morning.write()
    hub.start()
    for name in ("good", "better", "held_back", "hostile", "blocked"):
        wait_for(lambda name=name: hub.status(name)["live"] and hub.status(name)["changes"], f"{name} to be live")
    hub.wait_for_state("refused", "upload failed")
    yield morning
    morning.end()


@pytest.fixture(scope="module")
def chromium(morning: Morning) -> Iterator[Browser]:
    with open_browser(morning.hub.url) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Erika's browser. Whatever a test did: no text of a site ran, and no rule of the pages was broken."""
    chromium.log_in("erika", PASSWORD)
    chromium.complaints()
    yield chromium
    assert chromium.run("return window.ran") is None
    assert chromium.complaints() == []


def read(morning: Morning, path: str) -> Selector:
    """The page as the hub sends it, to who may do everything."""
    answer = requests.get(morning.hub.url + path, headers={"Accept": "text/html"}, auth=morning.hub.auth, timeout=30)
    assert answer.status_code == 200, answer.text
    return Selector(answer.text)


def names(page: Selector) -> list[str]:
    return page.css("#rows th a:first-child::text").getall()


def test_what_needs_attention_comes_first(morning: Morning) -> None:
    page = read(morning, "/")
    states = [row.css(".state::text").get() for row in page.css("#rows tr")]
    assert states == [
        "faulty", "upload failed", "failing", "failing", "stale", "held", "never", "paused", "running", "fresh", "fresh",
    ]  # fmt: skip
    assert names(page)[:2] == ["faulty_one", "refused"]
    good = page.css("#row-good")
    assert good.css(".f-documents::text").get() == "1,133"
    assert good.css(".f-age svg.bar, .f-trend svg.spark").getall() != []
    assert "6 h of 35 h" in " ".join("".join(good.css(".f-age ::text").getall()).split())
    assert "67 % fewer" in "".join(page.css("#row-held_back small ::text").getall())


@pytest.mark.parametrize(
    "query, expected",
    [
        ("?state=held", ["held_back"]),
        ("?state=fresh&sort=-documents", ["good", "better"]),
        ("?sort=name&text=data+better", ["better"]),
        ("?text=NOBODY", ["unseen"]),
        ("?text=no+such+thing", []),
        ("?state=attention&text=503+blocked", ["blocked"]),
        ("?sort=nonsense&page=99&state=nonsense&kind=oai-pmh", []),
    ],
)
def test_each_view_of_the_fleet_has_an_address(morning: Morning, query: str, expected: list[str]) -> None:
    assert names(read(morning, f"/{query}")) == expected


def test_an_address_leaves_out_what_goes_without_saying_and_keeps_the_rest(morning: Morning) -> None:
    page = read(morning, "/?state=failing&text=a%26b&sort=size&page=1")
    assert page.css(".chips a::attr(href)").getall()[:2] == [
        "?text=a%26b&sort=size",
        "?state=attention&text=a%26b&sort=size",
    ]
    page = read(morning, "/?state=failing&sort=size")
    heads = dict(zip(page.css("thead a::text").getall(), page.css("thead a::attr(href)").getall(), strict=True))
    assert (heads["Size"], heads["State"]) == ("?state=failing&sort=-size", "?state=failing")
    assert page.css("th[aria-sort=ascending] a::text").getall() == ["Size"]


def test_commands_hold_only_what_can_be_used(morning: Morning) -> None:
    page = read(morning, "/add?name=good&kind=oai-pmh&url=https://data.example.org/a%3Bb")
    assert "there is a source good already" in "".join(page.css(".wrong::text").getall())
    assert (
        page.css(".guide pre::text").get()
        == "fleet new-source my_archive --kind oai-pmh --url 'https://data.example.org/a;b'"
    )


def test_pages_are_reached_and_read_by_everybody_and_nothing_of_a_site_runs(browser: Browser) -> None:
    for name, path in PAGES.items():
        browser.visit(path)

        def check(name: str = name) -> None:
            assert browser.find_faults() == []
            assert not browser.overflows(), f"{name} is wider than the window"

        browser.in_each_look(name, check)
        assert browser.run("return window.ran") is None
    browser.visit("/sources/hostile")
    shown = browser.text()
    assert PAYLOADS[0] in shown
    assert "\\u202egnp.exe" in shown and "\u202e" not in shown
    assert (
        browser.run(
            "return document.querySelectorAll('main script, main img, main iframe, main form[action*=invalid]').length"
        )
        == 0
    )
    hrefs = browser.run("return [...document.querySelectorAll('a')].map((it) => it.protocol)")
    assert set(hrefs) <= {"http:", "https:"}


def test_a_page_follows_the_hub_without_being_loaded_again_and_nothing_in_it_moves(
    browser: Browser, morning: Morning
) -> None:
    browser.visit("/?sort=name")
    browser.wait_until_live()
    browser.run("window.kept = 'yes'; document.querySelector('#row-better th a').focus()")
    morning.runs("better", [("failed", 0, timedelta(minutes=20))], message="The site answers with 500.")
    browser.wait_for_text("The site answers with 500.", "#row-better")
    assert browser.text("#row-better .state") == "failing"
    assert browser.run("return window.kept") == "yes"
    assert browser.run("return document.activeElement.closest('tr').id") == "row-better"
    assert browser.shifted() < 0.01
    browser.visit("/sources/better")
    browser.wait_until_live()
    morning.runs(
        "better",
        [("published", 800, timedelta(days=1)), ("failed", 0, timedelta(minutes=2))],
        message="Its pager is broken.",
    )
    browser.wait_for_text("Its pager is broken.", "#notices")
    assert browser.text("#head .state") == "failing"
    assert browser.shifted() < 0.01
    # Sorted by what needs attention, its row would be elsewhere now: it stays, and the page offers to sort anew.
    browser.visit("/")
    browser.wait_until_live()
    before = browser.run("return [...document.querySelectorAll('#rows tr')].map((row) => row.id)")
    morning.runs("good", [("failed", 0, timedelta(minutes=1))], message="It hides behind a login now.")
    browser.wait_for_text("It hides behind a login now.", "#row-good")
    assert browser.run("return [...document.querySelectorAll('#rows tr')].map((row) => row.id)") == before
    assert browser.shifted() < 0.01
    browser.click("Sort again")
    assert browser.run("return [...document.querySelectorAll('#rows tr')].map((row) => row.id)") != before


def test_a_held_release_is_seen_understood_and_approved_by_keyboard(browser: Browser, morning: Morning) -> None:
    browser.visit("/?state=held")
    browser.press(Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    browser.press(Keys.ENTER)
    for _ in range(40):
        browser.press(Keys.TAB)
        if browser.run("return document.activeElement.textContent") == "held_back":
            break
    browser.press(Keys.ENTER)
    wait_for(lambda: browser.driver.current_url.endswith("/sources/held_back"), "the page of the source")
    assert "67 % fewer than the 900" in browser.text("#notices")
    browser.click("Approve")
    assert "300" in browser.wait_for_text("Publish the release that is held?")
    browser.click("Approve")
    browser.wait_for_text("is published: the hub takes it up now", "#notices")
    browser.wait_for_text("300", "#now")  # live, without a reload
    assert browser.text("#head .state") == "fresh"
    assert "approved" in browser.text("#steps") and "held" not in browser.text("#steps")
    assert morning.hub.status("held_back")["documents"] == 300


def test_what_is_asked_of_a_crawler_is_told_and_a_rollback_is_done(browser: Browser, morning: Morning) -> None:
    browser.visit("/sources/old")
    browser.click("Crawl now")
    browser.wait_for_text("A crawl is ordered", "#notices")
    order = morning.hub.shared / "old_state" / "orders" / "crawl.json"
    assert order.is_file()
    browser.click("Take back the crawl")
    browser.wait_for_text("The order is taken back", "#notices")
    assert not order.exists()
    browser.click("Pause")
    browser.run("document.getElementById('reason').value = 'They move house.'")
    browser.click("Pause")
    browser.wait_for_text("They move house.", "#notices")
    assert "paused" in browser.text("#head")
    browser.click("Resume")
    browser.wait_for_text("The pause has ended", "#notices")
    morning.publish("old", timedelta(minutes=5), documents(41, "old"))
    browser.wait_for_text("41", "#now")
    browser.click("Roll back")
    browser.wait_for_text("Make this release live again?")
    browser.click("Roll back")
    browser.wait_for_text("is live, and pinned", "#notices")
    browser.wait_for_text("40", "#now")
    browser.visit("/sources/refused")
    browser.click("Mark upload as settled")
    browser.click("Mark upload as settled")
    browser.wait_for_text("counts as settled", "#notices")


def test_who_may_not_act_is_offered_nothing_and_refused(chromium: Browser, morning: Morning) -> None:
    chromium.log_in("rita", PASSWORD, "/sources/blocked")
    assert chromium.wait_for_text("You may look", "#acts")
    assert chromium.run("return document.querySelectorAll('main form[method=post]').length") == 0
    chromium.visit("/sources/blocked/ask/pause")
    assert "operator" in chromium.text()
    status = chromium.driver.execute_async_script(
        "const done = arguments[0]; fetch('/fleet/whoami').then((it) => it.json()).then((me) => fetch('/fleet/sources/blocked/crawl', "
        "{method: 'POST', headers: {'X-CSRF-Token': me.csrf}})).then((it) => done(it.status))"
    )
    assert status == 403
    assert not (morning.hub.shared / "blocked_state" / "orders").exists()


def test_strangers_see_when_sources_were_collected_and_nothing_else(chromium: Browser, morning: Morning) -> None:
    chromium.log_out()
    chromium.visit("/last-collected")
    shown = chromium.text()
    assert "Large microscopy archive" in shown and "creativecommons.org" in shown
    assert (
        "503" not in shown
        and "erika" not in shown
        and "faulty_one" not in shown
        and str(morning.hub.shared) not in shown
    )
    told = requests.get(f"{morning.hub.url}/fleet/last-collected", timeout=30).json()
    assert "https://creativecommons.org/publicdomain/zero/1.0/" in {it["license_url"] for it in told}
    chromium.visit("/sources/blocked")
    assert "/login" in chromium.driver.current_url


def test_a_manifest_that_cannot_be_used_is_shown_with_its_line_and_leaves_when_it_is_corrected(
    browser: Browser, morning: Morning
) -> None:
    browser.visit("/add")
    browser.wait_until_live()
    shown = browser.text("#fault-faulty_one")
    assert "source.toml, line 2" in shown and "Did you mean 'scrapy'?" in shown
    assert browser.text("#fault-faulty_one mark").strip() == '2  kind = "scrappy"'
    morning.hub.add_source("faulty_one")
    wait_for(lambda: browser.text("#faults") == "", "the fault to leave the page")
