"""How the ``fleet`` command talks to the running hub. Nothing of BioThings is imported here."""

from typing import Any
from urllib.parse import quote, urlencode

import requests
from requests.auth import HTTPBasicAuth

from crawlers.runtime.errors import FleetError, UnreachableError, UsageError
from hub.settings import HubSettings

_CONNECT_SECONDS = 5
_READ_SECONDS = 30


class HubClient:
    """The hub that the settings name."""

    def __init__(self, settings: HubSettings) -> None:
        self._url = settings.url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: the hub is on this machine or beside it
        if settings.password:
            # As text it would be sent in Latin-1.
            self._session.auth = HTTPBasicAuth(settings.user.encode(), settings.password.encode())
        elif settings.on_loopback and (token := _local_token(settings)):
            self._session.headers["Authorization"] = f"Bearer {token}"

    def status(self) -> list[dict[str, Any]]:
        """One object a source.

        :raises UnreachableError: the hub doesn't answer.
        """
        return self._ask("GET", "/fleet/status", _READ_SECONDS)

    def releases(self, name: str) -> list[dict[str, Any]]:
        """The archived releases of the source ``name``, the newest first.

        :raises UnreachableError: the hub doesn't answer.
        """
        return self._ask("GET", f"/fleet/sources/{quote(name, safe='')}/releases", _READ_SECONDS)

    def act(self, name: str, action: str, **parameters: str) -> dict[str, Any]:
        """Have the hub dump, upload, roll back or pin the source ``name``, and wait until that is done, however long it takes.

        :raises FleetError: it failed; says why.
        """
        query = f"?{urlencode(parameters)}" if parameters else ""
        answer = self._ask("POST", f"/fleet/sources/{quote(name, safe='')}/{action}{query}", None)
        if answer["outcome"] == "failed":
            raise FleetError(answer["reason"])
        return answer

    def _ask(self, method: str, path: str, read_seconds: float | None) -> Any:
        try:
            response = self._session.request(
                method, self._url + path, timeout=(_CONNECT_SECONDS, read_seconds), allow_redirects=False
            )
            answer = response.json()
        except (requests.RequestException, ValueError) as error:
            raise UnreachableError(
                f"the hub does not answer at {self._url} ({type(error).__name__}). Start it with `fleet hub` or `fleet up`, or set FLEET_HUB_HOST and "
                "FLEET_HUB_PORT to where it runs."
            ) from error
        if response.status_code == 401:
            raise UsageError(f"{self._url}: {answer.get('error')}")
        if response.status_code == 404:
            raise UsageError(answer.get("error", f"{self._url}{path}: not found"))
        if response.status_code not in (200, 409):
            raise FleetError(f"{self._url}{path}: {response.status_code}: {answer}")
        return answer


def _local_token(settings: HubSettings) -> str:
    """The token that the hub on this machine made for us; empty where there is none that we may read."""
    try:
        return settings.access.local_token_file.read_text()
    except OSError:
        return ""
