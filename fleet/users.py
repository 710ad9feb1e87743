"""``fleet user`` and ``fleet token``: who may log in to the hub. They change the file that the hub reads, also while it runs."""

import getpass
import json
import os
import sys
from typing import Any, TextIO

import click

from crawlers.runtime.errors import UsageError
from hub.access import accounts
from hub.access.audit import Audit, Entry, now_text
from hub.access.user import ROLES
from hub.access.users_file import UsersFile, check_name
from hub.client import HubClient
from hub.settings import HubSettings

_role = click.option("--role", type=click.Choice(ROLES), default="reader", show_default=True, help="What it may.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_password_file = click.option(
    "--password-file",
    type=click.File("r"),
    help="Read the password from FILE, or - for the standard input, instead of asking for it.",
    metavar="FILE",
)


@click.group()
def user() -> None:
    """Say who may log in to the hub.

    A reader looks; an operator also dumps, uploads, approves, rolls back and has sources crawled; an admin also says who may log in.
    """


@user.command("add", epilog="Example: fleet user add anna --role operator")
@click.argument("name")
@_role
@_password_file
def add_user(name: str, role: Any, password_file: TextIO | None) -> None:
    """Add the user NAME, and ask for a password."""
    settings = HubSettings.from_environment()
    check_name(name)  # before a password is asked for in vain
    accounts.add_user(_file(settings), name, role, _password(password_file), settings.user)
    _note(settings, f"add user {name}", role=role)
    click.echo(f"{name} may log in as {role}")


@user.command("remove", epilog="Example: fleet user remove anna")
@click.argument("name")
def remove_user(name: str) -> None:
    """Remove the user NAME, whose sessions end."""
    settings = HubSettings.from_environment()
    accounts.remove_user(_file(settings), name)
    _note(settings, f"remove user {name}")
    click.echo(f"{name} is removed")


@user.command("password", epilog="Example: fleet user password anna")
@click.argument("name")
@_password_file
def set_password(name: str, password_file: TextIO | None) -> None:
    """Give the user NAME another password; the sessions of NAME end."""
    settings = HubSettings.from_environment()
    accounts.set_password(_file(settings), name, _password(password_file))
    _note(settings, f"password of {name}")
    click.echo(f"{name} has another password")


@user.command("role", epilog="Example: fleet user role anna admin")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
def set_role(name: str, role: Any) -> None:
    """Give the user NAME another role."""
    settings = HubSettings.from_environment()
    accounts.set_role(_file(settings), name, role)
    _note(settings, f"role of {name}", role=role)
    click.echo(f"{name} is {role}")


@user.command("list", epilog="Example: fleet user list")
@_json
def list_users(as_json: bool) -> None:
    """List the users."""
    users = _file(HubSettings.from_environment()).read().users
    found = [{"name": name, "role": it.role, "since": it.since} for name, it in sorted(users.items())]
    _print(found, as_json, "there are no users: `fleet user add NAME --role admin` makes the first")


@user.command("invite", epilog="Example: fleet user invite --role operator")
@_role
def invite(role: str) -> None:
    """Have the running hub make a link, good once, by which somebody makes a user of that role."""
    found = HubClient(HubSettings.from_environment()).ask("POST", "/fleet/invitations", role=role)
    click.echo(
        f"Good once, for {found['seconds'] // 60} minutes, by who reaches the hub under this name:\n{found['link']}"
    )


@click.group()
def token() -> None:
    """Give programs access to the hub. They send a token in the header `Authorization: Bearer …`."""


@token.command("add", epilog="Example: fleet token add nightly-report --days 90")
@click.argument("name")
@_role
@click.option(
    "--days",
    type=click.IntRange(0, accounts.MAX_DAYS),
    default=365,
    show_default=True,
    help="How long it is good for; 0: until it is removed.",
)
def add_token(name: str, role: Any, days: int) -> None:
    """Make a token called NAME, and print it: only its hash is kept."""
    settings = HubSettings.from_environment()
    made = accounts.add_token(_file(settings), name, role, days)
    _note(settings, f"add token {name}", role=role, days=str(days))
    click.echo(made)


@token.command("remove", epilog="Example: fleet token remove nightly-report")
@click.argument("name")
def remove_token(name: str) -> None:
    """Remove the token NAME: whoever uses it is refused from now on."""
    settings = HubSettings.from_environment()
    accounts.remove_token(_file(settings), name)
    _note(settings, f"remove token {name}")
    click.echo(f"{name} is removed")


@token.command("list", epilog="Example: fleet token list")
@_json
def list_tokens(as_json: bool) -> None:
    """List the tokens; not what they are, which nobody knows."""
    tokens = _file(HubSettings.from_environment()).read().tokens
    _print(
        [
            {"name": name, "role": it.role, "since": it.since, "expires": it.expires}
            for name, it in sorted(tokens.items())
        ],
        as_json,
        "there are no tokens: `fleet token add NAME` makes one",
    )


def _file(settings: HubSettings) -> UsersFile:
    return UsersFile(settings.access.users_file)


def _password(file: TextIO | None) -> str:
    if file:
        return file.read().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError(
            "a password can be asked for on a terminal only: give it by --password-file, `-` for standard input"
        )
    return click.prompt("Password", hide_input=True, confirmation_prompt=True)


def _print(entries: list[dict[str, str]], as_json: bool, none: str) -> None:
    if as_json:
        click.echo(json.dumps(entries, indent=2))
        return
    if not entries:
        click.echo(none)
    for entry in entries:
        expires = f"  until {entry['expires']}" if entry.get("expires") else ""
        click.echo(f"{entry['name']}  {entry['role']}  since {entry['since'] or '-'}{expires}")


def _note(settings: HubSettings, what: str, **given: str) -> None:
    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        who = f"uid {os.getuid()}"
    entry = Entry(now_text(), who, "admin", "command", what, "this machine", "done", with_=given)
    Audit(settings.access.audit_file).note(entry)
