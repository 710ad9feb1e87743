"""Changes of who may log in: users and tokens, in their file."""

from datetime import UTC, datetime, timedelta
from typing import Any

import tomlkit

from crawlers.runtime.errors import UsageError
from crawlers.runtime.manifest import nearest
from hub.access.passwords import hash_password
from hub.access.users_file import GrantedRole, UsersFile, check_name, hash_token, make_token

MAX_DAYS = 3_650


def add_user(file: UsersFile, name: str, role: GrantedRole, password: str, reserved: str = "") -> None:
    """Add a user. ``reserved``: the name of the hub's own login.

    :raises UsageError: there is one of that name, or name or password may not be so.
    """
    check_name(name)
    if name == reserved:
        raise UsageError(f"{name} is FLEET_HUB_USER, the hub's own login: choose another name")
    entry = {"role": role, "password": hash_password(password), "since": _now_text()}
    with file.edit() as document:
        users = document.setdefault("users", tomlkit.table(is_super_table=True))
        if name in users:
            raise UsageError(f"there is a user {name}: `fleet user password {name}` gives another password")
        users[name] = entry


def set_password(file: UsersFile, name: str, password: str) -> None:
    """Give the user another password; every session of that user ends.

    :raises UsageError: there is no such user, or the password may not be so.
    """
    hashed = hash_password(password)
    with file.edit() as document:
        user = _find(document, "users", name)
        user["password"], user["since"] = hashed, _now_text()


def set_role(file: UsersFile, name: str, role: GrantedRole) -> None:
    """Give the user another role; every session of that user ends.

    :raises UsageError: there is no such user.
    """
    with file.edit() as document:
        _find(document, "users", name)["role"] = role


def remove_user(file: UsersFile, name: str) -> None:
    """Remove the user, whose sessions end.

    :raises UsageError: there is no such user.
    """
    with file.edit() as document:
        _find(document, "users", name)
        del document["users"][name]


def add_token(file: UsersFile, name: str, role: GrantedRole, days: int) -> str:
    """A new token, which is shown this once. ``days``: how long it is good for; 0: until it is removed.

    :raises UsageError: there is one of that name, or it may not be called so.
    """
    check_name(name)
    token = make_token()
    entry: dict[str, Any] = {"role": role, "sha256": hash_token(token), "since": _now_text()}
    if days:
        entry["expires"] = _text(datetime.now(UTC) + timedelta(days=days))
    with file.edit() as document:
        tokens = document.setdefault("tokens", tomlkit.table(is_super_table=True))
        if name in tokens:
            raise UsageError(f"there is a token {name}: remove it first, or choose another name")
        tokens[name] = entry
    return token


def remove_token(file: UsersFile, name: str) -> None:
    """Remove the token: whoever uses it is refused from now on.

    :raises UsageError: there is no such token.
    """
    with file.edit() as document:
        _find(document, "tokens", name)
        del document["tokens"][name]


def _find(document: tomlkit.TOMLDocument, kind: str, name: str) -> Any:
    entries: Any = document.get(kind, {})
    if name not in entries:
        raise UsageError(f"there is no {kind[:-1]} {name!r}.{nearest(name, list(entries))}")
    return entries[name]


def _now_text() -> str:
    return _text(datetime.now(UTC))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
