"""The settings of who may reach the hub, and how: environment variables, read with those of the hub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from crawlers.runtime.errors import UsageError

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True)
class AccessSettings:
    """``users_file``: users and tokens (``FLEET_HUB_USERS_FILE``).
    ``local_token_file``: the hub makes it anew at each start, for the ``fleet`` command of who may read its data folder.
    ``audit_file``: who did what.
    ``prefix``: the path under which a proxy shows the hub, e.g. ``/fleet``, without a slash at its end (``FLEET_HUB_PREFIX``).
    ``hosts``: the names in the Host header under which the hub answers, beside loopback's (``FLEET_HUB_HOSTS``, by commas).
    ``trusted_proxies``: whose ``X-Forwarded-…`` headers are believed (``FLEET_HUB_TRUSTED_PROXIES``: addresses and networks).
    ``certificate``, ``key``: TLS (``FLEET_HUB_TLS_CERTIFICATE_FILE``, ``FLEET_HUB_TLS_KEY_FILE``).
    ``read_only``: refuses every change (``FLEET_HUB_READ_ONLY``).
    ``shell``: admins may use the SDK's terminal (``FLEET_HUB_SHELL``).
    ``session_idle_seconds``, ``session_seconds``: when a session that nobody uses ends, and when each does
    (``FLEET_HUB_SESSION_IDLE_SECONDS``, ``FLEET_HUB_SESSION_SECONDS``).

    Of the ``fleet`` command alone: ``url``: where the hub is, if not on this machine (``FLEET_HUB_URL``); ``token_file``: holds a token
    (``FLEET_HUB_TOKEN_FILE``); ``authorities``: certificates that sign the hub's (``FLEET_HUB_CA_FILE``).
    """

    users_file: Path
    local_token_file: Path
    audit_file: Path
    prefix: str
    hosts: frozenset[str]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    certificate: Path | None
    key: Path | None
    read_only: bool
    shell: bool
    session_idle_seconds: int
    session_seconds: int
    url: str
    token_file: Path | None
    authorities: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], data_dir: Path) -> "AccessSettings":
        """:raises UsageError: a setting is wrong; the message names it."""
        certificate, key = (_path(environment, f"FLEET_HUB_TLS_{part}_FILE") for part in ("CERTIFICATE", "KEY"))
        if bool(certificate) != bool(key):
            raise UsageError(
                "FLEET_HUB_TLS_CERTIFICATE_FILE and FLEET_HUB_TLS_KEY_FILE belong together: set both, or neither"
            )
        hosts = (it.strip().lower().rstrip(".") for it in environment.get("FLEET_HUB_HOSTS", "").split(","))
        return cls(
            users_file=_path(environment, "FLEET_HUB_USERS_FILE") or data_dir / "users.toml",
            local_token_file=data_dir / "local-token",
            audit_file=data_dir / "audit.ndjson",
            prefix=_prefix(environment.get("FLEET_HUB_PREFIX", "")),
            hosts=frozenset(filter(None, hosts)),
            trusted_proxies=_networks(environment.get("FLEET_HUB_TRUSTED_PROXIES", "")),
            certificate=certificate,
            key=key,
            read_only=_switch(environment, "FLEET_HUB_READ_ONLY"),
            shell=_switch(environment, "FLEET_HUB_SHELL"),
            session_idle_seconds=_seconds(environment, "FLEET_HUB_SESSION_IDLE_SECONDS", 2 * 3600),
            session_seconds=_seconds(environment, "FLEET_HUB_SESSION_SECONDS", 12 * 3600),
            url=_url(environment.get("FLEET_HUB_URL", "")),
            token_file=_path(environment, "FLEET_HUB_TOKEN_FILE"),
            authorities=_path(environment, "FLEET_HUB_CA_FILE"),
        )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name)
    return Path(text).absolute() if text else None


def _url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise UsageError(f"FLEET_HUB_URL is {text!r}: an address is expected, e.g. https://hub.example.org/fleet")
    return text.rstrip("/")


def _prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise UsageError(f"FLEET_HUB_PREFIX is {text!r}: a path is expected, e.g. /fleet")
    return prefix


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(
            f"FLEET_HUB_TRUSTED_PROXIES is {text!r}: addresses or networks are expected, by commas, e.g. "
            f"127.0.0.1,172.16.0.0/12: {error}"
        ) from error


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "")
    if text not in ("", "0", "1"):
        raise UsageError(f"{name} is {text!r}: 1 or 0 is expected")
    return text == "1"


def _seconds(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,7}", text) or not int(text):
        raise UsageError(f"{name} is {text!r}: a whole number of seconds is expected, above 0")
    return int(text)
