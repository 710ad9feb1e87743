"""What every handler of the hub has: who asks, parameters that are checked, answers and errors as JSON.

A handler says which role it needs: ``needs`` to look, ``needs_to_change`` for every method that changes something. The guard sees to
it before the handler is made. None is open to everybody; ``visitor`` is whoever may look, which on loopback without users is everybody
on this machine; logs, rejects and documents take a ``reader``.
"""

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
from pymongo.errors import PyMongoError
from tornado.escape import xhtml_escape
from tornado.web import Finish, HTTPError, RequestHandler

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import nearest
from hub.access.guard import CSRF_HEADER, SAFE_METHODS, user_of
from hub.access.logins import Refusal
from hub.access.user import Role, User

if TYPE_CHECKING:
    from hub.server import FleetHubServer

logger = logging.getLogger(__name__)

CSRF_FIELD = "_csrf"
_NEXT_FIELD = "next"
# A path of ours. Browsers read // and /\ as another host, and leave out control characters.
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
_SECRET_FIELDS = {"password", "old_password", "invitation"}
_SECRET_IN_QUERY = re.compile(rf"\b({'|'.join(sorted(_SECRET_FIELDS))})=[^&\s]*")

Parameters = TypeVar("Parameters", bound=msgspec.Struct)


class FleetHandler(RequestHandler):
    """A handler that knows the hub."""

    needs: Role | None = "admin"
    needs_to_change: Role | None = "operator"
    needs_csrf = True
    reads_csrf_field = True
    in_read_only = False
    audited = True
    # Whether it was only begun when it was answered.
    begun = False
    is_live = False
    current_user: User | None

    def initialize(self, server: "FleetHubServer") -> None:
        self.server = server
        # For the audit: what was asked for, and why it was not done.
        self.asked: dict[str, str] = {}
        self.told = ""

    def get_current_user(self) -> User | None:
        return user_of(self.request)

    def prepare(self) -> None:
        """The CSRF token of a change by a session: in the header, or in the form, whose body is here by now."""
        user = self.current_user
        if user is None or user.way != "session" or self.request.method in SAFE_METHODS or not self.needs_csrf:
            return
        given = self.request.headers.get(CSRF_HEADER) or self.get_body_argument(CSRF_FIELD, "")
        if not hmac.compare_digest(given.encode(), user.csrf.encode()):
            self.refuse(
                403,
                f"a change by a session needs its CSRF token, in the header {CSRF_HEADER} or the field {CSRF_FIELD}",
            )

    @property
    def csrf(self) -> str:
        """The CSRF token of the session; empty where there is none."""
        return self.current_user.csrf if self.current_user else ""

    @property
    def who(self) -> str:
        """Who asks, in a word. One login that several share may say who it is now, as the ``fleet`` command does (``by``)."""
        user = self.current_user
        if user is None or not user.name:
            return "the API"
        by = self.asked.get("by", "")
        return by if by and user.way in ("password", "local token") else user.name

    def url(self, path: str) -> str:
        """The address of ``path`` as browsers know it."""
        return self.server.settings.access.prefix + path

    def scope(self) -> dict[str, Any]:
        """What every template has at hand, beside its own values."""
        field = f'<input type="hidden" name="{CSRF_FIELD}" value="{xhtml_escape(self.csrf)}">'
        return {
            "user": self.current_user,
            "csrf": self.csrf,
            "csrf_field": field,
            "url": self.url,
            "path": self.request.path,
            "read_only": self.server.settings.access.read_only,
        }

    def read_parameters(self, kind: type[Parameters]) -> Parameters:
        """What is asked for, checked. A change may say it in the query, a form, or a JSON object.

        Answers 400, saying what is wrong, where it is not what ``kind`` allows.
        """
        changes = self.request.method not in SAFE_METHODS
        given: dict[str, Any] = {}
        if secret := _SECRET_FIELDS & self.request.query_arguments.keys():
            self.refuse(
                400, f"{', '.join(sorted(secret))} must not be in the URL, which is logged: send it in the body"
            )
        for arguments in (self.request.query_arguments, self.request.body_arguments if changes else {}):
            # What is empty was left out: so forms send the fields that nobody filled in.
            given |= {
                name: text for name, values in arguments.items() if (text := self.decode_argument(values[-1], name))
            }
        if (
            changes
            and self.request.headers.get("Content-Type", "").startswith("application/json")
            and self.request.body
        ):
            given |= self._read_json()
        given.pop(CSRF_FIELD, None)
        given.pop(_NEXT_FIELD, None)
        self.asked = {key: str(value) for key, value in given.items() if key not in _SECRET_FIELDS}
        try:
            return msgspec.convert(given, kind, strict=False)
        except msgspec.ValidationError as error:
            self.refuse(400, f"{error}. {_expected(kind)}")
            raise AssertionError from error

    def _read_json(self) -> dict[str, Any]:
        try:
            found = orjson.loads(self.request.body)
        except orjson.JSONDecodeError as error:
            self.refuse(400, f"the body is no JSON: {error}")
        if not isinstance(found, dict):
            self.refuse(400, "the body is JSON, but not an object")
        return found

    def answer_json(self, found: Any) -> None:
        """Answer with ``found`` as JSON; a form that says where to go next is sent there."""
        if self.request.method not in SAFE_METHODS and (path := self.next_path()):
            self.redirect(path, status=303)
            return
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(found if isinstance(found, bytes) else orjson.dumps(found, default=msgspec.to_builtins))

    def next_path(self) -> str:
        """Where a form wants to go next: a path of ours, or empty."""
        path = self.get_argument(_NEXT_FIELD, "")
        return path if _LOCAL_PATH.fullmatch(path) else ""

    async def respond(self, found: Callable[[], Awaitable[Any]]) -> None:
        """Answer with what ``found`` gives: 404 where there is no such thing, 409 where it can't be done, 503 without database."""
        try:
            self.answer_json(await found())
        except UsageError as error:
            self.tell(404, str(error))
        except (FleetError, OSError) as error:
            self.tell(409, str(error))
        except PyMongoError as error:
            self.tell_database_is_away(error)

    def refuse(self, status: int, reason: str) -> None:
        """Answer with an error, and do no more: raises what ends the handler."""
        self.tell(status, reason)
        raise Finish

    def tell(self, status: int, reason: str) -> None:
        """Answer with an error."""
        self.told = reason
        self.set_status(status)
        if self.is_form:
            from hub.web.pages.page import error_page  # pages are made of handlers

            self.finish(error_page(self, status, reason))
        else:
            self.finish({"error": reason})

    @property
    def is_form(self) -> bool:
        """Whether a form of a page was sent: it says where to go next, and whoever sent it wants to read a page."""
        return self.request.method not in SAFE_METHODS and bool(self.next_path())

    def tell_database_is_away(self, error: PyMongoError) -> None:
        """Answer so."""
        self.tell(503, f"the database can't be used: {type(error).__name__}: {str(error)[:500]}")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        reason = error.log_message if isinstance(error, HTTPError) and error.log_message else self._reason
        if status_code == 405:
            methods = ("GET", "POST", "PUT", "DELETE")
            self.set_header("Allow", ", ".join(it for it in methods if _answers(type(self), it)))
        self.tell(status_code, reason)

    def _request_summary(self) -> str:
        """What the log says of the request: who reads that may not use the link of somebody else."""
        return _SECRET_IN_QUERY.sub(r"\1=***", super()._request_summary())

    def set_session_cookie(self, secret: str) -> None:
        """Have the browser keep the session ``secret``: out of reach of scripts, and of requests that other sites cause."""
        access = self.server.settings.access
        secure = self.request.protocol == "https"
        self.set_cookie(
            self.server.logins.cookie, secret, path=access.prefix or "/", httponly=True, secure=secure, samesite="Lax"
        )

    def clear_session_cookie(self) -> None:
        """Have the browser forget its session."""
        self.clear_cookie(self.server.logins.cookie, path=self.server.settings.access.prefix or "/")

    def tell_refusal(self, refusal: Refusal) -> None:
        """Answer with why it is refused."""
        if refusal.status == 401:
            self.set_header("WWW-Authenticate", self._challenge())
        if refusal.retry_seconds:
            self.set_header("Retry-After", str(refusal.retry_seconds))
        self.tell(refusal.status, refusal.reason)

    def _challenge(self) -> str:
        # At Basic, a browser asks for a name and password by itself, over the page: that is for programs.
        is_browser = any(it in self.request.headers for it in ("Sec-Fetch-Mode", "Origin", "Cookie", CSRF_HEADER))
        scheme = "Bearer" if is_browser else "Basic"
        return f'{scheme} realm="crawler-fleet"' + (', charset="UTF-8"' if scheme == "Basic" else "")

    async def read_status(self) -> bytes | None:
        """The status of all sources, as JSON; None where the database is away, which is answered then."""
        try:
            return await asyncio.to_thread(self.server.status)
        except PyMongoError as error:
            self.tell_database_is_away(error)
            return None


