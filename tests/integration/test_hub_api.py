"""The REST API: every route and who may use it, the headers of every answer, and its description, which is held to by schemathesis."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import validate

from tests.hub_users import PUBLIC, Browser, add_users, bearer, example_path
from tests.running_hub import FIRST, SECOND, RunningHub, documents

MakeHub = Callable[..., RunningHub]
CHANGING = ("POST", "PUT", "DELETE", "PATCH")
# Said here again, by hand: that nothing is open to more than it should be.
CHANGED_BY_ANYBODY = {"/login", "/welcome"}
CHANGED_BY_READERS = {"/logout", "/fleet/password"}
FOR_ADMINS = re.compile(r"/fleet/(users|tokens|invitations|audit|configuration)|/config")
FOR_OPERATORS = re.compile(r"^/fleet/log\b|^/logs?(/|$)|^/sources/[^/]+/ask/")
HEADERS = {
    "Content-Security-Policy": re.compile(
        r"default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": re.compile("nosniff"),
    "X-Frame-Options": re.compile("DENY"),
    "Referrer-Policy": re.compile("same-origin"),
    "Cross-Origin-Opener-Policy": re.compile("same-origin"),
    "Cross-Origin-Resource-Policy": re.compile("same-origin"),
    "Cache-Control": re.compile("no-store|no-cache"),
}


@pytest.fixture(scope="module")
def hub(make_module_hub: MakeHub) -> Iterator[RunningHub]:
    hub = make_module_hub()
    hub.add_source("site")
    hub.tokens = add_users(hub)
    hub.start()
    for release in (FIRST, SECOND):
        hub.publish("site", release, documents(3, note=release))
        hub.wait_until_live("site", release)
        hub.wait_for_changes("site", release)
    yield hub


@pytest.fixture(scope="module")
def described(hub: RunningHub) -> dict:
    return requests.get(f"{hub.url}/api/openapi.json", auth=hub.auth, timeout=30).json()


@pytest.fixture(scope="module")
def paths(hub: RunningHub) -> list[str]:
    """A path for each route of the hub, those of pages, of the SDK and of the websocket included."""
    patterns = requests.get(hub.url, auth=hub.auth, timeout=30).json()["routes"]
    return sorted({example_path(pattern) for pattern in patterns})


def _state(hub: RunningHub) -> str:
    """What changes would show in: users, tokens, what is live and pinned, and the files of source and archive."""
    books = hub.client[f"{hub.database}_hub"]
    files = [
        str(path) for root in (hub.shared, hub.archive) for path in sorted(root.rglob("*")) if path.suffix != ".lock"
    ]
    known = [
        (hub.data / "users.toml").read_text(),
        *files,
        *sorted(books.list_collection_names()),
    ]
    known += [str(hub.status("site")[key]) for key in ("live", "archived", "published", "pinned", "documents")]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def test_without_login_no_route_tells_or_changes_anything(hub: RunningHub, paths: list[str]) -> None:
    assert len(paths) > 80
    assert any("/ws" in path for path in paths)
    before = _state(hub)
    for path in {*paths, "/no/such/path", "/logs/hub.log", "/source/site/dump"}:
        for method in ("GET", "HEAD", "OPTIONS", *CHANGING):
            if path in (PUBLIC if method not in CHANGING else CHANGED_BY_ANYBODY | {"/static/style.css"}):
                continue
            answer = requests.request(method, hub.url + path, timeout=30)
            assert answer.status_code == 401, (method, path)
            assert "WWW-Authenticate" in answer.headers
    assert _state(hub) == before


def test_what_is_public_changes_nothing(hub: RunningHub) -> None:
    before = _state(hub)
    for path in PUBLIC:
        for method in CHANGING:
            assert requests.request(method, hub.url + path, json={}, timeout=30).status_code in (400, 401, 403, 405), (
                path
            )
    assert _state(hub) == before


def test_readers_change_nothing_and_operators_no_accounts(hub: RunningHub, paths: list[str]) -> None:
    before = _state(hub)
    for path in paths:
        # To ask for something impossible is enough to see who may ask.
        asked = path.replace("/site", "/nosuch")
        for method in CHANGING:
            if asked in CHANGED_BY_ANYBODY or asked.startswith(("/ws", "/static")):
                continue
            by_reader = requests.request(method, hub.url + asked, headers=bearer(hub.tokens["reader"]), timeout=30)
            if asked not in CHANGED_BY_READERS:
                assert by_reader.status_code in (403, 404), (method, asked, by_reader.text[:200])
            if FOR_ADMINS.match(asked):
                by_operator = requests.request(
                    method, hub.url + asked, headers=bearer(hub.tokens["operator"]), timeout=30
                )
                assert by_operator.status_code == 403, (method, asked)
    assert _state(hub) == before


def test_each_role_sees_what_it_may(hub: RunningHub, paths: list[str]) -> None:
    for path in paths:
        if path.startswith("/ws") or path.endswith("events") or path == "/events":
            continue
        for role in ("reader", "operator"):
            answer = requests.get(hub.url + path, headers=bearer(hub.tokens[role]), timeout=30)
            for_others = FOR_ADMINS.match(path) or (role == "reader" and FOR_OPERATORS.search(path))
            refused = answer.status_code == 403
            # What only changes something answers 405, or 403 where its role is more.
            assert refused == bool(for_others) or (refused and "takes the role operator" in answer.text), (role, path)
            assert answer.status_code < 500, (role, path, answer.text[:300])


def test_every_answer_has_the_headers_that_keep_a_browser_safe(hub: RunningHub, paths: list[str]) -> None:
    admin = bearer(hub.tokens["admin"])
    answers = [
        requests.get(hub.url + path, headers=admin | accept, timeout=30, stream=True, allow_redirects=False)
        for path in [*paths, "/no/such", "/ws/info"]
        if "websocket" not in path
        for accept in ({"Accept": "text/html"}, {"Accept": "application/json"})
    ]
    answers.append(requests.get(hub.url, headers={"Accept": "text/html"}, timeout=30, allow_redirects=False))
    answers.append(requests.get(hub.url, timeout=30))
    answers.append(requests.post(f"{hub.url}/healthz", timeout=30))
    answers.append(requests.get(f"{hub.url}/fleet/audit?limit=x", headers=admin, timeout=30))
    assert {200, 303, 400, 401, 404, 405} <= {answer.status_code for answer in answers}
    for answer in answers:
        for name, value in HEADERS.items():
            assert value.search(answer.headers.get(name, "")), (answer.url, name, answer.headers.get(name))
        assert not [it for it in answer.headers if it.lower().startswith(("access-control-", "server", "strict-"))]
        answer.close()


def test_no_page_has_script_or_style_in_it(hub: RunningHub, paths: list[str]) -> None:
    with Browser(hub.url) as browser:
        browser.log_in("admin")
        for path in paths:
            if path.startswith(("/ws", "/static")) or path.endswith("events"):
                continue
            page = browser.get(path, headers={"Accept": "text/html"})
            if not page.headers.get("Content-Type", "").startswith("text/html"):
                continue
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|javascript:", page.text), path


def test_the_description_is_valid_and_says_all_that_there_is(
    described: dict, paths: list[str], hub: RunningHub
) -> None:
    validate(described)
    named = {re.sub(r"\{\w+\}", "site", path) for path in described["paths"]}
    assert named <= set(paths)
    # Pages and the SDK's endpoints are not the API.
    api = {path for path in paths if path.startswith(("/fleet/", "/api/"))} | {
        "/healthz",
        "/login",
        "/logout",
        "/welcome",
    }
    assert api == {path for path in named if path != "/metrics"}
    for path, operations in described["paths"].items():
        for method in ("get", "post", "put", "delete"):
            url = hub.url + re.sub(r"\{\w+\}", "nosuch", path)
            if path.endswith("events"):
                continue
            answer = requests.request(method, url, headers=bearer(hub.tokens["admin"]), timeout=30)
            is_there = answer.status_code != 405
            is_page = path in ("/login", "/welcome") and method == "get"
            assert is_there == (method in operations) or is_page, (method, path, answer.status_code)
    roles = {it["x-role"] for operations in described["paths"].values() for it in operations.values()}
    assert roles == {"everybody", "visitor", "reader", "operator", "admin"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/fleet/audit?limit=0", "Expected `int` >= 1"),
        ("/fleet/audit?limit=one", "Expected `int`"),
        ("/fleet/audit?limits=1", "unknown field `limits`"),
        ("/fleet/audit?who=%ff", "invalid unicode"),
        (f"/fleet/status?{'x' * 9000}", "longer than"),
    ],
)
def test_what_is_asked_for_wrongly_is_told(hub: RunningHub, path: str, said: str) -> None:
    answer = requests.get(hub.url + path, auth=hub.auth, timeout=30)
    assert answer.status_code in (400, 414)
    assert said.lower() in answer.json()["error"].lower()


@pytest.mark.parametrize("body", ["[1]", "{", "null", '{"release": 5}', '{"release": "x", "more": 1}', '"\\ud800"'])
def test_a_body_that_is_not_what_is_expected_is_told(hub: RunningHub, body: str) -> None:
    headers = {"Content-Type": "application/json", **bearer(hub.tokens["operator"])}
    answer = requests.post(f"{hub.url}/fleet/sources/site/rollback", data=body, headers=headers, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_no_log_leads_out_of_its_folder(hub: RunningHub) -> None:
    (hub.data / "secret.log").write_text("secret")
    admin = bearer(hub.tokens["admin"])
    names = requests.get(f"{hub.url}/logs/", headers=admin, timeout=30).json()
    assert names
    assert requests.get(f"{hub.url}/log/{names[0]}?lines=5", headers=admin, timeout=30).status_code == 200
    for name in ("..%2Fsecret.log", "..%2f..%2fsecret.log", "%2Fetc%2Fpasswd", "..", ".", "%00", "logs%2Fhub.log"):
        with requests.Session() as session:
            request = requests.Request("GET", f"{hub.url}/log/x", headers=admin).prepare()
            request.url = f"{hub.url}/log/{name}"
            assert session.send(request, timeout=30).status_code == 404, name


def test_orders_and_pauses_reach_the_crawler(hub: RunningHub) -> None:
    operator = bearer(hub.tokens["operator"])
    url = f"{hub.url}/fleet/sources/site"
    order = requests.post(f"{url}/crawl", json={"reason": "it is Monday"}, headers=operator, timeout=30).json()
    assert (order["command"], order["by"], order["reason"]) == ("crawl", "operator", "it is Monday")
    assert requests.post(f"{url}/pause", headers=operator, timeout=30).status_code == 400
    paused = requests.post(f"{url}/pause", data={"reason": "moved", "until": ""}, headers=operator, timeout=30).json()
    assert (paused["by"], paused["reason"], paused["until"]) == ("operator", "moved", "")
    look = requests.get(url, headers=operator, timeout=30).json()
    assert look["manifest"]["name"] == "site"
    assert look["status"]["standing"]["ordered"] == "crawl"
    assert requests.post(f"{url}/resume", headers=operator, timeout=30).json()["outcome"] == "done"
    assert requests.post(f"{url}/resume", headers=operator, timeout=30).json()["outcome"] == "nothing to do"
    nothing = requests.post(f"{url}/approve", headers=operator, timeout=30)
    assert nothing.status_code == 409
    assert "no release is held" in nothing.json()["error"]


def test_rollback_is_by_whoever_logged_in(hub: RunningHub) -> None:
    parameters = {"release": FIRST, "reason": "a try", "by": "somebody else"}
    url = f"{hub.url}/fleet/sources/site"
    done = requests.post(f"{url}/rollback", json=parameters, headers=bearer(hub.tokens["operator"]), timeout=60)
    assert done.json()["release"] == FIRST
    assert hub.status("site")["pinned"]["by"] == "operator"
    assert requests.post(f"{url}/unpin", headers=bearer(hub.tokens["operator"]), timeout=60).status_code == 200


def test_the_description_holds(hub: RunningHub, tmp_path: Path) -> None:
    """No answer 500, none that is not described, none that accepts what it says it doesn't, for requests made up from it."""
    soak = bool(os.environ.get("FLEET_SOAK"))
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
    command += [f"{hub.url}/api/openapi.json", "--header", f"Authorization: Bearer {hub.tokens['admin']}", "--no-color"]
    command += ["--phases", "coverage,fuzzing" if soak else "fuzzing", "--max-examples", "30" if soak else "6"]
    # That no login is no way in, the tests above show; a form and JSON are read alike, so a text may stand for a number.
    command += [
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]
    command += ["--exclude-path-regex", "/events$|^/logout$", *([] if soak else ["--seed", "1"])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert hub.status("site")["state"]
