"""Who may reach the hub: on loopback this machine, elsewhere only with a login, and never a page of another origin."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.hub_users import PUBLIC, example_path
from tests.running_hub import RunningHub

MakeHub = Callable[..., RunningHub]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
LOGIN = ("operator", "pass:wörd")


@pytest.fixture(scope="module")
def open_hub(make_module_hub: MakeHub) -> Iterator[RunningHub]:
    """A hub on loopback, without a login."""
    hub = make_module_hub()
    hub.add_source("site")
    yield hub.start()


@pytest.fixture(scope="module")
def guarded_hub(make_module_hub: MakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub that listens on every address, with a login."""
    password = tmp_path_factory.mktemp("secrets") / "password"
    password.write_text(f"{LOGIN[1]}\n", encoding="utf-8")
    hub = make_module_hub(FLEET_HUB_HOST="0.0.0.0", FLEET_HUB_USER=LOGIN[0], FLEET_HUB_PASSWORD_FILE=str(password))
    hub.add_source("site")
    yield hub.start()


def _login() -> dict[str, str]:
    import base64

    return {"Authorization": "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()}


def _paths(hub: RunningHub) -> set[str]:
    """A path for each route of the hub."""
    return {example_path(it) for it in requests.get(hub.url, headers=_login(), timeout=30).json()["routes"]}


def test_no_route_answers_without_login_off_loopback(guarded_hub: RunningHub) -> None:
    paths = _paths(guarded_hub)
    assert any("websocket" in path for path in paths)
    assert len(paths) > 15
    for path in {*paths, "/no/such/path", "/log/hub.log", "/config"} - PUBLIC:
        for method in METHODS:
            answer = requests.request(method, guarded_hub.url + path, timeout=30)
            assert answer.status_code == 401, (method, path)
            assert "WWW-Authenticate" in answer.headers


def test_the_websocket_is_refused_without_login(guarded_hub: RunningHub) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "a" * 22 + "==",
    }
    url = f"{guarded_hub.url}/ws/1/abc/websocket"
    assert requests.get(url, headers=headers, timeout=30).status_code == 401
    with requests.get(url, headers={**headers, **_login()}, timeout=30, stream=True) as answer:
        assert answer.status_code == 101


@pytest.mark.parametrize("login", [("operator", "wrong"), ("other", "pass:wörd"), ("", ""), ("operator", "")])
def test_a_wrong_login_is_refused(guarded_hub: RunningHub, login: tuple[str, str]) -> None:
    credentials = (login[0].encode(), login[1].encode())
    assert requests.get(guarded_hub.url, auth=credentials, timeout=30).status_code == 401


