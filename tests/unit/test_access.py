"""Users, tokens, sessions, lock-out, one-time links and the audit, each by itself."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from crawlers.runtime.errors import UsageError
from fleet.cli import fleet
from hub.access import audit as audits
from hub.access.accounts import add_token, add_user, remove_token, set_password, set_role
from hub.access.audit import Audit, Entry, now_text
from hub.access.invitations import VALID_SECONDS, Invitations
from hub.access.lockout import Lockout
from hub.access.passwords import hash_password, is_password
from hub.access.sessions import Sessions
from hub.access.user import User, higher, suffices
from hub.access.users_file import UsersFile


class Clock:
    """A clock that stands still."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "users.toml")


def test_roles_go_up_from_visitor_to_admin() -> None:
    assert suffices("visitor", None)
    assert not suffices("visitor", "reader")
    assert suffices("admin", "operator")
    assert higher(None, "reader") == higher("reader", "visitor") == "reader"
    assert not User("anna", "reader", "session").can("operator")


def test_a_password_is_known_by_its_hash_alone() -> None:
    hashed = hash_password("long enough")
    assert hashed.startswith("$argon2id$")
    assert hash_password("long enough") != hashed
    assert is_password("long enough", hashed)
    assert not is_password("long enough ", hashed)
    assert not is_password("long enough", None)
    assert not is_password("x" * 1_001, hashed)
    for wrong in ("too short", "x" * 1_001):
        with pytest.raises(UsageError, match="characters"):
            hash_password(wrong)


@pytest.mark.parametrize(("command", "said"), [("user", "there are no users"), ("token", "there are no tokens")])
def test_who_lists_nobody_is_told_what_to_do(
    command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_DATA_DIR", str(tmp_path))
    told = CliRunner().invoke(fleet, [command, "list"], catch_exceptions=False).output
    assert said in told and f"fleet {command} add NAME" in told


def test_users_and_tokens_are_kept_in_a_file_that_people_may_write_too(file: UsersFile) -> None:
    add_user(file, "anna", "operator", "long enough")
    file.path.write_text("# ours\n" + file.path.read_text())
    token = add_token(file, "report", "reader", days=30)
    set_role(file, "anna", "admin")
    assert file.path.read_text().startswith("# ours\n")
    assert file.path.stat().st_mode & 0o777 == 0o600
    known = file.read()
    assert known.users["anna"].role == "admin"
    found = known.find_token(token)
    assert found
    assert found[0] == "report"
    assert known.find_token(token, datetime(2100, 1, 1, tzinfo=UTC)) is None
    assert known.find_token(token + "x") is None
    remove_token(file, "report")
    assert file.read().find_token(token) is None


@pytest.mark.parametrize("name", ["", "-anna", "anna b", "anna\n", "a" * 65, "../x", "änna", '"]\n[users.eve'])
def test_a_name_that_could_be_read_as_something_else_is_refused(file: UsersFile, name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        add_user(file, name, "admin", "long enough")
    assert not file.path.exists()


def test_nobody_is_overwritten_and_who_is_missing_is_told(file: UsersFile) -> None:
    add_user(file, "anna", "reader", "long enough")
    with pytest.raises(UsageError, match="there is a user anna"):
        add_user(file, "anna", "admin", "long enough")
    with pytest.raises(UsageError, match="FLEET_HUB_USER"):
        add_user(file, "fleet", "admin", "long enough", reserved="fleet")
    with pytest.raises(UsageError, match=r"no user 'ana'\. .*anna"):
        set_password(file, "ana", "long enough")
    assert file.read().users["anna"].role == "reader"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("users = 1", "users"),
        ("[users.anna]\nrole = 'king'\npassword = ''", "king"),
        ("[users.anna]\nrole = 'admin'\npassword = 'secret'", "fleet user password anna"),
        ("[users.anna]\nrole = 'admin'\npasswort = 'secret'", "passwort"),
        ("[users.'an na']\nrole = 'admin'\npassword = ''", "is no name"),
        ("[tokens.t]\nrole = 'admin'\nsha256 = 'x'", "64 hexadecimal"),
        (f"[tokens.t]\nrole = 'admin'\nsha256 = '{'0' * 64}'\nexpires = '2027-01-01'", "in UTC"),
        ("[", "users.toml"),
    ],
)
def test_a_wrong_file_is_told_with_what_is_wrong(file: UsersFile, text: str, said: str) -> None:
    file.path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        file.read()
    assert "'secret'" not in str(caught.value)


def test_a_session_ends_when_it_is_idle_and_at_last_in_any_case(clock: Clock) -> None:
    sessions = Sessions(60, 200, clock)
    secret = sessions.begin("anna", "stamp")
    for _ in range(3):
        clock.now += 50
        assert sessions.find(secret)
    clock.now += 51
    assert sessions.find(secret) is None
    idle = sessions.begin("anna", "stamp")
    clock.now += 50
    assert sessions.find(idle, use=False)
    clock.now += 11
    assert sessions.find(idle) is None


def test_sessions_are_bounded_and_know_no_secret(clock: Clock) -> None:
    sessions = Sessions(60, 200, clock)
    secrets = [sessions.begin(f"user {number % 50}", "") for number in range(2_001)]
    assert sessions.find(secrets[0]) is None
    assert sessions.find(secrets[1])
    assert not [key for key in sessions._sessions if key in secrets]
    sessions.end_all("user 2")
    assert sessions.find(secrets[2]) is None