class SourceHandler(FleetHandler):
    """What is asked of one source."""

    async def answer(self, name: str, found: Callable[[], Awaitable[Any]]) -> None:
        """Answer with what ``found`` gives, as ``respond`` does; 404 where there is no such source."""
        names = [classes.source.name for classes in self.server.sources]
        faults = {fault.name: fault.reason for fault in self.server.faults}
        if name not in names:
            self.tell(404, faults.get(name) or f"no source is called {name!r}.{nearest(name, names)}")
            return
        if self.is_form:
            await self._note(name, found)
            return
        await self.respond(found)

    async def _note(self, name: str, found: Callable[[], Awaitable[Any]]) -> None:
        """Begin it, and send the page that asked for it on: a notice there tells what comes of it, now or later."""
        self.begun = True
        action = self.request.path.rpartition("/")[2]
        key = await self.server.notices.begin(self.who, name, action, found, lambda: self.server.note_change(name))
        path = self.next_path()
        self.redirect(f"{path}{'&' if '?' in path else '?'}notice={key}", status=303)


def _answers(handler: type[RequestHandler], method: str) -> bool:
    return getattr(handler, method.lower()) is not getattr(RequestHandler, method.lower())


def _expected(kind: type[msgspec.Struct]) -> str:
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    return f"Expected: {', '.join(names)}" if names else "No parameters are expected"
