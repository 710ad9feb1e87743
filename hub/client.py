"""How the ``fleet`` command talks to the running hub. Nothing of BioThings is imported here."""

import hashlib
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from crawlers.runtime.errors import FleetError, UnreachableError, UsageError
from hub.settings import HubSettings, is_loopback

_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_HINT = (
    "The command logs in by FLEET_HUB_TOKEN_FILE, or FLEET_HUB_USER and FLEET_HUB_PASSWORD_FILE, or as the user who may read the "
    "hub's data folder (FLEET_DATA_DIR)"
)


class HubClient:
    """The hub that the settings name."""

    def __init__(self, settings: HubSettings) -> None:
        access = settings.access
        self._url = access.url or settings.url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: the hub is on this machine or beside it
        is_local = is_loopback(urlsplit(self._url).hostname or "")
        if access.authorities:
            self._session.verify = str(access.authorities)
        elif is_local and access.certificate:
            self._session.mount("https://", _Pinned(access.certificate))
        if access.token_file:
            self._session.auth = _Bearer(access.token_file)
        elif settings.password:
            # As text it would be sent in Latin-1.
            self._session.auth = HTTPBasicAuth(settings.user.encode(), settings.password.encode())
        elif is_local:
            self._session.auth = _Bearer(access.local_token_file)

    def status(self) -> list[dict[str, Any]]:
        """One object a source.

        :raises UnreachableError: the hub doesn't answer.
        """
        return self.ask("GET", "/fleet/status")

    def releases(self, name: str) -> list[dict[str, Any]]:
        """The archived releases of the source ``name``, the newest first.

        :raises UnreachableError: the hub doesn't answer.
        """
        return self.ask("GET", f"/fleet/sources/{quote(name, safe='')}/releases")

    def act(self, name: str, action: str, **parameters: str) -> dict[str, Any]:
        """Have the hub dump, upload, roll back or pin the source ``name``, and wait until that is done, however long it takes.

        :raises FleetError: it failed; says why.
        """
        answer = self.ask("POST", f"/fleet/sources/{quote(name, safe='')}/{action}", None, **parameters)
        if answer["outcome"] == "failed":
            raise FleetError(answer["reason"])
        return answer

    def ask(self, method: str, path: str, read_seconds: float | None = _READ_SECONDS, **parameters: str) -> Any:
        """What the hub answers, as JSON, to ``path`` with ``parameters``. ``read_seconds``: how long to wait; None: for ever.

        :raises UnreachableError: it doesn't answer. :raises FleetError: it can't do it; says why.
        """
        try:
            response = self._session.request(
                method,
                self._url + path,
                params=parameters,
                timeout=(_CONNECT_SECONDS, read_seconds),
                allow_redirects=False,
            )
            answer = response.json()
        except (requests.RequestException, ValueError) as error:
            raise UnreachableError(
                f"the hub does not answer at {self._url} ({type(error).__name__}). Start it with `fleet hub` or `fleet up`, or set FLEET_HUB_HOST and "
                "FLEET_HUB_PORT to where it runs."
            ) from error
        if response.status_code in (401, 403):
            raise UsageError(f"{self._url}: {answer.get('error')}. {_HINT}")
        if response.status_code in (400, 404):
            raise UsageError(answer.get("error", f"{self._url}{path}: not found"))
        if response.status_code not in (200, 409):
            raise FleetError(f"{self._url}{path}: {response.status_code}: {answer}")
        return answer


class _Bearer(AuthBase):
    """Signs requests by the token in a file: read for each, since the hub on this machine makes another when it starts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with suppress(OSError):  # there is none, or it is not for us: the hub says what that means
            request.headers["Authorization"] = f"Bearer {self._path.read_text().strip()}"
        return request


class _Pinned(HTTPAdapter):
    """On this machine the hub has its own certificate whatever the name in it: that very one is expected."""

    def __init__(self, certificate: Path) -> None:
        try:
            first = ssl.PEM_cert_to_DER_cert(_first_certificate(certificate.read_text()))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"FLEET_HUB_TLS_CERTIFICATE_FILE is {certificate}, which can't be used: {error}"
            ) from error
        self._fingerprint = hashlib.sha256(first).hexdigest()
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, assert_fingerprint=self._fingerprint, **options)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, False, cert)  # the fingerprint is what is looked at

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        return super().build_connection_pool_key_attributes(request, False, cert)


def _first_certificate(text: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in text or end not in text:
        raise ValueError("it holds no certificate in PEM")
    return begin + text.partition(begin)[2].partition(end)[0] + end
