"""Who may log in, for admins: users, tokens, one-time links; and the audit of what everybody did."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from crawlers.runtime.errors import UsageError
from hub.access import accounts
from hub.access.audit import Entry
from hub.access.invitations import VALID_SECONDS
from hub.access.logins import Refusal
from hub.access.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from hub.access.users_file import NAME_PATTERN, GrantedRole
from hub.api.base import FleetHandler
from hub.api.description import NoParameters, described
from hub.looks import take_look

_Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, description="Letters, digits and . _ @ -, at most 64.")]
_Password = Annotated[str, msgspec.Meta(min_length=MIN_CHARACTERS, max_length=MAX_CHARACTERS)]


class UserParameters(msgspec.Struct, forbid_unknown_fields=True):
    name: _Name
    role: GrantedRole
    password: _Password


class RoleParameters(msgspec.Struct, forbid_unknown_fields=True):
    role: GrantedRole


class PasswordParameters(msgspec.Struct, forbid_unknown_fields=True):
    password: _Password


class OwnPasswordParameters(msgspec.Struct, forbid_unknown_fields=True):
    password: Annotated[_Password, msgspec.Meta(description="The new one.")]
    old_password: Annotated[str, msgspec.Meta(max_length=MAX_CHARACTERS)]


class TokenParameters(msgspec.Struct, forbid_unknown_fields=True):
    name: _Name
    role: GrantedRole
    days: Annotated[
        int, msgspec.Meta(ge=0, le=accounts.MAX_DAYS, description="How long it is good for; 0: until it is removed.")
    ] = 365


class AuditParameters(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    who: Annotated[str, msgspec.Meta(max_length=200, description="Only what this user or token did.")] = ""
    source: Annotated[str, msgspec.Meta(max_length=200, description="Only what was done with this source.")] = ""


class UserEntry(msgspec.Struct):
    """``since``: when the password was set."""

    name: str
    role: str
    since: str


class TokenEntry(msgspec.Struct):
    """``expires``: ISO 8601, UTC; empty: never."""

    name: str
    role: str
    since: str
    expires: str


class NewToken(msgspec.Struct):
    """``token``: told this once."""

    name: str
    token: str


class Link(msgspec.Struct):
    """``link``: where, once, a user can be made; ``seconds``: how long it is good for."""

    link: str
    seconds: int


class AccountsHandler(FleetHandler):
    """For admins."""

    needs = needs_to_change = "admin"

    async def change(self, act: Callable[[], Any], status: int = 404) -> None:
        """Do it, and answer; ``status``: that where it can't be done: there is none of that name, or one already."""
        try:
            found = await asyncio.to_thread(act)
        except UsageError as error:
            self.tell(status, str(error))
            return
        self.answer_json(found or {})


class UsersHandler(AccountsHandler):
    """``/fleet/users``"""

    @described("The users.", answer=list[UserEntry])
    async def get(self) -> None:
        self.read_parameters(NoParameters)
        users = self.server.logins.known.users
        self.answer_json([UserEntry(name, it.role, it.since) for name, it in sorted(users.items())])

    @described("Add a user.", parameters=UserParameters)
    async def post(self) -> None:
        asked, logins = self.read_parameters(UserParameters), self.server.logins
        reserved = self.server.settings.user
        await self.change(
            lambda: accounts.add_user(logins.users_file, asked.name, asked.role, asked.password, reserved), 409
        )


class UserHandler(AccountsHandler):
    """``/fleet/users/NAME``"""

    @described("Remove a user, whose sessions end.")
    async def delete(self, name: str) -> None:
        self.read_parameters(NoParameters)
        await self.change(lambda: accounts.remove_user(self.server.logins.users_file, name))


class UserRoleHandler(AccountsHandler):
    """``/fleet/users/NAME/role``"""

    @described("Give a user another role; the user's sessions end.", parameters=RoleParameters)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(RoleParameters)
        await self.change(lambda: accounts.set_role(self.server.logins.users_file, name, asked.role))


class UserPasswordHandler(AccountsHandler):
    """``/fleet/users/NAME/password``"""

    @described("Give a user another password; the user's sessions end.", parameters=PasswordParameters)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(PasswordParameters)
        await self.change(lambda: accounts.set_password(self.server.logins.users_file, name, asked.password))


class OwnPasswordHandler(FleetHandler):
    """``/fleet/password``"""

    needs = needs_to_change = "reader"

    @described("Change one's own password; one's other sessions end.", parameters=OwnPasswordParameters)
    async def post(self) -> None:
        asked, logins, user = self.read_parameters(OwnPasswordParameters), self.server.logins, self.current_user
        assert user
        if user.way != "session" or user.name not in logins.known.users:
            self.tell(409, "only a user of the hub who logged in has a password that can be changed here")
            return
        address = str(self.request.remote_ip)
        try:
            await logins.check_password(user.name, asked.old_password, address)
            await asyncio.to_thread(accounts.set_password, logins.users_file, user.name, asked.password)
        except Refusal as refusal:
            self.tell(refusal.status if refusal.status != 401 else 403, refusal.reason)
            return
        except UsageError as error:
            self.tell(409, str(error))
            return
        self.set_session_cookie(logins.begin_session(user.name))
        self.answer_json({})


class TokensHandler(AccountsHandler):
    """``/fleet/tokens``"""

    @described("The tokens of programs; not what they are.", answer=list[TokenEntry])
    async def get(self) -> None:
        self.read_parameters(NoParameters)
        tokens = self.server.logins.known.tokens
        self.answer_json([TokenEntry(name, it.role, it.since, it.expires) for name, it in sorted(tokens.items())])

    @described("Make a token; what it is, is told this once.", parameters=TokenParameters, answer=NewToken)
    async def post(self) -> None:
        asked, file = self.read_parameters(TokenParameters), self.server.logins.users_file
        await self.change(
            lambda: NewToken(asked.name, accounts.add_token(file, asked.name, asked.role, asked.days)), 409
        )


class TokenHandler(AccountsHandler):
    """``/fleet/tokens/NAME``"""

    @described("Remove a token: whoever uses it is refused from now on.")
    async def delete(self, name: str) -> None:
        self.read_parameters(NoParameters)
        await self.change(lambda: accounts.remove_token(self.server.logins.users_file, name))


class InvitationsHandler(AccountsHandler):
    """``/fleet/invitations``"""

    @described("A one-time link, by which somebody makes a user of that role.", parameters=RoleParameters, answer=Link)
    async def post(self) -> None:
        asked = self.read_parameters(RoleParameters)
        secret = self.server.logins.invitations.make(asked.role)
        here = f"{self.request.protocol}://{self.request.host}"
        self.answer_json(Link(f"{here}{self.url('/welcome')}?invitation={secret}", VALID_SECONDS))


class AuditHandler(AccountsHandler):
    """``/fleet/audit``"""

    @described("Who did what, the newest first.", parameters=AuditParameters, answer=list[Entry])
    async def get(self) -> None:
        asked = self.read_parameters(AuditParameters)
        await self.respond(lambda: take_look(self.server.logins.audit.read, asked.limit, asked.who, asked.source))