def test_who_guesses_passwords_has_to_wait(guarded_hub: RunningHub) -> None:
    answers = [requests.get(guarded_hub.url, auth=("guesser", f"guess {it}"), timeout=30) for it in range(6)]
    assert [it.status_code for it in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert requests.get(guarded_hub.url, headers=_login(), timeout=30).status_code == 200


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer x", "Basic\tx", "Digest b3BlcmF0b3I6"])
def test_a_header_that_is_no_login_is_refused(guarded_hub: RunningHub, header: str) -> None:
    assert requests.get(guarded_hub.url, headers={"Authorization": header}, timeout=30).status_code == 401


def test_with_the_login_the_hub_answers_and_the_command_uses_it(guarded_hub: RunningHub) -> None:
    assert requests.get(f"{guarded_hub.url}/fleet/status", headers=_login(), timeout=30).status_code == 200
    assert guarded_hub.run("status").returncode == 0


def test_off_loopback_without_login_the_hub_does_not_start(make_hub: MakeHub) -> None:
    hub = make_hub(FLEET_HUB_HOST="0.0.0.0")
    refused = hub.run("hub")
    assert refused.returncode == 2
    assert "FLEET_HUB_PASSWORD_FILE" in refused.stderr
    assert list(hub.data.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        "/logs/../../etc/passwd",
        "/shell",
        "/stop",
        "/restart",
        "/source/site/reset",
        "/source/site/validate",
        "/source/site/create_validation",
        "/source/site/mapping",
        "/dataupload/site",
        "/dataplugin/register_url",
        "/code/upgrade",
    ],
)
def test_no_route_reads_files_or_changes_the_hub(open_hub: RunningHub, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert requests.request(method, open_hub.url + path, timeout=30).status_code in (404, 405), (method, path)


def test_the_sdks_endpoints_only_tell(open_hub: RunningHub) -> None:
    for path in ("/sources", "/source/site", "/status", "/job_manager", "/dump_manager", "/upload_manager"):
        answer = requests.get(open_hub.url + path, timeout=30)
        assert answer.status_code == 200, path
        assert "mongodb://" not in answer.text
        for method in ("POST", "PUT", "DELETE"):
            answer = requests.request(method, open_hub.url + path, auth=open_hub.auth, timeout=30)
            assert answer.status_code in (404, 405), (method, path)


@pytest.mark.parametrize(
    "path",
    [
        "/log/hub.log",
        "/config",
        "/fleet/log",
        "/fleet/configuration",
        "/fleet/sources/site/documents",
        "/fleet/sources/site/releases/live/rejects",
        "/fleet/sources/site/releases/live/files/data.ndjson",
        "/fleet/sources/site/runs/last/log",
        "/fleet/audit",
    ],
)
def test_without_users_everybody_on_this_machine_looks_but_at_no_logs_and_records(
    open_hub: RunningHub, path: str
) -> None:
    assert requests.get(f"{open_hub.url}/fleet/status", timeout=30).status_code == 200
    assert requests.get(open_hub.url + path, timeout=30).status_code == 401
    assert requests.get(open_hub.url + path, auth=open_hub.auth, timeout=30).status_code in (200, 404)
    assert requests.post(f"{open_hub.url}/fleet/sources/site/dump", timeout=30).status_code == 401


def test_another_host_name_is_refused_on_loopback(open_hub: RunningHub) -> None:
    for host in ("evil.example", f"evil.example:{open_hub.port}", "127.0.0.1.evil.example", ""):
        assert requests.get(open_hub.url, headers={"Host": host}, timeout=30).status_code in (400, 403), host
    for host in ("localhost", f"127.0.0.1:{open_hub.port}", f"[::1]:{open_hub.port}"):
        assert requests.get(open_hub.url, headers={"Host": host}, timeout=30).status_code == 200, host


def test_a_page_of_another_origin_is_refused_and_told_nothing(open_hub: RunningHub) -> None:
    for path in ("/fleet/sources/site/dump", "/fleet/status", "/sources", "/ws/info"):
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{open_hub.port + 1}"):
            answer = requests.post(open_hub.url + path, headers={"Origin": origin}, timeout=30)
            assert answer.status_code == 403, (path, origin)
    for path in ("/sources", "/ws/info", "/fleet/status"):
        answer = requests.get(open_hub.url + path, headers={"Origin": open_hub.url}, timeout=30)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_an_origin_that_is_no_url_is_refused(open_hub: RunningHub) -> None:
    answer = requests.get(f"{open_hub.url}/fleet/status", headers={"Origin": "http://["}, timeout=30)
    assert answer.status_code == 403


@pytest.mark.parametrize("transport", ["jsonp", "htmlfile"])
def test_the_websocket_is_not_told_as_a_script_that_any_page_could_load(open_hub: RunningHub, transport: str) -> None:
    answer = requests.get(f"{open_hub.url}/ws/1/session/{transport}", params={"c": "callback"}, timeout=30)
    assert answer.status_code == 404


def test_a_body_that_is_too_long_is_refused(open_hub: RunningHub) -> None:
    with socket.create_connection(("127.0.0.1", open_hub.port), 30) as client:
        client.sendall(
            b"POST /fleet/sources/site/dump HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 4")


def test_passwords_are_not_told_to_other_users_of_the_machine(guarded_hub: RunningHub) -> None:
    assert guarded_hub.process
    command = Path(f"/proc/{guarded_hub.process.pid}/cmdline").read_text()
    assert LOGIN[1] not in command
    assert LOGIN[1] not in guarded_hub.log.read_text()
