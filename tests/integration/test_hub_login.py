"""Logging in: sessions and their end, CSRF, lock-out, tokens, one-time links, and the audit of all that."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from hub.access.accounts import add_token, add_user, remove_user, set_password, set_role
from hub.access.users_file import UsersFile
from tests.hub_users import Browser, add_users, bearer, password_of
from tests.running_hub import FIRST, RunningHub, documents, wait_for

MakeHub = Callable[..., RunningHub]
PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def hub(make_module_hub: MakeHub) -> Iterator[RunningHub]:
    """A hub on loopback with a user and a token of each role."""
    hub = make_module_hub()
    hub.add_source("site")
    hub.tokens = add_users(hub)
    hub.start().publish("site", FIRST, documents(3))
    hub.wait_until_live("site", FIRST)
    yield hub


@pytest.fixture
def browser(hub: RunningHub) -> Iterator[Browser]:
    with Browser(hub.url) as browser:
        yield browser


def _user(hub: RunningHub, name: str, role: str = "operator") -> UsersFile:
    file = UsersFile(hub.data / "users.toml")
    add_user(file, name, role, password_of(name))
    return file


def _audit(hub: RunningHub) -> list[dict]:
    return [json.loads(line) for line in (hub.data / "audit.ndjson").read_text().splitlines()]


def test_a_wrong_password_and_an_unknown_name_are_told_the_same(browser: Browser) -> None:
    wrong, unknown = browser.log_in("reader", "not the password"), browser.log_in("nobody", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert not browser.cookies


def test_who_logged_in_is_known_until_logging_out(browser: Browser) -> None:
    answer = browser.log_in("operator")
    assert re.search(r"fleet_session_\d+=[\w-]{43}; HttpOnly; Path=/; SameSite=Lax$", answer.headers["Set-Cookie"])
    assert browser.get("/fleet/whoami").json()["role"] == "operator"
    cookies = dict(browser.cookies)
    assert browser.post("/logout").status_code == 200
    assert browser.get("/fleet/whoami").status_code == 401
    assert browser.get("/fleet/whoami", cookies=cookies).status_code == 401


def test_a_new_login_ends_the_session_of_before(browser: Browser) -> None:
    browser.log_in("reader")
    before = dict(browser.cookies)
    browser.log_in("reader")
    assert browser.get("/fleet/whoami").status_code == 200
    browser.cookies.clear()
    assert browser.get("/fleet/whoami", cookies=before).status_code == 401


def test_a_person_is_sent_to_the_login_and_back(browser: Browser) -> None:
    sent = browser.get("/sources/site?tab=runs", headers=PAGE)
    assert sent.status_code == 303
    assert sent.headers["Location"] == "/login?next=/sources/site%3Ftab%3Druns"
    page = browser.get(sent.headers["Location"], headers=PAGE)
    assert 'name="next" value="/sources/site?tab=runs"' in page.text
    form = {"name": "reader", "password": "not the password", "next": "/sources/site?tab=runs"}
    again = browser.post("/login", data=form, headers=PAGE)
    assert again.status_code == 401
    assert "the name or the password is wrong" in again.text
    assert "not the password" not in again.text
    done = browser.post("/login", data={**form, "password": password_of("reader")}, headers=PAGE)
    assert (done.status_code, done.headers["Location"]) == (303, "/sources/site?tab=runs")
    assert browser.get("/", headers=PAGE).status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "\\\\evil",
    ],
)
def test_no_login_leads_to_another_site(browser: Browser, elsewhere: str) -> None:
    assert elsewhere not in browser.get("/login", params={"next": elsewhere}, headers=PAGE).text
    form = {"name": "reader", "password": password_of("reader"), "next": elsewhere}
    assert browser.post("/login", data=form, headers=PAGE).headers["Location"] == "/"


def test_what_a_stranger_writes_into_the_login_is_text(browser: Browser) -> None:
    name = '"><script>alert(1)</script>'
    for page in (
        browser.get("/login", params={"name": name}, headers=PAGE),
        browser.post("/login", data={"name": name, "password": "x"}, headers=PAGE),
    ):
        assert "&lt;script&gt;" in page.text
        assert "<script>alert" not in page.text


def test_a_change_by_a_session_needs_its_csrf_token(browser: Browser) -> None:
    browser.log_in("operator")
    token = browser.headers.pop("X-CSRF-Token")
    path = "/fleet/sources/site/dump"
    assert browser.post(path).status_code == 403
    assert browser.post(path, headers={"X-CSRF-Token": "another"}).status_code == 403
    assert browser.post(path, data={"_csrf": "another"}).status_code == 403
    assert browser.post(path, params={"_csrf": token}).status_code == 403
    assert browser.put("/source/site/dump", data={"_csrf": "another"}).status_code == 403
    assert browser.post(path, headers={"X-CSRF-Token": str(token)}).status_code == 200
    assert browser.post(path, data={"_csrf": token}).status_code == 200


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_site_changes_nothing_even_with_the_token(browser: Browser, header: dict[str, str]) -> None:
    browser.log_in("operator")
    assert browser.post("/fleet/sources/site/dump", headers=header).status_code == 403
    assert browser.post("/login", json={"name": "reader", "password": "x"}, headers=header).status_code == 403


def test_a_reader_who_tries_to_upload_is_refused_and_noted(hub: RunningHub, browser: Browser) -> None:
    browser.log_in("reader")
    answer = browser.post("/fleet/sources/site/upload", data={"force": "1"})
    assert answer.status_code == 403
    assert answer.json() == {"error": "reader is reader, and this takes the role operator"}
    expected = ("reader", "POST /fleet/sources/site/upload", "refused")
    wait_for(lambda: expected in [(it["who"], it["what"], it["outcome"]) for it in _audit(hub)], "the entry")


@pytest.mark.parametrize("change", [set_password, set_role, remove_user])
def test_a_change_of_the_user_ends_the_sessions(hub: RunningHub, browser: Browser, change: Callable[..., None]) -> None:
    name = change.__name__
    file = _user(hub, name)
    assert browser.log_in(name).status_code == 200
    change(file, name, *{set_password: ["a new password"], set_role: ["reader"]}.get(change, []))
    assert browser.get("/fleet/whoami").status_code == 401


def test_a_user_changes_the_own_password(hub: RunningHub, browser: Browser) -> None:
    _user(hub, "changer")
    with Browser(hub.url) as other:
        other.log_in("changer")
        browser.log_in("changer")
        form = {"old_password": "not it", "password": "a new password"}
        assert browser.post("/fleet/password", data=form).status_code == 403
        assert browser.post("/fleet/password", json={**form, "old_password": password_of("changer")}).status_code == 200
        assert browser.get("/fleet/whoami").json()["name"] == "changer"
        assert other.get("/fleet/whoami").status_code == 401
        assert other.log_in("changer").status_code == 401
        assert other.log_in("changer", "a new password").status_code == 200


def test_passwords_in_a_url_are_refused(browser: Browser) -> None:
    answer = browser.post("/login", params={"name": "reader", "password": password_of("reader")})
    assert answer.status_code == 400
    assert "logged" in answer.json()["error"]


def test_after_failures_a_user_has_to_wait_also_with_the_right_password(hub: RunningHub, browser: Browser) -> None:
    _user(hub, "locked")
    for _ in range(5):
        assert browser.log_in("locked", "not the password").status_code == 401
    answer = browser.log_in("locked")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 31
    assert browser.log_in("reader").status_code == 200  # others are not locked out


def test_tokens_are_for_programs(hub: RunningHub, browser: Browser) -> None:
    operator = bearer(hub.tokens["operator"])
    assert browser.post("/fleet/sources/site/dump", headers=operator).status_code == 200
    assert browser.get("/fleet/whoami", headers=operator).json()["way"] == "token"
    sdk = {"X-Biothings-Access-Token": hub.tokens["operator"]}
    assert browser.put("/source/site/dump", headers=sdk).status_code == 200
    for header in (bearer("fleet_wrong"), bearer(""), {"Authorization": "Bearer"}, {"Authorization": "Digest x"}):
        assert browser.get("/fleet/status", headers=header).status_code == 401, header
    file = UsersFile(hub.data / "users.toml")
    old = add_token(file, "old", "admin", days=1)
    assert browser.get("/fleet/users", headers=bearer(old)).status_code == 200
    with file.edit() as document:
        document["tokens"]["old"]["expires"] = "2026-01-01T00:00:00Z"
    assert browser.get("/fleet/users", headers=bearer(old)).status_code == 401


def test_a_client_of_the_sdk_logs_in_for_a_token(browser: Browser) -> None:
    answer = browser.post("/login", json={"username": "operator", "password": password_of("operator")}).json()
    browser.cookies.clear()
    header = {"X-Biothings-Access-Token": answer["result"]["token"]}
    begun = browser.put("/source/site/upload", headers=header).json()["result"]
    wait_for(lambda: browser.get(f"/command/{begun['id']}", headers=header).json()["result"]["is_done"], "the upload")


def test_no_secret_lies_in_a_file(hub: RunningHub, browser: Browser) -> None:
    browser.log_in("admin")
    made = browser.post("/fleet/tokens", json={"name": "shown-once", "role": "reader"}).json()["token"]
    browser.post("/fleet/users", json={"name": "another", "role": "reader", "password": "secret enough"})
    secrets = [made, "secret enough", password_of("admin"), *hub.tokens.values(), *browser.cookies.values()]
    files = [path for path in hub.data.rglob("*") if path.is_file() and "mongodb" not in path.parts]
    for path in [*files, hub.log]:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path
    for name in ("users.toml", "local-token", "audit.ndjson"):
        assert (hub.data / name).stat().st_mode & 0o077 == 0, name
    assert made not in browser.get("/fleet/tokens").text


def test_a_file_that_is_wrong_changes_nothing(hub: RunningHub, browser: Browser) -> None:
    path = hub.data / "users.toml"
    before = path.read_text()
    for wrong in ("[users.reader]\nrole = 'king'\npassword = ''\n", "no toml", ""):
        path.write_text(wrong)
        browser.cookies.clear()
        assert browser.get("/fleet/status").status_code == 401
        if wrong:
            assert browser.log_in("reader").status_code == 200
        path.write_text(before)
    assert browser.log_in("reader").status_code == 200


def test_the_command_on_this_machine_needs_no_login_and_the_audit_knows_it(hub: RunningHub, browser: Browser) -> None:
    assert hub.run("dump", "site").returncode == 0
    browser.log_in("admin")
    entries = browser.get("/fleet/audit", params={"source": "site", "limit": "1"}).json()
    assert entries[0]["way"] == "local token"
    assert entries[0]["what"] == "POST /fleet/sources/site/dump"
    assert entries[0]["address"] == "127.0.0.1"
    told = _audit(hub)
    assert {"login"} <= {entry["what"] for entry in told}
    assert all(entry["at"] and entry["outcome"] and "password" not in entry.get("with", {}) for entry in told)


def test_users_are_kept_by_the_command(hub: RunningHub, browser: Browser, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a long enough one\n")
    assert hub.run("user", "add", "cleo", "--role", "admin", "--password-file", str(password)).returncode == 0
    assert browser.log_in("cleo", "a long enough one").json()["role"] == "admin"
    again = hub.run("user", "add", "cleo", "--password-file", str(password))
    assert (again.returncode, "there is a user cleo" in again.stderr) == (2, True)
    for name, told in (("cleo/x", "is no name: letters, digits"), ("dora", "give it by --password-file")):
        refused = hub.run("user", "add", name)
        assert (refused.returncode, told in refused.stderr) == (2, True), refused.stderr
    token = hub.run("token", "add", "cleo-s", "--role", "reader").stdout.strip()
    assert browser.get("/fleet/status", headers=bearer(token)).status_code == 200
    listed = json.loads(hub.run("token", "list", "--json").stdout)
    assert "cleo-s" in {it["name"] for it in listed}
    link = hub.run("user", "invite", "--role", "operator").stdout.split()[-1]
    assert link.startswith(f"{hub.url}/welcome?invitation=")
    assert hub.run("user", "remove", "cleo").returncode == 0
    assert browser.get("/fleet/whoami").status_code == 401
    assert [it["what"] for it in _audit(hub)][-1] == "remove user cleo"


def test_the_first_user_is_made_by_a_one_time_link(make_hub: MakeHub) -> None:
    hub = make_hub(FLEET_HUB_SESSION_IDLE_SECONDS="1")
    hub.start()
    link = wait_for(lambda: re.search(r"http://\S+/welcome\?invitation=\S+", hub.log.read_text()), "the link")[0]
    secret = link.partition("invitation=")[2]
    with Browser(hub.url) as browser, Browser(hub.url) as late:
        assert browser.get("/fleet/status").status_code == 200
        assert browser.post("/fleet/users", json={}).status_code == 401
        assert "You will be" in browser.get(link, headers=PAGE).text
        short = browser.post("/welcome", data={"invitation": secret, "name": "anna", "password": "short"}, headers=PAGE)
        assert short.status_code == 400
        made = browser.post("/welcome", json={"invitation": secret, "name": "anna", "password": "long enough"})
        assert made.json()["role"] == "admin"
        late_try = {"invitation": secret, "name": "eve", "password": "long enough"}
        assert late.post("/welcome", json=late_try).status_code == 403
        assert late.get("/fleet/status").status_code == 401  # from now on nobody looks without a login
        # What a page does by itself keeps no session from ending.
        wait_for(
            lambda: browser.get("/fleet/whoami", headers={"X-Fleet-Live": "1"}).status_code == 401, "the session to end"
        )
        assert browser.get("/fleet/whoami").json() == {"error": "the session has ended: log in again"}
    assert hub.run("user", "list").stdout.startswith("anna  admin")


def test_who_logged_in_for_a_token_can_log_out_by_it(hub: RunningHub, browser: Browser) -> None:
    form = {"username": "reader", "password": password_of("reader")}
    token = browser.post("/login", json=form).json()["result"]["token"]
    browser.cookies.clear()
    assert browser.get("/fleet/whoami", headers=bearer(token)).json()["way"] == "token"
    assert browser.post("/logout", headers=bearer(token)).status_code == 200
    assert browser.get("/fleet/whoami", headers=bearer(token)).status_code == 401


def test_a_log_is_followed_no_longer_than_the_role_lasts(hub: RunningHub, browser: Browser) -> None:
    file = _user(hub, "follower")
    browser.log_in("follower")
    with browser.get("/fleet/log/events", stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines).startswith(b"retry")
        set_role(file, "follower", "reader")
        assert all(isinstance(line, bytes) for line in lines)  # to its end, which comes within a second or two


def test_so_many_follow_logs_and_no_more(hub: RunningHub) -> None:
    url, headers = f"{hub.url}/fleet/log/events", bearer(hub.tokens["operator"])
    with ExitStack() as stack:
        session = stack.enter_context(requests.Session())
        for _ in range(50):
            answer = stack.enter_context(session.get(url, headers=headers, stream=True, timeout=20))
            assert answer.status_code == 200
        assert session.get(url, headers=headers, timeout=20).status_code == 503
    wait_for(lambda: _follows(url, headers), "those who are gone to be forgotten")


def _follows(url: str, headers: dict[str, str]) -> bool:
    with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
        return answer.status_code == 200


def test_no_invitation_is_told_in_the_log(hub: RunningHub, browser: Browser) -> None:
    browser.post("/welcome", params={"invitation": "9kXuEOhqu_88bhkMTfMm"}, data={"name": "x"})
    log = hub.data / "logs" / "hub.ndjson"
    wait_for(lambda: "/welcome?invitation=***" in log.read_text(), "the refusal to be logged")
    assert "9kXuEOhqu" not in log.read_text()
    assert "9kXuEOhqu" not in hub.log.read_text()
