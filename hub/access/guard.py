"""The one guard in front of every route of the hub, those of the SDK and the websocket included.

- Who asks is found out first (``hub.access.logins``); each handler says which role it needs, and without saying, it is admin's.
- The Host header must name the hub: else a page on the web could have its own name point to us (DNS rebinding).
- A request that a page of another origin makes is refused, and no header tells browsers to share answers with one.
- A change by a session needs the session's CSRF token.
"""

from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, ErrorHandler, RequestHandler

from hub.access.audit import Entry, now_text
from hub.access.headers import SafeHeaders
from hub.access.logins import Logins, Refusal
from hub.access.user import Role, User, higher
from hub.settings import HubSettings, is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
MAX_QUERY_CHARACTERS = 8_000
_FOREIGN = "requests from pages of another origin are refused"
# What containers beside the hub ask for, which come by no proxy.
_BESIDE_PREFIX = ("/healthz", "/metrics")


class Guard:
    """Says which requests may pass, and who makes them."""

    def __init__(self, settings: HubSettings, logins: Logins) -> None:
        self._settings = settings
        self._access = settings.access
        self._logins = logins

    def receive(self, request: HTTPServerRequest) -> None:
        """Look at ``request`` before its route is looked for; its path loses the prefix.

        :raises Refusal: it may not pass.
        """
        self._believe_proxy(request)
        if len(request.uri or "") > MAX_QUERY_CHARACTERS:
            raise Refusal(414, f"the URL is longer than {MAX_QUERY_CHARACTERS} characters")
        if not self._is_host_known(request.host):
            raise Refusal(403, "the Host header must name this machine's loopback, or one of FLEET_HUB_HOSTS")
        if (origin := request.headers.get("Origin")) is not None:
            here = f"{request.protocol}://{request.host}"
            if origin.lower() != here.lower():
                raise Refusal(
                    403, f"{_FOREIGN}: the hub is asked as {here[:200]} (docs/hub-access.md tells of proxies)"
                )
        elif request.method not in SAFE_METHODS and request.headers.get("Sec-Fetch-Site") in (
            "cross-site",
            "same-site",
        ):
            raise Refusal(403, _FOREIGN)
        prefix = self._access.prefix
        if prefix and request.path not in _BESIDE_PREFIX:
            if request.path != prefix and not request.path.startswith(f"{prefix}/"):
                raise Refusal(404, f"the hub's pages lie below {prefix}/")
            request.path = request.path[len(prefix) :] or "/"

    def identify(self, request: HTTPServerRequest, handler: type[RequestHandler]) -> User | None:
        """Who makes ``request``, which ``handler`` is to answer; None where that is open to everybody, and nobody is known.

        :raises Refusal: it may not pass.
        """
        changes = request.method not in SAFE_METHODS
        if changes and self._access.read_only and not getattr(handler, "in_read_only", False):
            raise Refusal(403, "the hub is read-only (FLEET_HUB_READ_ONLY)")
        needed = needs_of(handler, changes)
        try:
            user = self._logins.identify(request, is_live=getattr(handler, "is_live", False))
        except Refusal as refusal:
            if needed is None and refusal.status == 401:
                return None
            raise
        vars(request)["user"] = user
        if not user.can(needed):
            if user.way == "none":
                raise Refusal(401, "login required")
            raise Refusal(403, f"{user.name} is {user.role}, and this takes the role {needed}")
        return user

    def note(self, handler: RequestHandler) -> None:
        """Once ``handler`` has answered: what somebody asked to be changed goes into the audit."""
        request, user = handler.request, user_of(handler.request)
        if user is None or request.method in SAFE_METHODS or not getattr(handler, "audited", True):
            return
        status = handler.get_status()
        outcome = "done" if status < 400 else "failed" if status in (409, 500, 503) else "refused"
        arguments = [it for it in (*handler.path_args, *handler.path_kwargs.values()) if it]
        entry = Entry(
            at=now_text(),
            who=user.name,
            role=user.role,
            way=user.way,
            what=f"{request.method} {request.path}",
            address=str(request.remote_ip),
            outcome="begun" if getattr(handler, "begun", False) else outcome,
            status=status,
            source=arguments[0] if arguments else "",
            with_=getattr(handler, "asked", {}),
            reason=getattr(handler, "told", ""),
        )
        self._logins.audit.note(entry)

    def _believe_proxy(self, request: HTTPServerRequest) -> None:
        """What a trusted proxy tells of its client: address, scheme, and the host that it asked for."""
        if not self._is_proxy(str(request.remote_ip)):
            return
        # Each proxy adds the address that it saw at the end: the last one that is no proxy of ours is the client.
        for address in reversed([it.strip() for it in request.headers.get("X-Forwarded-For", "").split(",")]):
            if not _is_address(address):
                break
            request.remote_ip = address
            if not self._is_proxy(address):
                break
        protocol = request.headers.get("X-Forwarded-Proto", "").split(",")[-1].strip()
        if protocol in ("http", "https"):
            request.protocol = protocol
        if host := request.headers.get("X-Forwarded-Host", "").split(",")[-1].strip():
            request.host = host

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._access.trusted_proxies)

    def _is_host_known(self, host: str) -> bool:
        name = _host_name(host)
        if is_loopback(name) or name.lower().rstrip(".") in self._access.hosts:
            return True
        # Without names set, a hub that others may reach answers under any: its login keeps strangers out.
        return not self._access.hosts and not self._settings.on_loopback


