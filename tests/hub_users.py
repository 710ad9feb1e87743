"""Users of a hub, for tests, browsers that they log in with, and the paths that they may ask for."""

import re
from typing import Any, get_args

import requests

from hub.access.accounts import add_token, add_user
from hub.access.users_file import GrantedRole, UsersFile
from tests.running_hub import RunningHub

# What needs no login, said here again by hand: that nothing else is open.
PUBLIC = {"/healthz", "/login", "/welcome", "/last-collected", "/fleet/last-collected", "/static/style.css", "/metrics"}
ROLES: tuple[GrantedRole, ...] = get_args(GrantedRole)


def password_of(name: str) -> str:
    return f"the password of {name}"


def add_users(hub: RunningHub) -> dict[str, str]:
    """A user and a token of each role, both called like it; the tokens, by role."""
    file = UsersFile(hub.data / "users.toml")
    for role in ROLES:
        add_user(file, role, role, password_of(role))
    return {role: add_token(file, role, role, days=1) for role in ROLES}


class Browser(requests.Session):
    """Keeps cookies, and sends the CSRF token that it was given at the login, as the pages do."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False
        self.url = url

    def request(self, method: Any, url: Any, *arguments: Any, **options: Any) -> requests.Response:
        options = {"timeout": 60} | options | {"allow_redirects": False}
        return super().request(method, url if "://" in str(url) else self.url + str(url), *arguments, **options)

    def log_in(self, name: str, password: str | None = None) -> requests.Response:
        answer = self.post("/login", json={"name": name, "password": password or password_of(name)})
        if answer.status_code == 200:
            self.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return answer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def example_path(pattern: str) -> str:
    """A path that ``pattern`` matches."""
    text = pattern.replace(r"([a-z_-]+\.(?:css|js|svg))", "style.css").replace("(dump|upload)", "dump")
    text = re.sub(r"\((?:\?P<\w+>)?\[[^\]]*\](?:[+*]|\{[^}]*\})?\)\??", "1" if "command" in pattern else "site", text)
    return re.sub(r"\([^()]*\)\??|\[[^\]]*\][+*]?", "site", text).replace("\\", "").rstrip("$").removesuffix("/?")
