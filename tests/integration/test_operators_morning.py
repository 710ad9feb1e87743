"""The operator's morning, in a real browser on a real hub, with real crawls: what went wrong overnight is seen, understood and mended.

One story, step after step: each test goes on where the one before ended.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from crawlers.runtime.history import read_history
from hub.access.passwords import hash_password
from tests.browser import Browser, needs_chromium, open_browser
from tests.command import Fleet
from tests.running_hub import RunningHub, wait_for

pytestmark = needs_chromium

PASSWORD = "correct horse battery"
# Below what the runtime lets pass, beyond what MongoDB stores.
TOO_DEEP = 120


@dataclass
class Morning:
    """``cells``: two releases went live, a third is held. ``deep``: what it published could not be loaded, and some was rejected."""

    hub: RunningHub
    fleet: Fleet
    browser: Browser

    def releases(self, name: str) -> list[str]:
        return [run.release for run in read_history(self.fleet.folder(name)) if run.run]


def _write_cells(fleet: Fleet, records: int) -> None:
    code = f"""
        def parse(api):
            for number in range({records}):
                yield {{"_id": f"{{number:03}}", "name": f"Dataset {{number}}", "url": f"http://site.invalid/{{number}}"}}
    """
    fleet.write_source("cells", "api", code)


def _write_deep(fleet: Fleet, *, fixed: bool) -> None:
    code = f"""
        def parse(api):
            for number in range(20):
                nested = 0
                for _ in range({TOO_DEEP} if number < 2 and not {fixed} else 3):
                    nested = [nested]
                yield {{"_id": f"{{number:03}}", "name": "Name", "url": f"http://site.invalid/{{number}}", "nested": nested}}
            if not {fixed}:
                yield {{"_id": "nameless", "url": "http://site.invalid/nameless"}}
    """
    fleet.write_source("deep", "api", code, reject_budget=0.06, **({} if fixed else {"require": ["name"]}))


@pytest.fixture(scope="module")
def morning(make_module_hub: Callable[..., RunningHub]) -> Iterator[Morning]:
    hub = make_module_hub(FLEET_HUB_SESSION_IDLE_SECONDS="1000")
    hashed = hash_password(PASSWORD)
    users = (
        f'[users.{name}]\nrole = "{role}"\npassword = "{hashed}"\n'
        for name, role in (("otto", "operator"), ("rita", "reader"))
    )
    (hub.data / "users.toml").write_text("".join(users))
    fleet = Fleet(hub.sources, hub.shared)
    _write_cells(fleet, 40)
    _write_deep(fleet, fixed=False)
    hub.start()
    for records in (40, 41):
        _write_cells(fleet, records)
        assert fleet.run("crawl", "cells").returncode == 0
        newest = fleet.description("cells")["release"]
        wait_for(lambda newest=newest: hub.status("cells")["live"] == newest, f"{newest} to be live")
    _write_cells(fleet, 12)
    assert fleet.run("crawl", "cells").returncode == 4
    _write_deep(fleet, fixed=False)
    assert fleet.run("crawl", "deep").returncode == 0
    hub.wait_for_state("deep", "upload failed")
    hub.wait_for_state("cells", "held")
    with open_browser(hub.url) as browser:
        yield Morning(hub, fleet, browser)
        assert browser.run("return window.ran") is None


def test_a_wrong_password_is_refused_and_the_right_one_leads_to_the_fleet(morning: Morning) -> None:
    browser = morning.browser
    browser.visit("/")
    assert "/login" in browser.driver.current_url
    browser.driver.find_element(By.NAME, "name").send_keys("otto")
    browser.driver.find_element(By.NAME, "password").send_keys("wrong", Keys.ENTER)
    browser.wait_for_text("the name or the password is wrong", "body")
    assert not browser.run("return document.querySelector('#rows')")
    browser.log_in("otto", PASSWORD)
    assert "cells" in browser.wait_for_text("deep", "#rows")


def test_a_held_release_is_seen_understood_and_approved(morning: Morning) -> None:
    browser = morning.browser
    held = morning.releases("cells")[2]
    browser.visit("/")
    assert "held" in browser.text("#row-cells .state")
    browser.click("cells")
    browser.wait_for_text("12 records, 29 fewer than the 41", "#notices")
    browser.click("Look at the release that is held")
    assert "12 records, 29 fewer than the 41" in browser.wait_for_text("Held back", "#held")
    assert held in browser.text("h1")
    browser.click("Compare with what is published")
    shown = browser.wait_for_text("Records for instance")
    assert "29" in shown and "cells_012" in shown
    browser.driver.back()
    browser.click("Approve")
    browser.wait_for_text("is published: the hub takes it up now", "#notices")
    browser.wait_for_text(held, "#now")
    assert morning.hub.status("cells")["documents"] == 12


def test_a_failed_upload_is_found_and_its_reject_opened(morning: Morning) -> None:
    browser = morning.browser
    browser.visit("/jobs")
    assert "above the budget" in browser.wait_for_text("failed", "#history")
    browser.driver.find_element(By.XPATH, "//tr[.//span[normalize-space()='failed']]//th/a").click()
    assert "nested deeper than 100 levels" in browser.wait_for_text("Upload of deep")
    assert "did not go live" in browser.text(".log")
    browser.click("What the upload rejected")
    assert "deep_000" in browser.wait_for_text("nested deeper than 100 levels")


def test_the_source_is_fixed_its_rejects_are_replayed_and_it_goes_live(morning: Morning) -> None:
    browser, fleet = morning.browser, morning.fleet
    browser.visit("/sources/deep/releases/archived/rejects")
    assert "deep_nameless" in browser.wait_for_text("name is missing")
    assert browser.text(".fault") or "require" in browser.text()
    command = re.search(r"fleet (replay deep)$", browser.text("pre"), re.MULTILINE)
    assert command
    _write_deep(fleet, fixed=True)
    replayed = fleet.run(*command[1].split(), "--json")
    assert orjson.loads(replayed.stdout)["passed"] == 1, replayed.stderr
    browser.click("Crawl now")
    browser.wait_for_text("A crawl is ordered", "#notices")
    assert (morning.hub.shared / "deep_state" / "orders" / "crawl.json").is_file()
    # Which the container carries out within a minute; here we are its clock.
    assert fleet.run("crawl", "deep").returncode == 0
    newest = morning.releases("deep")[-1]
    browser.wait_for_text(newest, "#now")
    assert morning.hub.status("deep")["documents"] == 21
    browser.visit("/sources/deep/documents?id=deep_nameless")
    assert newest in browser.wait_for_text("http://site.invalid/nameless")


def test_a_rollback_is_done_and_said_why(morning: Morning) -> None:
    browser = morning.browser
    second = morning.releases("cells")[1]
    browser.visit("/sources/cells")
    browser.click(second)
    browser.wait_for_text("Go back to this release")
    browser.driver.find_element(By.ID, "why").send_keys("The site was down: it has 41 again.")
    browser.click("Roll back")
    browser.wait_for_text("is live, and pinned", "#notices")
    browser.wait_for_text(second, "#now")
    assert morning.hub.status("cells")["pinned"]["by"] == "otto"
    assert morning.hub.status("cells")["documents"] == 41


def test_a_reader_who_tries_to_upload_is_refused_and_that_is_noted(morning: Morning) -> None:
    browser = morning.browser
    browser.log_in("rita", PASSWORD, "/sources/cells")
    assert browser.run("return document.querySelectorAll('main form[method=post]').length") == 0
    browser.visit("/sources/cells/releases/archived")
    assert browser.run("return document.querySelectorAll('main form[method=post]').length") == 0
    status = browser.driver.execute_async_script(
        "const done = arguments[0]; fetch('/fleet/whoami').then((it) => it.json()).then((me) => fetch('/fleet/sources/cells/upload', "
        "{method: 'POST', headers: {'X-CSRF-Token': me.csrf}})).then((it) => done(it.status))"
    )
    assert status == 403
    audit = (morning.hub.data / "audit.ndjson").read_text()
    assert any('"rita"' in line and "upload" in line for line in audit.splitlines())


def test_an_expired_session_leads_to_the_login_and_back(morning: Morning) -> None:
    browser, hub = morning.browser, morning.hub
    hub.stop()
    hub.environment["FLEET_HUB_SESSION_SECONDS"] = "1"
    hub.start()
    browser.log_in("otto", PASSWORD, "/sources/cells/documents")

    def is_asked_to_log_in() -> bool:
        browser.visit("/sources/cells/documents")
        return "/login" in browser.driver.current_url

    wait_for(is_asked_to_log_in, "the session to end")
    assert "next=" in browser.driver.current_url and "documents" in browser.driver.current_url
