"""A hub that others reach: by TLS, and behind a proxy that they reach it through; and one that is read-only."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.certificates import make_certificate
from tests.hub_users import Browser, add_users, bearer
from tests.running_hub import RunningHub

MakeHub = Callable[..., RunningHub]
PAGE = {"Accept": "text/html"}
THROUGH_PROXY = {
    "X-Forwarded-For": "198.51.100.7, 203.0.113.5",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "hub.example.org",
}


@pytest.fixture(scope="module")
def tls_hub(make_module_hub: MakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub that speaks TLS, below /fleet."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    hub = make_module_hub(
        FLEET_HUB_TLS_CERTIFICATE_FILE=str(certificate), FLEET_HUB_TLS_KEY_FILE=str(key), FLEET_HUB_PREFIX="/fleet"
    )
    hub.url = f"https://127.0.0.1:{hub.port}/fleet"
    hub.add_source("site")
    hub.tokens = add_users(hub)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        yield hub.start()


@pytest.fixture(scope="module")
def proxied_hub(make_module_hub: MakeHub) -> Iterator[RunningHub]:
    """A read-only hub behind a proxy, which is this machine and a second one."""
    hub = make_module_hub(
        FLEET_HUB_TRUSTED_PROXIES="127.0.0.1, 203.0.113.0/24",
        FLEET_HUB_HOSTS="hub.example.org",
        FLEET_HUB_PREFIX="/data/hub",
        FLEET_HUB_READ_ONLY="1",
    )
    hub.url += "/data/hub"
    hub.add_source("site")
    hub.tokens = add_users(hub)
    yield hub.start()


def test_by_tls_the_cookie_is_secure_and_browsers_come_by_tls_again(tls_hub: RunningHub) -> None:
    with Browser(tls_hub.url) as browser:
        browser.trust_env = True
        answer = browser.log_in("operator")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "; Path=/fleet; SameSite=Lax; Secure" in answer.headers["Set-Cookie"]
        assert browser.get("/fleet/whoami").json()["name"] == "operator"
    # Plain HTTP on the port of TLS is no way in.
    with pytest.raises(requests.ConnectionError):
        requests.get(tls_hub.url.replace("https", "http"), timeout=30)


def test_the_command_knows_the_hub_of_this_machine_by_its_certificate(tls_hub: RunningHub, tmp_path: Path) -> None:
    assert json.loads(tls_hub.run("status", "--json").stdout)[0]["name"] == "site"
    other, _ = make_certificate(tmp_path)
    before = tls_hub.environment.copy()
    try:
        tls_hub.environment["FLEET_HUB_TLS_CERTIFICATE_FILE"] = str(other)
        assert tls_hub.run("dump", "site").returncode == 6
        del tls_hub.environment["FLEET_HUB_TLS_CERTIFICATE_FILE"], tls_hub.environment["FLEET_HUB_TLS_KEY_FILE"]
        token = tmp_path / "token"
        token.write_text(tls_hub.tokens["operator"] + "\n")
        # As from another machine: an address, an authority and a token.
        tls_hub.environment |= {
            "FLEET_HUB_URL": tls_hub.url,
            "FLEET_HUB_CA_FILE": before["FLEET_HUB_TLS_CERTIFICATE_FILE"],
            "FLEET_HUB_TOKEN_FILE": str(token),
        }
        assert tls_hub.run("dump", "site").returncode == 0
        refused = tls_hub.run("user", "invite")
        assert refused.returncode == 2
        assert "takes the role admin" in refused.stderr
    finally:
        tls_hub.environment = before


def test_below_a_prefix_every_link_has_it_and_nothing_is_beside_it(tls_hub: RunningHub) -> None:
    with Browser(tls_hub.url) as browser:
        browser.trust_env = True
        sent = browser.get("/", headers=PAGE)
        assert sent.headers["Location"] == "/fleet/login?next=/fleet/"
        page = browser.get("/login", headers=PAGE).text
        assert 'href="/fleet/static/style.css"' in page
        assert 'action="/fleet/login"' in page
        assert 'href="/static' not in page
        for path in ("/", "/login", "/fleetx", "/fleetx/healthz"):
            assert browser.get(tls_hub.url.removesuffix("/fleet") + path).status_code == 404, path
        assert browser.get("/api/openapi.json", headers=bearer(tls_hub.tokens["reader"])).json()["servers"] == [
            {"url": "/fleet"}
        ]


def test_a_certificate_that_cannot_be_used_is_told_at_the_start(make_hub: MakeHub, tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path / "one")
    _, key = make_certificate(tmp_path / "other")
    hub = make_hub(FLEET_HUB_TLS_CERTIFICATE_FILE=str(certificate), FLEET_HUB_TLS_KEY_FILE=str(key))
    refused = hub.run("hub")
    assert refused.returncode == 2
    assert "FLEET_HUB_TLS_KEY_FILE" in refused.stderr


def test_what_a_trusted_proxy_tells_is_believed(proxied_hub: RunningHub) -> None:
    with Browser(proxied_hub.url) as browser:
        browser.headers.update(THROUGH_PROXY | {"Origin": "https://hub.example.org"})
        answer = browser.log_in("admin")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "Strict-Transport-Security" in answer.headers
        cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        entries = browser.get("/fleet/audit", headers=cookie).json()
    # The last address that is no proxy of ours: what the client says of itself before it counts for nothing.
    assert entries[0]["address"] == "198.51.100.7"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "hub.example.org"}, 200),
        ({"Host": "hub.example.org:8443"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"X-Forwarded-Host": "evil.example"}, 403),
        (
            {"X-Forwarded-Host": "hub.example.org", "X-Forwarded-Proto": "https", "Origin": "https://hub.example.org"},
            200,
        ),
        ({"X-Forwarded-Host": "hub.example.org", "Origin": "https://hub.example.org"}, 403),
        ({"X-Forwarded-For": "no address", "X-Forwarded-Proto": "gopher"}, 200),
        ({"X-Forwarded-For": "192.0.2.1, 198.51.100.7", "X-Forwarded-Host": "hub.example.org, evil.example"}, 403),
    ],
)
def test_the_host_is_known_or_refused(proxied_hub: RunningHub, headers: dict[str, str], status: int) -> None:
    token = bearer(proxied_hub.tokens["reader"])
    assert requests.get(f"{proxied_hub.url}/fleet/status", headers=headers | token, timeout=30).status_code == status


def test_who_is_no_trusted_proxy_is_not_believed(tls_hub: RunningHub) -> None:
    admin = bearer(tls_hub.tokens["admin"])
    url = f"{tls_hub.url}/fleet"
    assert requests.post(f"{url}/sources/site/dump", headers=admin | THROUGH_PROXY, timeout=60).status_code == 200
    entry = requests.get(f"{url}/audit?limit=1", headers=admin, timeout=30).json()[0]
    assert entry["address"] == "127.0.0.1"


def test_a_read_only_hub_refuses_every_change(proxied_hub: RunningHub) -> None:
    admin = bearer(proxied_hub.tokens["admin"])
    for path in ("/fleet/sources/site/dump", "/fleet/users", "/fleet/password", "/welcome"):
        answer = requests.post(proxied_hub.url + path, headers=admin, json={}, timeout=30)
        assert (answer.status_code, "read-only" in answer.json()["error"]) == (403, True), path
    assert requests.put(f"{proxied_hub.url}/source/site/dump", headers=admin, timeout=30).status_code == 403
    with Browser(proxied_hub.url) as browser:
        assert browser.log_in("reader").status_code == 200
        assert browser.get("/fleet/whoami").json()["read_only"] is True
        assert browser.post("/logout").status_code == 200
