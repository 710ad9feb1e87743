"""What every request has in common."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.runtime.errors import UsageError
from crawlers.runtime.http import (
    RETRY_AFTER_MAX_SECONDS,
    Patience,
    check_base_url,
    rebase,
    retry_after_seconds,
    user_agent,
)
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.settings import RuntimeSettings

NOW = 1_795_312_923.0  # 2026-11-22T02:02:03Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("-7", None),
        ("999999", RETRY_AFTER_MAX_SECONDS),
        ("9" * 400, RETRY_AFTER_MAX_SECONDS),
        ("Sun, 22 Nov 2026 02:02:33 GMT", 30),
        ("Sun, 22 Nov 2020 02:02:33 GMT", 0),
        ("Sun, 22 Nov 2126 02:02:33 GMT", RETRY_AFTER_MAX_SECONDS),
        ("Sun, 99 Nov 2026 02:02:33 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@given(st.text())
def test_whatever_retry_after_holds_the_wait_is_bounded(value: str) -> None:
    seconds = retry_after_seconds(value, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX_SECONDS


def test_pauses_double_and_what_the_site_asks_for_wins() -> None:
    patience = Patience(retry_pause_seconds=0.5)
    assert [patience.pause_seconds(attempt) for attempt in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert patience.pause_seconds(4, asked=0) == 0


@pytest.mark.parametrize(
    ("url", "base_url", "expected"),
    [
        ("https://site.org/a/b?q=1&r=%2F", "", "https://site.org/a/b?q=1&r=%2F"),
        ("https://site.org/a/b?q=1&r=%2F", "http://127.0.0.1:80", "http://127.0.0.1:80/a/b?q=1&r=%2F"),
        ("https://site.org:8443/a", "http://127.0.0.1:80/replay", "http://127.0.0.1:80/replay/a"),
        ("http://127.0.0.1:80/replay/a", "http://127.0.0.1:80/replay", "http://127.0.0.1:80/replay/a"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:80", "http://127.0.0.1:80/a"),
    ],
)
def test_requests_go_to_the_base_url_with_path_and_query(url: str, base_url: str, expected: str) -> None:
    assert rebase(url, base_url) == expected


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://a?b=1", "http://a#b", "/a"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected http"):
        check_base_url(url)


def test_the_user_agent_names_project_version_and_contact(manifest: Manifest) -> None:
    assert user_agent(manifest).startswith("crawler-fleet/")
    assert "https://github.com/crawler-fleet/crawler-fleet" in user_agent(manifest)
    assert "tests@example.org" in user_agent(manifest)
    assert "me@example.org" in user_agent(manifest, "me@example.org")


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", "1e9"])
@pytest.mark.parametrize("name", ["FLEET_TIMEOUT_SECONDS", "FLEET_RETRY_PAUSE_SECONDS"])
def test_a_setting_that_is_no_time_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is '{value}'"):
        RuntimeSettings.from_environment({name: value})


def test_settings_have_defaults_below_the_data_folder() -> None:
    settings = RuntimeSettings.from_environment({"FLEET_DATA_DIR": "/data", "FLEET_TIMEOUT_SECONDS": " 7.5 "})
    assert settings.shared_dir == Path("/data/shared")
    assert (settings.timeout_seconds, settings.retry_pause_seconds) == (7.5, 0.5)


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://site.org:abc", "http://site.org:99999", "http://site.org/a b", "http://site.org/?a=1"],
)
def test_a_base_url_that_can_not_be_one_is_an_error_that_says_what_is_expected(url: str) -> None:
    with pytest.raises(UsageError, match="expected http"):
        check_base_url(url)


@pytest.mark.parametrize("contact", ["Łukasz <l@example.org>", "a@example.org\nX: y"])
def test_a_contact_that_no_header_can_carry_is_an_error_that_names_the_setting(contact: str) -> None:
    with pytest.raises(UsageError, match="FLEET_CONTACT is"):
        RuntimeSettings.from_environment({"FLEET_CONTACT": contact})
