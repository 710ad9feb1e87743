"""How long nobody may try to log in, after failures. It grows, and what is kept is bounded.

Who guesses at a user's password must not keep that user out: so failures count as one user from one address, and from one address,
whoever it was. As one user from anywhere they count, too, against guesses from a thousand addresses; but that makes nobody wait long,
and nobody at all at an address where that user has logged in before.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

# As one user from one address; from one address, which several people may share; as one user.
_FAILURES = (5, 20, 50)
_FIRST_SECONDS = 30.0
_MAX_SECONDS = (3_600.0, 3_600.0, 60.0)
# After so long without a failure, all is forgotten.
_FORGET_SECONDS = 2 * 3_600.0
_MAX_KEPT = 10_000

_Key = tuple[str, str, str]


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    locked_until: float = 0.0


class Lockout:
    """Counts failures. Sessions and tokens that exist are not touched by it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()
        # Users and addresses that belong together, those seen last at the end.
        self._known: OrderedDict[_Key, None] = OrderedDict()

    def wait_seconds(self, user: str, address: str) -> float:
        """How long to wait until the next try; 0: none."""
        now = self._clock()
        here, place, anywhere = _keys(user, address)
        asked = (here, place) if here in self._known else (here, place, anywhere)
        kept = (self._failures.get(key) for key in asked)
        return max(0.0, *(it.locked_until - now if it else 0.0 for it in kept))

    def fail(self, user: str, address: str) -> None:
        """A try failed. To be told before the password is checked, so that many at once are counted too."""
        now = self._clock()
        for key, allowed, longest in zip(_keys(user, address), _FAILURES, _MAX_SECONDS, strict=True):
            failures = self._failures.setdefault(key, _Failures())
            if now - failures.last > _FORGET_SECONDS:
                failures.count = 0
            failures.count += 1
            failures.last = now
            beyond = failures.count - allowed
            if beyond >= 0:
                failures.locked_until = now + min(_FIRST_SECONDS * 2 ** min(beyond, 20), longest)
            self._failures.move_to_end(key)
        while len(self._failures) > _MAX_KEPT:
            self._failures.popitem(last=False)

    def take_back(self, user: str, address: str) -> None:
        """The try that was told as failed was none: the password was right, or nobody looked at it."""
        for key, allowed in zip(_keys(user, address), _FAILURES, strict=True):
            if failures := self._failures.get(key):
                failures.count -= 1
                if failures.count < allowed:
                    failures.locked_until = 0.0

    def succeed(self, user: str, address: str) -> None:
        """The try that was told as failed went well: the user's failures from there are forgotten. The address's are not, but for this
        one: else whoever has one password could guess another's for ever.
        """
        self.take_back(user, address)
        self._failures.pop(_keys(user, address)[0], None)
        self.know(user, address)

    def know(self, user: str, address: str) -> None:
        """The user is who it is, at that address."""
        here = _keys(user, address)[0]
        self._known[here] = None
        self._known.move_to_end(here)
        while len(self._known) > _MAX_KEPT:
            self._known.popitem(last=False)


def _keys(user: str, address: str) -> tuple[_Key, _Key, _Key]:
    name, place = user[:100], _place(address)
    return ("here", name, place), ("place", "", place), ("anywhere", name, "")


def _place(address: str) -> str:
    """The address; of IPv6, whose users have 2^64 of them (RFC 4291, section 2.5.4), the network."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or int(found) >> 64)
