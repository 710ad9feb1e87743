"""Passwords of users: hashed with Argon2id (RFC 9106), and never kept."""

import functools
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crawlers.runtime.errors import UsageError

MIN_CHARACTERS = 10
MAX_CHARACTERS = 1_000
# One lane of 32 MiB: a login takes some 50 ms, and a few at a time do not crowd the hub out of its memory.
_hasher = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """The hash of ``password``, with its salt and parameters.

    :raises UsageError: it is too short or too long.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise UsageError(
            f"the password has {len(password)} characters: {MIN_CHARACTERS} to {MAX_CHARACTERS} are expected"
        )
    return _hasher.hash(password)


def is_password(password: str, known: str | None) -> bool:
    """Whether ``known`` is the hash of ``password``. With None it takes as long as else, and is False: no time tells who exists."""
    if len(password) > MAX_CHARACTERS:
        return False
    try:
        return _hasher.verify(known or _nobodys_hash(), password) and known is not None
    except (VerificationError, InvalidHashError):
        return False


def is_hash(text: str) -> bool:
    """Whether ``text`` is a hash that ``is_password`` can use."""
    try:
        _hasher.check_needs_rehash(text)
    except (InvalidHashError, ValueError):
        return False
    return text.startswith("$argon2id$")


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
