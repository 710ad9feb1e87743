"""The settings of the hub: what is wrong is told with the setting's name, and no password is repeated."""

from pathlib import Path

import pytest

from crawlers.runtime.errors import UsageError
from hub.access.accounts import add_user
from hub.access.exposure import check_exposure
from hub.access.users_file import UsersFile
from hub.replica_set import initiate
from hub.settings import HubSettings, is_loopback


def settings(**environment: str) -> HubSettings:
    return HubSettings.from_environment(environment)


def test_unset_the_hub_listens_on_loopback_and_uses_the_embedded_database(tmp_path: Path) -> None:
    found = settings(FLEET_DATA_DIR=str(tmp_path))
    assert (found.host, found.port, found.mongo_uri, found.mongo_database) == ("127.0.0.1", 7080, None, "fleet")
    assert found.archive_dir == tmp_path / "archive"
    check_exposure(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLEET_HUB_PORT", "0"),
        ("FLEET_HUB_PORT", "65536"),
        ("FLEET_MONGO_PORT", "x"),
        ("FLEET_MONGO_PORT", "-1"),
        ("FLEET_HUB_WORKERS", "0"),
        ("FLEET_HUB_POLL_SECONDS", "1.5"),
        ("FLEET_MONGO_DATABASE", "a.b"),
        ("FLEET_MONGO_DATABASE", "a/b"),
        ("FLEET_HUB_PASSWORD_FILE", "/nonexistent/password"),
    ],
)
def test_a_wrong_value_is_told_with_its_setting(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name) as error:
        settings(**{name: value})
    assert repr(value) in str(error.value)


def test_the_password_of_the_database_comes_from_a_file_and_is_escaped(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("p@ss/w:rd\n")
    found = settings(
        FLEET_MONGO_URI="mongodb://fleet@mongo:27017/?replicaSet=rs0", FLEET_MONGO_PASSWORD_FILE=str(secret)
    )
    assert found.database_uri() == "mongodb://fleet:p%40ss%2Fw%3Ard@mongo:27017/?replicaSet=rs0"


@pytest.mark.parametrize(
    "uri", ["mongodb://mongo:27017", "mongodb://fleet:hidden@mongo", "http://mongo", "mongo:27017"]
)
def test_a_uri_that_leaves_no_room_for_the_password_is_told_without_repeating_it(tmp_path: Path, uri: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password")
    with pytest.raises(UsageError, match="FLEET_MONGO_URI") as error:
        settings(FLEET_MONGO_URI=uri, FLEET_MONGO_PASSWORD_FILE=str(secret))
    assert "hidden" not in str(error.value)


def test_an_empty_password_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("\n")
    with pytest.raises(UsageError, match="FLEET_HUB_PASSWORD_FILE"):
        settings(FLEET_HUB_USER="operator", FLEET_HUB_PASSWORD_FILE=str(secret))


def test_a_login_needs_both_user_and_password() -> None:
    with pytest.raises(UsageError, match="FLEET_HUB_USER and FLEET_HUB_PASSWORD_FILE"):
        settings(FLEET_HUB_USER="operator")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "hub.example.org", "127.0.0.1.example.org"])
def test_off_loopback_a_login_is_required(host: str) -> None:
    with pytest.raises(UsageError, match="FLEET_HUB_HOST"):
        check_exposure(settings(FLEET_HUB_HOST=host))


@pytest.mark.parametrize(
    "setting", [{"FLEET_HUB_HOSTS": "hub.example.org"}, {"FLEET_HUB_TRUSTED_PROXIES": "127.0.0.1"}]
)
def test_behind_a_proxy_a_login_is_required_on_loopback_too(setting: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody can log in"):
        check_exposure(settings(FLEET_DATA_DIR=str(tmp_path), **setting))
    add_user(UsersFile(tmp_path / "users.toml"), "anna", "admin", "long enough")
    check_exposure(settings(FLEET_DATA_DIR=str(tmp_path), **setting))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLEET_HUB_PREFIX", "fleet"),
        ("FLEET_HUB_PREFIX", "/fleet/../x y"),
        ("FLEET_HUB_TRUSTED_PROXIES", "proxy.example.org"),
        ("FLEET_HUB_READ_ONLY", "yes"),
        ("FLEET_HUB_SHELL", "true"),
        ("FLEET_HUB_SESSION_SECONDS", "0"),
        ("FLEET_HUB_URL", "hub.example.org"),
        ("FLEET_HUB_TLS_CERTIFICATE_FILE", "/no/such"),
    ],
)
def test_a_wrong_setting_of_access_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        settings(**{name: value})


def test_the_url_of_the_hub_has_its_scheme_and_prefix() -> None:
    assert settings().url == "http://127.0.0.1:7080"
    tls = {"FLEET_HUB_TLS_CERTIFICATE_FILE": "/c", "FLEET_HUB_TLS_KEY_FILE": "/k"}
    assert settings(FLEET_HUB_PREFIX="/fleet/", FLEET_HUB_HOST="::", **tls).url == "https://[::1]:7080/fleet"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_these_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.org", "127.1", "0x7f000001", "2130706433"])
def test_these_are_not_taken_for_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_before_its_first_start_the_embedded_database_has_no_uri(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fleet hub"):
        settings(FLEET_DATA_DIR=str(tmp_path)).database_uri()


def test_a_data_folder_that_cannot_be_made_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = settings(FLEET_DATA_DIR=str(tmp_path / "file"))
    with pytest.raises(UsageError, match="FLEET_DATA_DIR"):
        found.make_data_dir()


def test_a_file_that_the_uri_names_and_is_not_there_is_told_with_the_setting() -> None:
    with pytest.raises(UsageError, match="FLEET_MONGO_URI"):
        initiate("mongodb://127.0.0.1/?tls=true&tlsCAFile=/no/such/file")
