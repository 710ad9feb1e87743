"""Logging in and out, and who one is.

``POST /login`` with ``name`` and ``password`` (a form or JSON) begins a session: the cookie is for browsers, ``csrf`` for the changes that
they ask for. Clients of the SDK send ``username`` instead of ``name``, and get a ``token`` for the header X-Biothings-Access-Token.
"""

from typing import Annotated

import msgspec

from crawlers.runtime.errors import UsageError
from hub.access.logins import Refusal
from hub.access.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from hub.access.user import Role
from hub.access.users_file import NAME_PATTERN
from hub.api.base import FleetHandler
from hub.api.description import NoParameters, described

_Word = Annotated[str, msgspec.Meta(max_length=1_000)]


class LoginParameters(msgspec.Struct, forbid_unknown_fields=True):
    password: _Word
    name: _Word = ""
    username: _Word = ""


class WelcomeParameters(msgspec.Struct, forbid_unknown_fields=True):
    invitation: Annotated[str, msgspec.Meta(max_length=100, description="What the link has after `invitation=`.")]
    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, description="Letters, digits and . _ @ -, at most 64.")]
    password: Annotated[str, msgspec.Meta(min_length=MIN_CHARACTERS, max_length=MAX_CHARACTERS)]


class LoggedIn(msgspec.Struct):
    """``csrf``: what changes by the session need in the header X-CSRF-Token. ``token``: as a bearer token, as long as the session."""

    name: str
    role: str
    csrf: str
    token: str


class Whoami(msgspec.Struct):
    """``way``: how the hub knows: ``session``, ``token``, ``password``, ``local token``, or ``none``."""

    name: str
    role: str
    way: str
    csrf: str
    read_only: bool


class LoginHandler(FleetHandler):
    """``POST /login``"""

    needs: Role | None = None
    needs_to_change = None
    needs_csrf = False
    in_read_only = True
    audited = False  # the login itself is noted, by whoever knows how it went

    @described("Begin a session.", parameters=LoginParameters, answer=LoggedIn)
    async def post(self) -> None:
        asked = self.read_parameters(LoginParameters)
        logins = self.server.logins
        name = asked.name or asked.username
        try:
            secret = await logins.log_in(name, asked.password, str(self.request.remote_ip))
        except Refusal as refusal:
            self.tell_refusal(refusal)
            return
        self.welcome(secret, is_sdk=bool(asked.username))

    def welcome(self, secret: str, is_sdk: bool = False) -> None:
        """Begin to use the session ``secret``, and tell of it."""
        logins = self.server.logins
        if self.current_user:  # the session of before, and with it what somebody else may have known of it
            logins.log_out(self.current_user)
        self.set_session_cookie(secret)
        user = logins.find_session(secret)
        assert user
        if is_sdk:
            self.answer_json({"result": {"username": user.name, "token": secret}, "status": "ok"})
        else:
            self.answer_json(LoggedIn(user.name, user.role, user.csrf, secret))


class WelcomeHandler(LoginHandler):
    """``POST /welcome``"""

    in_read_only = False

    @described("Make a user by a one-time link, and begin a session.", parameters=WelcomeParameters, answer=LoggedIn)
    async def post(self) -> None:
        asked = self.read_parameters(WelcomeParameters)
        try:
            secret = await self.server.logins.accept(
                asked.invitation, asked.name, asked.password, str(self.request.remote_ip)
            )
        except Refusal as refusal:
            self.tell_refusal(refusal)
        except UsageError as error:
            self.tell(409, str(error))
        else:
            self.welcome(secret)


class LogoutHandler(FleetHandler):
    """``POST /logout``"""

    needs = needs_to_change = "visitor"
    in_read_only = True

    @described("End the session.")
    def post(self) -> None:
        self.read_parameters(NoParameters)
        if self.current_user:
            self.server.logins.log_out(self.current_user)
        self.clear_session_cookie()
        self.answer_json({})


class WhoamiHandler(FleetHandler):
    """``GET /fleet/whoami``"""

    needs = "visitor"

    @described("Who asks, as the hub knows it.", answer=Whoami)
    def get(self) -> None:
        user = self.current_user
        assert user
        read_only = self.server.settings.access.read_only
        self.answer_json(Whoami(user.name, user.role, user.way, user.csrf, read_only))


class HealthHandler(FleetHandler):
    """``GET /healthz``"""

    needs = None

    @described("Whether the hub runs; nothing is looked at.")
    def get(self) -> None:
        self.answer_json({"status": "ok"})

    head = get
