"""Secrets in what is logged: made unreadable, wherever they stand."""

import os
import re
from collections.abc import Mapping
from functools import cache

_MASK = r"\g<kept>***"
# How names end that name a secret: api_key, client-secret, accessToken. Tokens that only say how a list goes on are none, and help to
# see what went wrong: resumptionToken, page_token.
_NAMES = (
    r"(?!(?:next|page|continuation|resumption)[_-]?token)(?:[a-z0-9]{1,40}[_-]){0,6}?"
    r"(?:api[_-]?key|access[_-]?key(?:[_-]?id)?|(?:client|consumer|app)?[_-]?secret|passw(?:or)?d|pwd|sig|signature|credential|jwt|auth|"
    r"(?:access|auth|api|bearer|id|refresh|session|csrf|security)?[_-]?token)"
)
_VALUE = r"(?!\*|b[\"']|(?:basic|bearer|digest|token)\b)[^&#\s\"'<>;,)\]}:]+(?::[^&#\s\"'<>;,)\]}:]+)*"
_QUOTES = r"(?:\[?b?[\"'])?"
# Each is bounded where it repeats: what is logged may be written by a site that means harm.
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<kept>\b[a-z][a-z0-9+.-]{0,20}://[^/\s:@?#]{0,200}:)[^/\s@]+(?=@)",
        rf"(?P<kept>(?<![a-z0-9_-]){_NAMES}=){_VALUE}",
        rf"(?P<kept>(?<![a-z0-9_-]){_NAMES}[\"']\s{{0,3}}:\s{{0,3}}b?[\"'])(?![\s*])[^\"'\r\n]+",
        rf"(?P<kept>[?&](?:(?:access|app|auth|consumer|subscription)[_-])?key=){_VALUE}",
        rf"(?P<kept>\b(?:proxy-)?authorization\b[\"']?\s{{0,3}}[:=]\s{{0,3}}{_QUOTES}(?:(?:basic|bearer|digest|token)\s{{1,3}})?){_VALUE}",
        rf"(?P<kept>\b(?:x-api-key|api-key|x-auth-token|set-cookie|cookie)\b[\"']?\s{{0,3}}:\s{{0,3}}{_QUOTES})(?![\s*])[^\"'\r\n]+",
        r"(?P<kept>\bbearer\s{1,3})(?!\*)[a-z0-9._~+/-]{12,}=*",
    )
)
# Where none of these is, there is nothing to look for: most lines.
_HINT = re.compile(r"[=@]|[\"']\s{0,3}:|authorization|cookie|bearer|api-key|auth-token", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)$")
_SHORTEST = 6


def mask(text: str) -> str:
    """``text`` with ``***`` in place of passwords in URLs, keys and tokens in queries, headers that hold secrets, and the values of
    environment variables that are called like secrets (``…_KEY``, ``…_TOKEN``, ``…_PASSWORD``)."""
    for value in _values_of_environment():
        if value in text:
            text = text.replace(value, "***")
    if _HINT.search(text):
        for pattern in _PATTERNS:
            text = pattern.sub(_MASK, text)
    return text


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values in ``environment`` that are secrets by their names, the longest first."""
    values = {value for name, value in environment.items() if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST}
    return tuple(sorted(values, key=len, reverse=True))


@cache
def _values_of_environment() -> tuple[str, ...]:
    return secrets_of(os.environ)
