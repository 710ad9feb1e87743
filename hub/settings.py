"""The settings that the hub reads: environment variables, the same in a container and out of it.

The ``fleet`` command reads them too, to find the hub. Nothing of BioThings is imported here.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote_plus

from crawlers.runtime.errors import UsageError
from crawlers.runtime.settings import RuntimeSettings
from hub.access.settings import AccessSettings

_URI = re.compile(r"(?P<scheme>mongodb(?:\+srv)?://)(?:(?P<user>[^:@/?]+)(?P<password>:[^@/?]*)?@)?(?P<rest>[^@/?]+.*)")


@dataclass(frozen=True)
class HubSettings:
    """Where the hub finds releases and its database, and where it listens.

    ``mongo_uri``: with the password in it; None: the embedded database (``FLEET_MONGO_URI``, ``FLEET_MONGO_PASSWORD_FILE``).
    ``mongo_database``: where the live collections lie, one a source; the hub keeps its books in ``<name>_hub``.
    ``mongo_port``: where the embedded database listens, on loopback.
    ``user``, ``password``: the login; both empty where none is asked for, which only loopback allows.
    ``metrics_token``: with it, Prometheus may ask for ``/metrics`` and nothing else; empty: there is none
    (``FLEET_METRICS_TOKEN_FILE``).
    ``alerts_file``: says who is told when a source's state turns bad; None: nobody (``FLEET_ALERTS_FILE``).
    ``poll_seconds``: how often the shared volume is looked at, beside the file system's own notifications.
    ``log_days``: how long the log files of the SDK are kept; 0: for ever.
    ``hub_sources_dir``: packages of sources that bring classes of their own, beside those in ``hub/dataload/sources``.
    """

    runtime: RuntimeSettings
    archive_dir: Path
    mongo_uri: str | None
    mongo_database: str
    mongo_port: int
    host: str
    port: int
    user: str
    password: str
    workers: int
    poll_seconds: float
    log_days: int
    hub_sources_dir: Path | None
    access: AccessSettings
    metrics_token: str
    alerts_file: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "HubSettings":
        """:raises UsageError: a setting is wrong; the message names it."""
        runtime = RuntimeSettings.from_environment(environment)
        hub_sources = environment.get("FLEET_HUB_SOURCES_DIR")
        alerts_file = environment.get("FLEET_ALERTS_FILE")
        settings = cls(
            runtime=runtime,
            archive_dir=Path(environment.get("FLEET_ARCHIVE_DIR") or runtime.data_dir / "archive").absolute(),
            mongo_uri=_mongo_uri(environment),
            mongo_database=_database(environment.get("FLEET_MONGO_DATABASE") or "fleet"),
            mongo_port=_number(environment, "FLEET_MONGO_PORT", 27117, 1, 65535),
            host=environment.get("FLEET_HUB_HOST") or "127.0.0.1",
            port=_number(environment, "FLEET_HUB_PORT", 7080, 1, 65535),
            user=environment.get("FLEET_HUB_USER") or "",
            password=_secret(environment, "FLEET_HUB_PASSWORD_FILE"),
            workers=_number(environment, "FLEET_HUB_WORKERS", 2, 1, 64),
            poll_seconds=_number(environment, "FLEET_HUB_POLL_SECONDS", 2, 1, 3600),
            log_days=_number(environment, "FLEET_HUB_LOG_DAYS", 30, 0, 36500),
            hub_sources_dir=Path(hub_sources).absolute() if hub_sources else None,
            access=AccessSettings.from_environment(environment, runtime.data_dir),
            metrics_token=_secret(environment, "FLEET_METRICS_TOKEN_FILE"),
            alerts_file=Path(alerts_file).absolute() if alerts_file else None,
        )
        if bool(settings.user) != bool(settings.password):
            raise UsageError(
                "FLEET_HUB_USER and FLEET_HUB_PASSWORD_FILE make the hub's login together: set both, or neither"
            )
        return settings

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the hub."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """Where a client on this machine reaches the hub."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        scheme = "https" if self.access.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.access.prefix}"

    @property
    def mongodb_dir(self) -> Path:
        """All that belongs to the embedded database."""
        return self.runtime.data_dir / "mongodb"

    @property
    def alerts_dir(self) -> Path:
        """What alerts have to remember."""
        return self.runtime.data_dir / "alerts"

    @property
    def log_dir(self) -> Path:
        return self.runtime.data_dir / "logs"

    def database_uri(self) -> str:
        """The URI of the database in use.

        :raises UsageError: it is the embedded one, and it never ran: it makes its password when it first starts.
        """
        if self.mongo_uri:
            return self.mongo_uri
        password = self.mongodb_dir / "password"
        try:
            return f"mongodb://fleet:{password.read_text().strip()}@127.0.0.1:{self.mongo_port}/?authSource=admin"
        except OSError as error:
            raise UsageError(
                f"{password}: {error}. The embedded database makes this file when it first starts: run `fleet hub`, "
                "or set FLEET_MONGO_URI to use a database of yours."
            ) from error

    def make_data_dir(self) -> None:
        """:raises UsageError: the folder of all state can't be made."""
        try:
            self.runtime.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"FLEET_DATA_DIR is {str(self.runtime.data_dir)!r}, which can't be made: {error}"
            ) from error


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address without port, can only be reached from this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,6}", text) or not low <= int(text) <= high:
        raise UsageError(f"{name} is {text!r}: a whole number from {low} to {high} is expected")
    return int(text)


def _database(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,47}", name):
        raise UsageError(
            f"FLEET_MONGO_DATABASE is {name!r}: letters, digits, - and _, a letter first, at most 48, are expected"
        )
    return name


def _secret(environment: Mapping[str, str], name: str) -> str:
    """The content of the file that the setting ``name`` points to, without the newline at its end; empty where it is unset."""
    path = environment.get(name)
    if not path:
        return ""
    try:
        secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} is {path!r}, which can't be read: {error}") from error
    if not secret:
        raise UsageError(f"{name} is {path!r}, which is empty: a password is expected")
    return secret


def _mongo_uri(environment: Mapping[str, str]) -> str | None:
    uri = environment.get("FLEET_MONGO_URI")
    password = _secret(environment, "FLEET_MONGO_PASSWORD_FILE")
    if not uri:
        return None
    found = _URI.fullmatch(uri)
    if not found:
        # The URI itself is not repeated: there may be a password in it.
        raise UsageError(
            "FLEET_MONGO_URI is no MongoDB URI: mongodb://USER@HOST:PORT/?replicaSet=NAME is expected, with the password "
            "in the file that FLEET_MONGO_PASSWORD_FILE names"
        )
    if not password:
        return uri
    if not found["user"] or found["password"]:
        raise UsageError(
            "FLEET_MONGO_PASSWORD_FILE is set, so FLEET_MONGO_URI must name a user and no password: mongodb://USER@HOST"
        )
    return f"{found['scheme']}{found['user']}:{quote_plus(password)}@{found['rest']}"
