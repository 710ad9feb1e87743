"""What the guard refuses, answered to whoever asked: a person is sent to the login, or reads a page."""

from typing import Any

from hub.access.guard import SAFE_METHODS, login_path
from hub.access.logins import Refusal
from hub.web.pages.page import PageHandler


class RefusalHandler(PageHandler):
    """Answers for the handler that the request does not reach."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    def initialize(self, server: Any, refusal: Refusal | None = None) -> None:
        super().initialize(server)
        self._refusal = refusal

    def prepare(self) -> None:
        assert self._refusal
        if self._refusal.status == 401 and self._is_page and self.request.method in SAFE_METHODS:
            uri = self.request.uri or "/"
            self.redirect(login_path(self.server.settings.access.prefix, uri), status=303)
        else:
            self.tell_refusal(self._refusal)

    def tell(self, status: int, reason: str) -> None:
        if self._is_page:
            super().tell(status, reason)
        else:
            self.told = reason
            self.set_status(status)
            self.finish({"error": reason})

    @property
    def _is_page(self) -> bool:
        return "text/html" in self.request.headers.get("Accept", "")
