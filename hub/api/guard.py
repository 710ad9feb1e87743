"""The one guard in front of every handler of the hub's API, the websocket's included.

- Where a login is set, every request needs it (HTTP basic authentication, RFC 7617). Off loopback there always is one.
- Without a login, on loopback, the Host header must name loopback: else a page on the web could have its own name point to
  127.0.0.1 and read what the hub says (DNS rebinding).
- A request that a page of another origin makes is refused, and no header tells browsers to share answers with one.
"""

import base64
import binascii
import hmac
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application, OutputTransform, RequestHandler

from hub.settings import HubSettings, is_loopback


class Guard:
    """Says which requests are refused."""

    def __init__(self, settings: HubSettings) -> None:
        self._login = f"{settings.user}:{settings.password}".encode() if settings.password else None

    def refuse(self, request: HTTPServerRequest) -> tuple[int, str] | None:
        """Status and reason if ``request`` is refused; None if it may pass."""
        if self._login is not None and not self._is_logged_in(request):
            return 401, "login required: FLEET_HUB_USER and the password in FLEET_HUB_PASSWORD_FILE"
        if self._login is None and not is_loopback(_host_name(request.host)):
            return 403, "the Host header must name this machine's loopback, e.g. 127.0.0.1, as the hub has no login"
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2].lower() != request.host.lower():
            return 403, "requests from pages of another origin are refused"
        return None

    def _is_logged_in(self, request: HTTPServerRequest) -> bool:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            given = b""
        # Compared whatever the scheme, so that the time taken tells nothing.
        return hmac.compare_digest(given, self._login or b"") and scheme.lower() == "basic"


class GuardedApplication(Application):
    """A Tornado application whose every request passes the guard first."""

    def __init__(self, routes: list[Any], guard: Guard) -> None:
        super().__init__(routes, transforms=[_NoSharing])
        self._guard = guard

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        refusal = self._guard.refuse(request)
        if refusal:
            return self.get_handler_delegate(request, _RefusalHandler, {"refusal": refusal})
        return super().find_handler(request, **kwargs)


class _RefusalHandler(RequestHandler):
    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    def initialize(self, refusal: tuple[int, str]) -> None:
        self._refusal = refusal

    def prepare(self) -> None:
        status, reason = self._refusal
        self.set_status(status)
        if status == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="crawler-fleet", charset="UTF-8"')
        self.finish({"error": reason})


class _NoSharing(OutputTransform):
    """The SDK's handlers let every origin read every answer (CORS): not here."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name in [name for name in headers if name.lower().startswith("access-control-")]:
            del headers[name]
        headers["X-Content-Type-Options"] = "nosniff"
        return status_code, headers, chunk


def _host_name(host: str) -> str:
    """``host`` without its port: ``127.0.0.1:7080`` or ``[::1]:7080``."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
