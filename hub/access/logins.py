"""Who asks: known by a session, a token, the hub's own login, or the token of this machine."""

import asyncio
import base64
import binascii
import hmac
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from tornado.httputil import HTTPServerRequest

from crawlers.runtime.errors import UsageError
from hub.access.accounts import add_user
from hub.access.audit import Audit, Entry, now_text
from hub.access.invitations import Invitation, Invitations
from hub.access.lockout import Lockout
from hub.access.passwords import is_password
from hub.access.sessions import Sessions
from hub.access.user import VISITOR, Role, User
from hub.access.users_file import GrantedRole, Known, UsersFile, hash_token, make_token
from hub.settings import HubSettings

logger = logging.getLogger(__name__)

# The SDK's own clients send their token so.
SDK_TOKEN_HEADER = "X-Biothings-Access-Token"  # noqa: S105
# A live page's requests that no person made: they keep no session from ending.
LIVE_HEADER = "X-Fleet-Live"
LOCAL = "this machine"
_MAX_WAITING = 40


@dataclass(frozen=True)
class Refusal(Exception):
    """Why a request, or a login, is refused: the status of HTTP, and words. ``retry_seconds``: when another try makes sense."""

    status: int
    reason: str
    retry_seconds: int = 0


class Logins:
    """All that is known of who may log in, and who has."""

    def __init__(self, settings: HubSettings) -> None:
        self._settings = settings
        access = settings.access
        self.users_file = UsersFile(access.users_file)
        self.sessions = Sessions(access.session_idle_seconds, access.session_seconds)
        self.lockout = Lockout()
        self.invitations = Invitations()
        self.audit = Audit(access.audit_file)
        self.cookie = f"fleet_session_{settings.port}"
        self._basic = f"{settings.user}:{settings.password}".encode() if settings.password else None
        self._local = ""
        self._open = self._basic is None and settings.on_loopback
        self._fault = ""
        # A few passwords at a time: each check takes memory and time.
        self._checks = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
        self._waiting = 0

    def start(self) -> None:
        """Make the token of this machine, which the ``fleet`` command reads.

        :raises UsageError: the users' file is wrong, or the token's can't be written.
        """
        self.users_file.read()
        path = self._settings.access.local_token_file
        token = make_token()
        temporary = path.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(token)
            temporary.replace(path)
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error}") from error
        self._local = hash_token(token)

    def stop(self) -> None:
        """The token of this machine is of no use any more."""
        self._settings.access.local_token_file.unlink(missing_ok=True)
        self._checks.shutdown(wait=False, cancel_futures=True)

    @property
    def known(self) -> Known:
        """The users and tokens. Where the file has become wrong, those of before: a slip must not open or shut the hub."""
        try:
            found = self.users_file.read()
            self._fault = ""
            return found
        except UsageError as error:
            if str(error) != self._fault:  # once, not at each request
                self._fault = str(error)
                logger.error("%s. The hub goes on with what it held before.", error)
            return self.users_file.last

    @property
    def is_open(self) -> bool:
        """Whether everybody may look: on loopback, as long as there was no login. Removing the users opens no running hub."""
        if self._open and self.known.users:
            self._open = False
        return self._open

    def invite(self, role: GrantedRole, first: bool = False) -> str:
        """The address at which, once, a user of that role can be made; the ``first`` one only as long as there is none."""
        return f"{self._settings.url}/welcome?invitation={self.invitations.make(role, first)}"

    def find_invitation(self, secret: str) -> Invitation | None:
        """The invitation of that secret, if it is still good. The link in the log is not, once others may read that."""
        invitation = self.invitations.find(secret)
        return None if invitation and invitation.first and not self.is_open else invitation

    async def accept(self, secret: str, name: str, password: str, address: str) -> str:
        """Make the user to whom the invitation ``secret`` was given; the secret of a session of that user.

        :raises Refusal: there is no such invitation, or none any more.
        :raises UsageError: the name or the password may not be so.
        """
        invitation = self.find_invitation(secret)
        if invitation is None:
            raise Refusal(403, "this link was used, or is too old: `fleet user invite` makes another")
        self.invitations.use(secret)  # first: it is good once, also for two at the same time
        loop = asyncio.get_running_loop()
        add = partial(add_user, self.users_file, name, invitation.role, password, self._settings.user)
        try:
            await loop.run_in_executor(self._checks, add)
        except UsageError:
            self.invitations.put_back(secret, invitation)
            raise
        user = User(name, invitation.role, "session")
        self._note("user made by a one-time link", user, address, 200)
        return self.begin_session(name)

    def identify(self, request: HTTPServerRequest, is_live: bool = False) -> User:
        """Who asks. ``is_live``: a page does by itself, so no session goes on by it.

        :raises Refusal: nobody who is known.
        """
        use = not is_live and LIVE_HEADER not in request.headers
        authorization = request.headers.get("Authorization", "")
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer" or SDK_TOKEN_HEADER in request.headers:
            return self._of_token(credentials.strip() if authorization else request.headers[SDK_TOKEN_HEADER], use)
        if scheme.lower() == "basic":
            return self._of_basic(credentials.strip(), str(request.remote_ip))
        if authorization:
            raise Refusal(401, "the Authorization header is neither Basic nor Bearer")
        if cookie := request.cookies.get(self.cookie):
            if user := self.find_session(cookie.value, use):
                return user
            if not self.is_open:
                raise Refusal(401, "the session has ended: log in again")
        if self.is_open:
            return VISITOR
        raise Refusal(401, "login required")

    async def log_in(self, name: str, password: str, address: str) -> str:
        """Begin a session; the secret for its cookie.

        :raises Refusal: the name or the password is wrong, or it was tried too often.
        """
        await self.check_password(name, password, address)
        self._note("login", User(name, self._role(name), "session"), address, 200)
        return self.begin_session(name)

    async def check_password(self, name: str, password: str, address: str) -> None:
        """See that it is the password of the user ``name``.

        :raises Refusal: it is not, or it was tried too often.
        """
        if (wait := self.lockout.wait_seconds(name, address)) > 0:
            raise _locked(wait)
        self.lockout.fail(name, address)
        account = self.known.users.get(name)
        if self._settings.password and hmac.compare_digest(name.encode(), self._settings.user.encode()):
            right = hmac.compare_digest(password.encode(), self._settings.password.encode())
        else:
            try:
                right = await self._compare(password, account.password if account else None)
            except Refusal:  # nobody has looked at it
                self.lockout.take_back(name, address)
                raise
        if not right:
            self._note("login", User(name[:64], "visitor", "password"), address, 401, "wrong name or password")
            raise Refusal(401, "the name or the password is wrong")
        self.lockout.succeed(name, address)

    async def _compare(self, password: str, stored: str | None) -> bool:
        if self._waiting >= _MAX_WAITING:
            raise Refusal(429, "too many log in at this moment: try again in a few seconds", 5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._checks, is_password, password, stored)
        finally:
            self._waiting -= 1

    def begin_session(self, name: str) -> str:
        """A session of the user ``name``, who is known to be it; the secret for its cookie."""
        return self.sessions.begin(name, self._stamp(name))

    def log_out(self, user: User) -> None:
        """End the session of ``user``."""
        self.sessions.end(user.session)

    def find_session(self, secret: str, use: bool = True) -> User | None:
        """Whose session ``secret`` is. ``use``: a person is at it, so it goes on."""
        found = self.sessions.find(secret, use)
        if found is None:
            return None
        key, session = found
        if session.stamp != self._stamp(session.name):  # the password or role was changed, or the user is gone
            self.sessions.end(key)
            return None
        return User(session.name, self._role(session.name), "session", session.csrf, key)

    def _of_token(self, text: str, use: bool) -> User:
        # No count of failures: a token can't be guessed, and one that ran out must not lock out a whole address.
        if self._local and hmac.compare_digest(hash_token(text), self._local):
            return User(LOCAL, "admin", "local token")
        if found := self.known.find_token(text):
            name, token = found
            return User(name, token.role, "token")
        if user := self.find_session(text, use):  # a client of the SDK, which logged in for it, and may log out
            return User(user.name, user.role, "token", session=user.session)
        raise Refusal(401, "the token is not known, or has expired")

    def _of_basic(self, credentials: str, address: str) -> User:
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        name = given.partition(b":")[0].decode(errors="replace")
        if (wait := self.lockout.wait_seconds(name, address)) > 0:
            raise _locked(wait)
        if self._basic is not None and hmac.compare_digest(given, self._basic):
            self.lockout.know(name, address)
            return User(self._settings.user, "admin", "password")
        self.lockout.fail(name, address)
        self._note("login", User(name[:64], "visitor", "password"), address, 401, "wrong name or password")
        raise Refusal(401, "the name or the password is wrong: FLEET_HUB_USER and what FLEET_HUB_PASSWORD_FILE holds")

    def _role(self, name: str) -> Role:
        if name == self._settings.user and self._settings.password:
            return "admin"
        return self.known.users[name].role

    def _stamp(self, name: str) -> str:
        if name == self._settings.user and self._settings.password:
            return "the hub's own login"
        account = self.known.users.get(name)
        return f"{account.role} {account.password}" if account else ""

    def _note(self, what: str, user: User, address: str, status: int, reason: str = "") -> None:
        outcome = "done" if status < 400 else "refused"
        entry = Entry(now_text(), user.name, user.role, user.way, what, address, outcome, status, reason=reason)
        self.audit.note(entry)


def _locked(wait: float) -> Refusal:
    seconds = int(wait) + 1
    return Refusal(429, f"too many logins failed: try again in {seconds} seconds", seconds)
