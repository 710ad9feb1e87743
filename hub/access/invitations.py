"""One-time links: who has one may make a user, once, within some minutes. How the first user comes to be, without a default password."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from hub.access.users_file import GrantedRole

VALID_SECONDS = 30 * 60
_MAX_KEPT = 100


@dataclass(frozen=True)
class Invitation:
    """``role``: that of the user to be made. ``first``: made for the first user, and for no other."""

    role: GrantedRole
    ends: float
    first: bool = False


class Invitations:
    """Those that are open; they end with the hub."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, Invitation] = {}

    def make(self, role: GrantedRole, first: bool = False) -> str:
        """A new one: the secret for its link."""
        secret = secrets.token_urlsafe(24)
        self._open[_key(secret)] = Invitation(role, self._clock() + VALID_SECONDS, first)
        while len(self._open) > _MAX_KEPT:
            del self._open[next(iter(self._open))]
        return secret

    def find(self, secret: str) -> Invitation | None:
        """The invitation of that secret, if it is still open."""
        invitation = self._open.get(_key(secret))
        return invitation if invitation and invitation.ends > self._clock() else None

    def use(self, secret: str) -> None:
        """It was used: it is no more."""
        self._open.pop(_key(secret), None)

    def put_back(self, secret: str, invitation: Invitation) -> None:
        """It was not used after all."""
        self._open[_key(secret)] = invitation


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
