"""What every request of the fleet has in common: who we are, and where it goes when a base URL is given."""

import importlib.metadata
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.settings import PROJECT_URL

# The largest answer, unpacked. An API may list all its records in one; pages are fetched side by side, and are smaller.
MAX_BODY_BYTES = 256 << 20
MAX_PAGE_BYTES = 64 << 20
# How often a request is tried again after a failure that may pass, and the longest Retry-After that is waited for.
RETRIES = 4
RETRY_STATUSES = (408, 429, 500, 502, 503, 504, 522, 524)
RETRY_AFTER_MAX_SECONDS = 600
_LOGIN = re.compile(r"/(?:log[-_]?in|sign[-_]?in|sso|saml2?|oauth2?|shibboleth|authenticate)\b", re.IGNORECASE)


class TooLargeError(FleetError):
    """An answer is larger than we take."""


@dataclass(frozen=True)
class Patience:
    """How long a site may stay silent, and the pause before a failed request is tried again, which doubles each time."""

    timeout_seconds: float = 60.0
    retry_pause_seconds: float = 0.5

    def pause_seconds(self, attempt: int, asked: float | None = None) -> float:
        """The pause after failed ``attempt`` (1 is the first); ``asked``: what Retry-After asks for, which wins."""
        return self.retry_pause_seconds * 2 ** (attempt - 1) if asked is None else asked


PATIENCE = Patience()


def user_agent(manifest: Manifest, contact: str = "") -> str:
    """The User-Agent: project, version and the address that a site's operators can turn to."""
    version = importlib.metadata.version("crawler-fleet")
    return f"crawler-fleet/{version} (+{PROJECT_URL}; {contact or manifest.contact})"


def check_base_url(url: str) -> str:
    """``url`` without a slash at its end.

    :raises UsageError: it is no http(s) URL, or has a query.
    """
    if not is_http_url(url) or urlsplit(url).query or urlsplit(url).fragment:
        raise UsageError(f"--base-url is {url!r}: expected http(s)://host[:port][/path], e.g. http://127.0.0.1:8000")
    return url.rstrip("/")


def is_http_url(url: str) -> bool:
    """Whether ``url`` is an absolute http(s) URL that a request can be sent to: escaped, with a host, with no port or a true one."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
        )
    except ValueError:
        return False


def rebase(url: str, base_url: str) -> str:
    """``url`` with scheme and host of ``base_url`` in place of its own; path and query stay. Without a base URL: as it is."""
    if not base_url or url.startswith(f"{base_url}/"):
        return url
    base, parts = urlsplit(base_url), urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, base.path + parts.path, parts.query, parts.fragment))


def leads_to_login(asked: str, came: str) -> bool:
    """Whether a request for ``asked`` was redirected to ``came``, and that is a page to log in on: the answer to another question."""
    return bool(_LOGIN.search(urlsplit(came).path)) and not _LOGIN.search(urlsplit(asked).path)


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """How long a ``Retry-After`` header (RFC 9110, section 10.2.3: seconds or a date) asks to wait, from ``now`` (a Unix time).

    None where there is none or it can't be read; never more than ``RETRY_AFTER_MAX_SECONDS``.
    """
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS)
