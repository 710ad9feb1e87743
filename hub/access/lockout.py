"""How long nobody may try to log in, after failures: as one user, or from one address. It grows, and what is kept is bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_USER_FAILURES = 5
# Several people may share an address.
_ADDRESS_FAILURES = 20
_FIRST_SECONDS = 30.0
_MAX_SECONDS = 3_600.0
# After so long without a failure, all is forgotten.
_FORGET_SECONDS = 2 * 3_600.0
_MAX_KEPT = 10_000


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    locked_until: float = 0.0


class Lockout:
    """Counts failures. Sessions and tokens that exist are not touched by it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def wait_seconds(self, user: str, address: str) -> float:
        """How long to wait until the next try; 0: none."""
        now = self._clock()
        kept = (self._failures.get(key) for key in _keys(user, address))
        return max(0.0, *(it.locked_until - now if it else 0.0 for it in kept))

    def fail(self, user: str, address: str) -> None:
        """A try failed. To be told before the password is checked, so that many at once are counted too."""
        now = self._clock()
        for key, allowed in zip(_keys(user, address), (_USER_FAILURES, _ADDRESS_FAILURES), strict=True):
            failures = self._failures.setdefault(key, _Failures())
            if now - failures.last > _FORGET_SECONDS:
                failures.count = 0
            failures.count += 1
            failures.last = now
            beyond = failures.count - allowed
            if beyond >= 0:
                failures.locked_until = now + min(_FIRST_SECONDS * 2 ** min(beyond, 20), _MAX_SECONDS)
            self._failures.move_to_end(key)
        while len(self._failures) > _MAX_KEPT:
            self._failures.popitem(last=False)

    def succeed(self, user: str, address: str) -> None:
        """The try that was told as failed went well: the user's failures are forgotten. The address's are not, but for this one:
        else whoever has one password could guess another's for ever.
        """
        of_user, of_address = _keys(user, address)
        self._failures.pop(of_user, None)
        if failures := self._failures.get(of_address):
            failures.count -= 1
            if failures.count < _ADDRESS_FAILURES:
                failures.locked_until = 0.0


def _keys(user: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("user", user[:100]), ("address", address)
