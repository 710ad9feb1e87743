"""Which alerts are told, and in which words: nothing is sent here."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from crawlers.runtime.errors import UsageError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.standing import Standing
from hub.alerts.channels import make_senders
from hub.alerts.configuration import AlertSettings, Channel, Digest, Flapping, find_url, read_alert_settings
from hub.alerts.findings import ReadSteps, look
from hub.alerts.incidents import Finding, Memory, advance, is_digest_due
from hub.alerts.messages import describe_all, describe_changes
from hub.settings import HubSettings

# Apprise looks for a module that Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)  # a Thursday
AT_ONCE = AlertSettings(settle_minutes=0)
HOOK = Channel(name="hook", url="json://127.0.0.1/")


def finding(bad: bool | None, state: str = "", thing: str = "source demo", reason: str = "") -> Finding:
    return Finding(thing=thing, bad=bad, state=state or ("failing" if bad else "fresh"), reason=reason)


def told(memory: Memory, settings: AlertSettings, *steps: bool | None, minutes: float = 10) -> list[str]:
    """The kinds of what is told of one thing that is seen so, from ``NOW`` on, with so many minutes in between."""
    kinds: list[str] = []
    for number, bad in enumerate(steps):
        moment = NOW + number * timedelta(minutes=minutes)
        kinds += [change.kind for change in advance(memory, [finding(bad)], settings, moment)]
    return kinds


def test_twenty_bad_looks_are_told_once_and_so_is_that_it_is_well_again() -> None:
    assert told(Memory(), AT_ONCE, *[False] * 3, *[True] * 20, *[False] * 20) == ["bad", "well"]


def test_what_is_bad_when_it_is_first_seen_is_told() -> None:
    assert told(Memory(), AT_ONCE, True) == ["bad"]
    assert told(Memory(), AT_ONCE, False) == []


def test_while_a_failing_source_is_crawled_or_paused_nothing_changes() -> None:
    assert told(Memory(), AT_ONCE, True, None, True, None, None, True, None, False) == ["bad", "well"]


def test_another_bad_state_is_no_news() -> None:
    memory = Memory()
    advance(memory, [finding(True, "failing")], AT_ONCE, NOW)
    assert advance(memory, [finding(True, "stale")], AT_ONCE, NOW) == []
    assert [it.state for it in memory.incidents] == ["stale"]


def test_what_does_not_last_is_not_told() -> None:
    settings = AlertSettings(settle_minutes=15)
    assert told(Memory(), settings, False, True, True, False, False, minutes=10) == []
    assert told(Memory(), settings, False, True, True, True, False, True, True, False, minutes=10) == ["bad"]


def test_what_can_not_be_told_in_between_does_not_start_the_wait_anew() -> None:
    assert told(Memory(), AlertSettings(settle_minutes=15), True, None, True, minutes=10) == ["bad"]


def test_what_flaps_is_told_of_until_it_is_called_flapping_and_then_when_it_is_steady() -> None:
    settings = AlertSettings(settle_minutes=0, flapping=Flapping(changes=4, within_hours=24, quiet_hours=6))
    flaps = [True, False] * 20
    memory = Memory()
    assert told(memory, settings, *flaps, minutes=10) == ["bad", "well", "bad", "well", "flapping"]
    later = NOW + timedelta(minutes=390 + 355)
    assert advance(memory, [finding(False)], settings, later) == []
    (steady,) = advance(memory, [finding(False)], settings, later + timedelta(minutes=10))
    assert (steady.kind, steady.finding.bad) == ("steady", False)
    assert [it.kind for it in advance(memory, [finding(True)], settings, later + timedelta(hours=1))] == ["bad"]


def test_changes_that_are_far_apart_are_no_flapping() -> None:
    settings = AlertSettings(settle_minutes=0, flapping=Flapping(changes=4, within_hours=24))
    assert told(Memory(), settings, *[True, False] * 6, minutes=12 * 60) == ["bad", "well"] * 6


def test_a_source_that_is_gone_is_forgotten() -> None:
    memory = Memory()
    advance(memory, [finding(True), finding(True, thing="database")], AT_ONCE, NOW)
    assert advance(memory, [finding(True, thing="database")], AT_ONCE, NOW) == []
    assert list(memory.things) == ["database"]


@pytest.mark.parametrize(
    ("digest", "moments", "due"),
    [
        (Digest(every="day"), ["06:00", "06:59", "07:00", "07:01", "23:00"], [False, False, True, False, False]),
        (Digest(every="week", on="thursday"), ["06:59", "07:01", "07:02"], [False, True, False]),
        (Digest(every="week", on="friday"), ["06:59", "07:01", "23:59"], [False, False, False]),
    ],
)
def test_a_digest_is_due_once_after_its_time(digest: Digest, moments: list[str], due: list[bool]) -> None:
    memory = Memory()
    found = [is_digest_due(memory, digest, datetime.fromisoformat(f"2026-11-26T{it}:00+00:00")) for it in moments]
    assert found == due


def test_of_the_digests_that_a_hub_missed_while_it_was_off_one_is_made() -> None:
    memory = Memory()
    assert not is_digest_due(memory, Digest(every="day"), NOW)
    assert is_digest_due(memory, Digest(every="day"), NOW + timedelta(days=5))
    assert not is_digest_due(memory, Digest(every="day"), NOW + timedelta(days=5, hours=1))


def test_what_turns_bad_at_once_is_one_message() -> None:
    settings = AlertSettings(
        settle_minutes=0, channels=(HOOK, Channel(name="news", url="json://h", receives=("digest",)))
    )
    findings = [finding(True, thing=f"source number_{number}", reason=f"why {number}") for number in range(60)]
    (message,) = describe_changes(advance(Memory(), findings, settings, NOW), settings, NOW)
    assert message.channel == "hook"
    assert (
        message.title == "Crawler Fleet: 60 turned bad: source number_0, source number_1, source number_2 and 57 more"
    )
    assert message.body.splitlines()[0] == "source number_0 is failing: why 0"
    assert message.body.splitlines()[-1] == "… and 20 more"


def test_words_of_sites_are_made_safe_and_cut_and_a_link_stays_whole() -> None:
    settings = AlertSettings(settle_minutes=0, channels=(HOOK,), link="https://fleet.example.org/")
    changes = advance(Memory(), [finding(True, reason="\x1b[31m\u202e\n" + "x" * 10_000)], settings, NOW)
    (message,) = describe_changes(changes, settings, NOW)
    assert message.title == "Crawler Fleet: source demo is failing"
    assert message.body.startswith(r"source demo is failing: \x1b[31m\u202e\nxxx")
    assert message.body.endswith("x … https://fleet.example.org/sources/demo")
    assert len(message.body) < 500


def test_a_site_can_call_nobody_in_a_chat() -> None:
    settings = AlertSettings(settle_minutes=0, channels=(HOOK,))
    reason = "hello @everyone <!channel> <@U123> write to a@example.org"
    (message,) = describe_changes(advance(Memory(), [finding(True, reason=reason)], settings, NOW), settings, NOW)
    assert message.body.endswith("hello @ everyone <! channel> <@ U123> write to a@ example.org")


def test_a_digest_counts_states_and_names_what_needs_attention() -> None:
    settings = AlertSettings(channels=(HOOK,))
    standings = [
        standing("one", state="fresh", released="2026-11-26T01:00:00Z", records=1200),
        standing("two", state="fresh", released="2026-11-20T01:00:00Z", records=34),
        standing("three", state="failing"),
    ]
    incidents = [
        Finding(thing="source three", bad=True, state="failing", since="2026-11-25T01:00:00Z", reason="timeout")
    ]
    (message,) = describe_all(standings, incidents, settings, NOW - timedelta(days=1), NOW)
    assert message.title == "Crawler Fleet: one thing needs attention"
    assert message.body.splitlines() == [
        "3 sources: 1 failing, 2 fresh.",
        "Since 2026-11-25T08:00:00Z, 1 of them published a release. 1,234 records are published in all.",
        "",
        "Needs attention:",
        "- source three is failing since 2026-11-25T01:00:00Z: timeout",
    ]
    (quiet,) = describe_all(standings[:2], [], settings, None, NOW)
    assert (quiet.title, quiet.body.splitlines()[-1]) == ("Crawler Fleet: all is well", "All is well.")


def standing(name: str, **fields: object) -> Standing:
    return Standing(name=name, title="", url="", since="", reason="", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels = 3", "Expected `array`, got `int` - at `$.channels`"),
        ("bad = ['slow']", "Invalid enum value 'slow' - at `$.bad[0]`"),
        ("settle_hours = 3", "unknown field `settle_hours`"),
        ("[digest]\nevery = 'month'", "Invalid enum value 'month' - at `$.digest.every`"),
        ("[[channels]]\nname = 'a'\n[[channels]]\nname = 'a'", "two channels are called 'a'"),
        ("channels = [", "not TOML"),
        ("link = 'fleet'", "at `$.link`"),
    ],
)
def test_a_wrong_file_is_refused_and_the_message_says_where(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_alert_settings(path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_a_url_comes_from_the_file_a_secret_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("slack://A/B/C\n")
    assert find_url(Channel(name="it", url="json://h"), tmp_path) == "json://h"
    assert find_url(Channel(name="it", url_file="secret"), tmp_path) == "slack://A/B/C"
    assert find_url(Channel(name="it", url_file=str(tmp_path / "secret")), Path("/nowhere")) == "slack://A/B/C"
    assert find_url(Channel(name="it", url_variable="HOOK"), tmp_path, {"HOOK": "json://h"}) == "json://h"


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (Channel(name="it"), "has no URL"),
        (Channel(name="it", url="json://h", url_file="x"), "has url and url_file"),
        (Channel(name="it", url_file="missing"), "its url_file can't be read"),
        (Channel(name="it", url_file="empty"), "is empty"),
        (Channel(name="it", url_variable="NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
        (Channel(name="it", url="nonsense://hunter2@h"), "no service of Apprise knows"),
    ],
)
def test_a_channel_that_can_not_be_used_is_refused_and_its_url_not_repeated(
    channel: Channel, said: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(UsageError) as refused:
        make_senders(AlertSettings(channels=(channel,)), tmp_path)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_file_that_comes_with_the_project_tells_nobody() -> None:
    path = Path(__file__).resolve().parents[2] / "deploy/alerts/alerts.toml"
    assert read_alert_settings(path) == AlertSettings()


def test_what_became_of_releases_and_a_database_that_is_away_are_found(manifest: Manifest, tmp_path: Path) -> None:
    settings = HubSettings.from_environment({"FLEET_DATA_DIR": str(tmp_path)})

    def find(read_steps: ReadSteps) -> dict[str, Finding]:
        found = look(settings, AlertSettings(disk_free_percent=0), [manifest], {"bad": "line 1"}, read_steps)
        return {finding.thing: finding for finding in found.findings}

    entry = {
        "download": {"status": "success"},
        "upload": {"jobs": {"little": {"status": "failed", "started_at": NOW, "err": "full"}}},
    }
    found = find(lambda: {"little": entry})
    assert found["release of little"] == Finding(
        thing="release of little", bad=True, state="upload failed", since="2026-11-26T08:00:00+00:00", reason="full"
    )
    assert (found["database"].bad, found["source bad"].state, found["disk of data"].bad) == (False, "faulty", False)
    assert (found["source little"].bad, found["source little"].state) == (False, "never")
    assert (
        find(lambda: {"little": {"download": {"status": "failed", "err": "old"}}})["release of little"].state
        == "dump failed"
    )
    assert (
        find(lambda: {"little": {"upload": {"jobs": {"little": {"status": "uploading"}}}}})["release of little"].bad
        is None
    )

    def away() -> dict[str, dict[str, Any]]:
        raise ServerSelectionTimeoutError("mongodb:27017: refused")

    found = find(away)
    assert (found["database"].bad, found["database"].reason) == (
        True,
        "ServerSelectionTimeoutError: mongodb:27017: refused",
    )
    assert found["release of little"].bad is None
