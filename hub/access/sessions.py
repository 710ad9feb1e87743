"""Sessions of people who logged in: kept by the hub in memory, known to the browser by a cookie that tells nothing."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# More at a time than a team needs; beyond it the one that was unused for longest ends. Of one user, who must not end all others'.
_MAX_SESSIONS = 2_000
_MAX_OF_USER = 100


@dataclass
class Session:
    """``stamp``: what the user's entry in the file was at the login; a changed password or role ends the session."""

    name: str
    stamp: str
    csrf: str
    began: float
    used: float


class Sessions:
    """``idle_seconds``: a session ends when it is not used for so long; ``life_seconds``: and after so long at any rate."""

    def __init__(self, idle_seconds: float, life_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_seconds = idle_seconds
        self._life_seconds = life_seconds
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, name: str, stamp: str) -> str:
        """Begin a session of the user ``name``; the secret for the cookie."""
        secret = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_key(secret)] = Session(name, stamp, secrets.token_urlsafe(32), now, now)
        own = [key for key, session in self._sessions.items() if session.name == name]
        for key in own[:-_MAX_OF_USER]:
            self.end(key)
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return secret

    def find(self, secret: str, use: bool = True) -> tuple[str, Session] | None:
        """The session of the cookie ``secret``, with its key, if it has not ended. ``use``: a person is at it, so it goes on."""
        key = _key(secret)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        if now - session.used > self._idle_seconds or now - session.began > self._life_seconds:
            self.end(key)
            return None
        if use:
            session.used = now
            self._sessions.move_to_end(key)
        return key, session

    def end(self, key: str) -> None:
        """End the session of that key, if there is one."""
        self._sessions.pop(key, None)

    def end_all(self, name: str) -> None:
        """End every session of the user ``name``."""
        for key in [key for key, session in self._sessions.items() if session.name == name]:
            del self._sessions[key]


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
