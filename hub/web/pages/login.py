"""``/login``, ``/welcome`` and ``/account``: the pages on which a person becomes known to the hub."""

from typing import Any

from hub.access.user import Role
from hub.api.base import FleetHandler
from hub.api.sessions import LoginHandler, WelcomeHandler
from hub.web.pages.page import PageHandler


class _FormPage(PageHandler):
    """A form whose answer is a page: itself again, with what was wrong, or where it was to lead to."""

    template = ""
    here = ""
    needs: Role | None = None

    def get(self) -> None:
        self._render()

    def tell(self, status: int, reason: str) -> None:
        if not self._is_page:
            FleetHandler.tell(self, status, reason)
            return
        self.told = reason
        self.set_status(status)
        self._render(reason)

    def answer_json(self, found: Any) -> None:
        if self._is_page:
            self.redirect(self.next_path() or self.url("/"), status=303)
        else:
            super().answer_json(found)

    def _render(self, reason: str = "") -> None:
        # Not the password, and not as it came: what is put into a page again is short.
        name = self.get_argument("name", "")[:64]
        secret = self.get_argument("invitation", "")[:100]
        invitation = self.server.logins.find_invitation(secret)
        self.render_page(
            self.template,
            reason=reason,
            name=name,
            next=self.next_path(),
            secret=secret,
            invitation=invitation,
            nobody=self.server.logins.is_open,
        )

    @property
    def _is_page(self) -> bool:
        return "text/html" in self.request.headers.get("Accept", "")


class LoginPage(_FormPage, LoginHandler):
    """``/login``"""

    template = "login.html"


class WelcomePage(_FormPage, WelcomeHandler):
    """``/welcome``"""

    template = "welcome.html"


class AccountPage(PageHandler):
    """``/account``: who one is, and another password."""

    here = ""
    needs = "reader"

    def get(self) -> None:
        assert self.current_user
        has_password = self.current_user.name in self.server.logins.known.users
        self.render_page("account.html", has_password=has_password)
