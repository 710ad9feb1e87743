"""Which endpoint answers where. The pages' routes lie in ``hub.web.routes``."""

import re
from dataclasses import dataclass
from typing import Any

from tornado.web import RequestHandler

from hub.api import accounts, actions, releases, sessions
from hub.api.handlers import StatusHandler
from hub.api.metrics import MetricsHandler

_ARGUMENT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """``path``: as OpenAPI writes it; what stands in ``{}`` is one part of the path, and an argument of the handler's methods."""

    path: str
    handler: type[RequestHandler]

    @property
    def pattern(self) -> str:
        """``path`` as Tornado has it."""
        parts = _ARGUMENT.split(self.path)
        return "".join("([^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))

    @property
    def arguments(self) -> list[str]:
        """The names in ``{}``."""
        return _ARGUMENT.findall(self.path)


ROUTES = [
    Route("/healthz", sessions.HealthHandler),
    Route("/login", sessions.LoginHandler),
    Route("/logout", sessions.LogoutHandler),
    Route("/metrics", MetricsHandler),
    Route("/fleet/whoami", sessions.WhoamiHandler),
    Route("/welcome", sessions.WelcomeHandler),
    Route("/fleet/password", accounts.OwnPasswordHandler),
    Route("/fleet/users", accounts.UsersHandler),
    Route("/fleet/users/{name}", accounts.UserHandler),
    Route("/fleet/users/{name}/role", accounts.UserRoleHandler),
    Route("/fleet/users/{name}/password", accounts.UserPasswordHandler),
    Route("/fleet/tokens", accounts.TokensHandler),
    Route("/fleet/tokens/{name}", accounts.TokenHandler),
    Route("/fleet/invitations", accounts.InvitationsHandler),
    Route("/fleet/audit", accounts.AuditHandler),
    Route("/fleet/status", StatusHandler),
    Route("/fleet/sources/{name}/releases", releases.ReleasesHandler),
    Route("/fleet/sources/{name}/diff", releases.DiffHandler),
    Route("/fleet/sources/{name}/dump", actions.DumpHandler),
    Route("/fleet/sources/{name}/upload", actions.UploadHandler),
    Route("/fleet/sources/{name}/rollback", actions.RollbackHandler),
    Route("/fleet/sources/{name}/pin", actions.PinHandler),
    Route("/fleet/sources/{name}/unpin", actions.UnpinHandler),
    Route("/fleet/sources/{name}/clean", actions.CleanHandler),
]


def tornado_routes(server: Any) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """The routes of all endpoints, for Tornado."""
    return [(route.pattern, route.handler, {"server": server}) for route in ROUTES]
