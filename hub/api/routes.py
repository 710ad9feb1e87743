"""Which endpoint answers where. The pages' routes lie in ``hub.web.routes``."""

import re
from dataclasses import dataclass
from typing import Any

from tornado.web import RequestHandler

from hub.api import accounts, actions, documents, jobs, release, releases, runs, sessions, sources
from hub.api.handlers import StatusHandler
from hub.api.metrics import MetricsHandler
from hub.api.openapi import OpenApiHandler

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
    Route("/api/openapi.json", OpenApiHandler),
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
    Route("/fleet/last-collected", sources.LastCollectedHandler),
    Route("/fleet/sources/{name}", sources.OneSourceHandler),
    Route("/fleet/sources/{name}/releases", releases.ReleasesHandler),
    Route("/fleet/sources/{name}/releases/{release}", release.ReleaseHandler),
    Route("/fleet/sources/{name}/releases/{release}/rejects", release.RejectGroupsHandler),
    Route("/fleet/sources/{name}/releases/{release}/rejects/records", release.RejectsHandler),
    Route("/fleet/sources/{name}/releases/{release}/files/{file}", release.DownloadHandler),
    Route("/fleet/sources/{name}/diff", releases.DiffHandler),
    Route("/fleet/sources/{name}/runs", runs.RunsHandler),
    Route("/fleet/sources/{name}/runs/{run}", runs.RunHandler),
    Route("/fleet/sources/{name}/runs/{run}/log", runs.RunLogHandler),
    Route("/fleet/sources/{name}/runs/{run}/log/events", runs.RunLogTail),
    Route("/fleet/sources/{name}/documents", documents.DocumentsHandler),
    Route("/fleet/sources/{name}/documents/{id}", documents.DocumentHandler),
    Route("/fleet/sources/{name}/documents/{id}/history", documents.RecordHistoryHandler),
    Route("/fleet/sources/{name}/fields", documents.FieldsHandler),
    Route("/fleet/sources/{name}/fields/{field}", documents.FieldValuesHandler),
    Route("/fleet/sources/{name}/dump", actions.DumpHandler),
    Route("/fleet/sources/{name}/upload", actions.UploadHandler),
    Route("/fleet/sources/{name}/rollback", actions.RollbackHandler),
    Route("/fleet/sources/{name}/pin", actions.PinHandler),
    Route("/fleet/sources/{name}/unpin", actions.UnpinHandler),
    Route("/fleet/sources/{name}/clean", actions.CleanHandler),
    Route("/fleet/sources/{name}/mark", actions.MarkHandler),
    Route("/fleet/sources/{name}/approve", sources.ApproveHandler),
    Route("/fleet/sources/{name}/discard", sources.DiscardHandler),
    Route("/fleet/sources/{name}/crawl", sources.CrawlHandler),
    Route("/fleet/sources/{name}/check", sources.CheckHandler),
    Route("/fleet/sources/{name}/withdraw", sources.WithdrawHandler),
    Route("/fleet/sources/{name}/pause", sources.PauseHandler),
    Route("/fleet/sources/{name}/resume", sources.ResumeHandler),
    Route("/fleet/jobs", jobs.JobsHandler),
    Route("/fleet/jobs/history", jobs.JobHistoryHandler),
    Route("/fleet/jobs/{job}", jobs.JobHandler),
    Route("/fleet/jobs/{job}/stop", jobs.StopHandler),
    Route("/fleet/log", jobs.LogHandler),
    Route("/fleet/log/events", jobs.LogTail),
    Route("/fleet/configuration", jobs.ConfigurationHandler),
]


def tornado_routes(server: Any) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """The routes of all endpoints, for Tornado."""
    return [(route.pattern, route.handler, {"server": server}) for route in ROUTES]
