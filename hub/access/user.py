"""Who asks, and what that role may."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["visitor", "reader", "operator", "admin"]
# From the least to the most. A visitor is whoever reaches a hub on loopback that has no login: that may look, and no more.
_RANKS: tuple[Role, ...] = ("visitor", "reader", "operator", "admin")
# Those that a user or a token can be given.
ROLES: tuple[Role, ...] = ("reader", "operator", "admin")


def suffices(role: Role, needed: Role | None) -> bool:
    """Whether ``role`` may do what ``needed`` may; ``needed`` is None for what is open to everybody."""
    return needed is None or _RANKS.index(role) >= _RANKS.index(needed)


def higher(one: Role | None, other: Role | None) -> Role | None:
    """The one of two needed roles that may more."""
    return max(one, other, key=lambda role: -1 if role is None else _RANKS.index(role))


@dataclass(frozen=True)
class User:
    """``name``: empty for a visitor. ``way``: how the user is known. ``csrf``: the token that changes by this session need.

    ``session``: the key of the session, where there is one: ``way`` is ``session``, or ``token`` where its secret was given as one.
    """

    name: str
    role: Role
    way: Literal["session", "token", "password", "local token", "none"]
    csrf: str = ""
    session: str = ""

    def can(self, role: Role | None) -> bool:
        """Whether this user may do what ``role`` may."""
        return suffices(self.role, role)


VISITOR = User("", "visitor", "none")
