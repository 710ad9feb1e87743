"""The file of users and tokens: TOML, which a person may write too.

[users.anna]
role = "operator"
password = "$argon2id$…"          # fleet user add anna --role operator

[tokens.nightly-report]
role = "reader"
sha256 = "…"                      # fleet token add nightly-report --role reader
expires = "2027-11-26T00:00:00Z"  # or absent: never
"""

import hashlib
import os
import re
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import tomlkit
from filelock import FileLock

from crawlers.runtime.errors import UsageError
from hub.access.ownership import give_to_hub
from hub.access.passwords import is_hash

GrantedRole = Literal["reader", "operator", "admin"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
# Tells a token of ours from other secrets, e.g. for those who look for leaked ones.
_TOKEN_PREFIX = "fleet_"  # noqa: S105
_HEADING = "# The users and tokens of the hub. `fleet user` and `fleet token` change it; the hub reads it anew when it changed.\n"


class Account(msgspec.Struct, forbid_unknown_fields=True):
    """``password``: its hash. ``since``: when it was set."""

    role: GrantedRole
    password: str
    since: str = ""


class Token(msgspec.Struct, forbid_unknown_fields=True):
    """``sha256``: of the token, in hex. ``expires``: ISO 8601, UTC; empty: never. ``since``: when it was made."""

    role: GrantedRole
    sha256: str
    expires: str = ""
    since: str = ""

    def is_expired(self, now: datetime) -> bool:
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= now


class Known(msgspec.Struct, forbid_unknown_fields=True):
    """What the file holds, by name."""

    users: dict[str, Account] = {}
    tokens: dict[str, Token] = {}

    def find_token(self, text: str, now: datetime | None = None) -> tuple[str, Token] | None:
        """The token that ``text`` is, if there is such a one that has not expired."""
        digest = hash_token(text)
        moment = now or datetime.now(UTC)
        for name, token in self.tokens.items():
            if secrets.compare_digest(token.sha256, digest) and not token.is_expired(moment):
                return name, token
        return None


class UsersFile:
    """The file at ``path``, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, ...] | None = None
        self.last = Known()

    def read(self) -> Known:
        """What the file holds now; it is only read if it changed.

        :raises UsageError: it can't be read, or isn't what is expected.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._state, self.last = None, Known()
            return self.last
        except OSError as error:
            raise UsageError(f"{self.path} can't be read: {error}") from error
        state = (status.st_mtime_ns, status.st_size, status.st_ino)
        if state != self._state:
            self.last = _parse(self.path)
            self._state = state
        return self.last

    @contextmanager
    def edit(self) -> Iterator[tomlkit.TOMLDocument]:
        """The file to be changed, by one at a time; comments in it stay. It is written if all goes well.

        :raises UsageError: it isn't what is expected, before or after.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_suffix(".lock")
        with FileLock(lock, mode=0o600):
            give_to_hub(lock)
            self.read()
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else _HEADING
            document = tomlkit.parse(text)
            yield document
            temporary = self.path.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(tomlkit.dumps(document))
                file.flush()
                os.fsync(file.fileno())
            try:
                _parse(temporary)
                give_to_hub(temporary)
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)


def make_token() -> str:
    """A new token: 256 random bits."""
    return _TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(text: str) -> str:
    """What is kept of a token. It is random and long: nobody can guess it from a fast hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_name(name: str) -> str:
    """``name``, if users and tokens may be called so.

    :raises UsageError: they may not.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"{name!r} is no name: letters, digits and . _ @ - are expected, a letter or digit first, at most 64"
        )
    return name


def _parse(path: Path) -> Known:
    try:
        known = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Known)
        for name in (*known.users, *known.tokens):
            check_name(name)
        for name, account in known.users.items():
            if not is_hash(account.password):
                raise UsageError(f"the password of {name} is no Argon2 hash: `fleet user password {name}` makes one")
        for name, token in known.tokens.items():
            _check_token(name, token)
    except (OSError, ValueError, UsageError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise UsageError(f"{path}: {error}") from error
    return known


def _check_token(name: str, token: Token) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", token.sha256):
        raise UsageError(f"the sha256 of the token {name} is not 64 hexadecimal digits")
    if token.expires and datetime.fromisoformat(token.expires).tzinfo is None:
        raise UsageError(f"the token {name} expires at {token.expires!r}: a time in UTC is expected, ending in Z")