def test_after_failures_the_wait_grows_and_passes(clock: Clock) -> None:
    lockout = Lockout(clock)
    waits = []
    for _ in range(9):
        lockout.fail("anna", "192.0.2.1")
        waits.append(lockout.wait_seconds("anna", "192.0.2.1"))
        assert lockout.wait_seconds("anna", "192.0.2.9") == 0  # who guesses keeps nobody out who is somewhere else
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480]
    assert lockout.wait_seconds("bert", "192.0.2.1") == 0
    for number in range(30):
        lockout.fail(f"user {number}", "192.0.2.1")
    assert lockout.wait_seconds("bert", "192.0.2.1") == 3_600
    clock.now += 3_600
    assert lockout.wait_seconds("anna", "192.0.2.1") == 0
    clock.now += 2 * 3_600
    lockout.fail("anna", "192.0.2.1")
    assert lockout.wait_seconds("anna", "192.0.2.1") == 0


def test_one_good_login_forgets_the_users_failures_and_not_the_addresses(clock: Clock) -> None:
    lockout = Lockout(clock)
    for _ in range(19):
        lockout.fail("anna", "192.0.2.1")
    lockout.fail("mine", "192.0.2.1")
    lockout.succeed("mine", "192.0.2.1")
    assert lockout.wait_seconds("mine", "192.0.2.1") == 0
    lockout.fail("anna", "192.0.2.1")
    assert lockout.wait_seconds("mine", "192.0.2.1") == 30


def test_who_guesses_from_many_addresses_waits_and_keeps_nobody_out_for_long(clock: Clock) -> None:
    lockout = Lockout(clock)
    lockout.fail("anna", "198.51.100.1")
    lockout.succeed("anna", "198.51.100.1")
    for number in range(200):
        lockout.fail("anna", f"192.0.2.{number}")
    assert lockout.wait_seconds("anna", "203.0.113.1") == 60
    assert lockout.wait_seconds("anna", "198.51.100.1") == 0  # she has logged in there before
    clock.now += 60
    assert lockout.wait_seconds("anna", "203.0.113.1") == 0


def test_a_network_of_ipv6_counts_as_one_address(clock: Clock) -> None:
    lockout = Lockout(clock)
    for number in range(20):
        lockout.fail(f"user {number}", f"2001:db8::{number + 1:x}")
    assert lockout.wait_seconds("bert", "2001:db8::ffff") == 30
    assert lockout.wait_seconds("bert", "2001:db8:0:1::1") == 0


def test_a_try_that_nobody_looked_at_is_no_failure(clock: Clock) -> None:
    lockout = Lockout(clock)
    for _ in range(50):
        lockout.fail("anna", "192.0.2.1")
        lockout.take_back("anna", "192.0.2.1")
    assert lockout.wait_seconds("anna", "192.0.2.1") == 0


def test_one_users_sessions_end_no_others(clock: Clock) -> None:
    sessions = Sessions(60, 600, clock)
    others = sessions.begin("bert", "")
    first = sessions.begin("anna", "")
    secrets = [sessions.begin("anna", "") for _ in range(2_100)]
    assert sessions.find(others)
    assert sessions.find(secrets[-1])
    assert not sessions.find(first)


def test_what_lockout_keeps_is_bounded(clock: Clock) -> None:
    lockout = Lockout(clock)
    for number in range(6_000):
        lockout.fail(f"user {number}", f"address {number}")
    assert len(lockout._failures) == 10_000


def test_an_invitation_is_good_once_and_for_some_minutes(clock: Clock) -> None:
    invitations = Invitations(clock)
    first, second = invitations.make("admin"), invitations.make("reader")
    assert invitations.find(first).role == "admin"
    invitations.use(first)
    assert invitations.find(first) is None
    clock.now += VALID_SECONDS
    assert invitations.find(second) is None
    assert invitations.find("") is None


def test_the_audit_is_added_to_set_aside_and_read_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "_MAX_BYTES", 2_000)
    monkeypatch.setattr(audits, "_KEPT_FILES", 3)
    audit = Audit(tmp_path / "audit.ndjson")
    for number in range(100):
        who = "anna" if number % 2 else "bert"
        audit.note(
            Entry(now_text(), who, "admin", "token", f"POST /{number}", "::1", "done", 200, with_={"a": "b" * 900})
        )
    assert [it.what for it in audit.read(3)] == ["POST /99", "POST /98", "POST /97"]
    assert [it.what for it in audit.read(2, who="bert")] == ["POST /98", "POST /96"]
    assert len(list(tmp_path.iterdir())) == 4
    assert {len(it.with_["a"]) for it in audit.read(100)} == {500}
    with (tmp_path / "audit.ndjson").open("a") as file:
        file.write('{"at": "cut of')
    assert audit.read(1)[0].what == "POST /99"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_roots_command_writes_the_hub_can_use(tmp_path: Path, file: UsersFile) -> None:
    os.chown(tmp_path, 454, 454)
    add_user(file, "anna", "admin", "long enough")
    Audit(tmp_path / "audit.ndjson").note(Entry(now_text(), "root", "admin", "command", "add user", "here", "done"))
    assert {path.name: path.stat().st_uid for path in tmp_path.iterdir()} == {
        "users.toml": 454,
        "users.lock": 454,
        "audit.ndjson": 454,
    }


def test_what_the_audit_cannot_write_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Audit(tmp_path / "no" / "audit.ndjson").note(Entry(now_text(), "anna", "admin", "token", "POST /x", "::1", "done"))
    assert "POST /x" in caplog.text
