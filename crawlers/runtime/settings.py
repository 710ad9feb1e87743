"""The settings that crawlers read: environment variables, the same in a container and out of it."""

import logging
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from crawlers.runtime.errors import UsageError

logger = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parents[2]
TRIGGERS = ("hand", "schedule", "order")
STUCK_MINUTES_MAX = 10_080
PROJECT_URL = "https://github.com/crawler-fleet/crawler-fleet"


@dataclass(frozen=True)
class RuntimeSettings:
    """Where things lie, and who we say we are.

    ``data_dir``: all local state, unless one of the others says otherwise (``FLEET_DATA_DIR``).
    ``shared_dir``: the shared volume, where releases are published (``FLEET_SHARED_DIR``).
    ``sources_dir``: the folder of the sources (``FLEET_SOURCES_DIR``).
    ``contact``: e-mail address or URL that the operators of crawled sites can turn to; it wins over
    a manifest's (``FLEET_CONTACT``). Empty: the manifest's.
    ``timeout_seconds``: how long a site may stay silent before a request counts as failed (``FLEET_TIMEOUT_SECONDS``).
    ``retry_pause_seconds``: the pause before a failed request is tried again; it doubles each time, and a site's Retry-After
    wins (``FLEET_RETRY_PAUSE_SECONDS``).
    ``trigger``: what starts the crawl, for the run history: ``hand``, ``schedule`` or ``order`` (``FLEET_TRIGGER``); ``by`` whom it
    was ordered (``FLEET_BY``).
    ``stuck_minutes``: how long a crawl may show no move before it is ended, in place of what each manifest says; 0: for ever; None:
    the manifests' (``FLEET_STUCK_MINUTES``).
    """

    data_dir: Path
    shared_dir: Path
    sources_dir: Path
    contact: str
    timeout_seconds: float = 60.0
    retry_pause_seconds: float = 0.5
    trigger: str = TRIGGERS[0]
    by: str = ""
    stuck_minutes: float | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "RuntimeSettings":
        data_dir = Path(environment.get("FLEET_DATA_DIR") or CHECKOUT / "fleet-data").absolute()
        return cls(
            data_dir=data_dir,
            shared_dir=Path(environment.get("FLEET_SHARED_DIR") or data_dir / "shared").absolute(),
            sources_dir=Path(environment.get("FLEET_SOURCES_DIR") or CHECKOUT / "crawlers" / "sources").absolute(),
            contact=_contact(environment),
            timeout_seconds=_seconds(environment, "FLEET_TIMEOUT_SECONDS", cls.timeout_seconds),
            retry_pause_seconds=_seconds(environment, "FLEET_RETRY_PAUSE_SECONDS", cls.retry_pause_seconds),
            trigger=_trigger(environment),
            by=environment.get("FLEET_BY", ""),
            stuck_minutes=_stuck_minutes(environment),
        )


def code_version() -> str:
    """What the code of this crawl is: ``FLEET_CODE_VERSION`` (images set it), or the commit of the checkout, or the package's."""
    if given := os.environ.get("FLEET_CODE_VERSION"):
        return given
    if (CHECKOUT / ".git").exists():
        try:
            git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
            return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            logger.debug("git can't tell the version of %s", CHECKOUT)
    return version("crawler-fleet")


def _contact(environment: Mapping[str, str]) -> str:
    contact = environment.get("FLEET_CONTACT", "").strip()
    if not (contact.isascii() and contact.isprintable()):  # it travels in a header
        raise UsageError(f"FLEET_CONTACT is {contact!r}: expected is an e-mail address or URL in ASCII, on one line")
    return contact


def _trigger(environment: Mapping[str, str]) -> str:
    trigger = environment.get("FLEET_TRIGGER") or TRIGGERS[0]
    if trigger not in TRIGGERS:
        raise UsageError(f"FLEET_TRIGGER is {trigger!r}: one of {', '.join(TRIGGERS)} is expected")
    return trigger


def _stuck_minutes(environment: Mapping[str, str]) -> float | None:
    text = environment.get("FLEET_STUCK_MINUTES", "").strip()
    try:
        minutes = float(text) if text else None
    except ValueError:
        minutes = -1.0
    if minutes is not None and not 0 <= minutes <= STUCK_MINUTES_MAX:
        raise UsageError(
            f"FLEET_STUCK_MINUTES is {text!r}: expected is a number of minutes, up to {STUCK_MINUTES_MAX}; 0: a crawl may take for ever"
        )
    return minutes


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise UsageError(f"{name} is {text!r}: expected is a number of seconds, above 0 and up to 3600, e.g. {default}")
    return seconds