def needs_of(handler: type[RequestHandler], changes: bool) -> Role | None:
    """The role that ``handler`` needs, for a change or to look."""
    if issubclass(handler, ErrorHandler):  # no such path: whoever may look is told so
        return "visitor"
    needed: Role | None = getattr(handler, "needs", "admin")
    if changes:
        needed = higher(needed, getattr(handler, "needs_to_change", "admin"))
    return needed


class GuardedApplication(Application):
    """A Tornado application whose every request passes the guard first. ``prefix``: see ``AccessSettings``."""

    def __init__(
        self, routes: list[Any], guard: Guard, refusal_handler: type[RequestHandler], **arguments: Any
    ) -> None:
        super().__init__(routes, transforms=[SafeHeaders])
        self._guard = guard
        self._refusal = (refusal_handler, arguments)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        try:
            self._guard.receive(request)
            delegate = super().find_handler(request, **kwargs)
            user = self._guard.identify(request, delegate.handler_class)
            if user and not _has_csrf(request, user, delegate.handler_class):
                raise Refusal(403, f"a change by a session needs its CSRF token in the header {CSRF_HEADER}")
            return delegate
        except Refusal as refusal:
            handler, arguments = self._refusal
            return self.get_handler_delegate(request, handler, {**arguments, "refusal": refusal})

    def log_request(self, handler: RequestHandler) -> None:
        super().log_request(handler)
        self._guard.note(handler)


def user_of(request: HTTPServerRequest) -> User | None:
    """Who makes ``request``, as the guard found."""
    return vars(request).get("user")


def login_path(prefix: str, path: str) -> str:
    """Where to log in, to come back to ``path`` then."""
    return f"{prefix}/login?next={quote(path, safe='/')}"


def _has_csrf(request: HTTPServerRequest, user: User, handler: type[RequestHandler]) -> bool:
    """Whether the CSRF token is there, or not needed. A form has it in its body: its handler looks there, once that has come."""
    if user.way != "session" or request.method in SAFE_METHODS or not getattr(handler, "needs_csrf", True):
        return True
    return request.headers.get(CSRF_HEADER) == user.csrf or getattr(handler, "reads_csrf_field", False)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _host_name(host: str) -> str:
    """``host`` without its port: ``127.0.0.1:7080`` or ``[::1]:7080``."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
