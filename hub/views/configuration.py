"""How the hub is set up: each setting, where it comes from, and no secret of it."""

import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from crawlers.runtime.masking import mask
from hub.settings import HubSettings

MASK = "••••••"
_SECRET = re.compile(r"passw|secret|token|salt|credential|^key$|_key$", re.IGNORECASE)


# Options of a database's URI have names of their own: tlsCertificateKeyFilePassword.
_SECRET_OPTION = re.compile(r"(?i)([?&][a-z]*(?:passw|secret|token|mechanismprop)[a-z]*=)[^&\s]+")


class Setting(msgspec.Struct, kw_only=True):
    """``name``: of the setting, or of the environment variable; ``value``: secrets are masked; ``of``: ``hub``, ``environment``."""

    name: str
    value: str
    of: str


def list_settings(settings: HubSettings, environment: Mapping[str, str] = os.environ) -> list[Setting]:
    """The hub's settings as it understands them, and the variables that they come from."""
    found = [Setting(name=name, value=value, of="hub") for name, value in _walk(settings, "")]
    found += [
        Setting(name=name, value=_masked(name, value), of="environment")
        for name, value in sorted(environment.items())
        if name.startswith("FLEET_")
    ]
    return found


def _walk(value: Any, path: str) -> list[tuple[str, str]]:
    if not is_dataclass(value):
        return [(path, _masked(path.rpartition(".")[2], value))]
    found: list[tuple[str, str]] = []
    for field in fields(value):
        inner = getattr(value, field.name)
        found += _walk(inner, f"{path}.{field.name}" if path else field.name) if field.repr else [(field.name, MASK)]
    return found


def _masked(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(map(str, value)))
    # The file that holds a secret may be named.
    if _SECRET.search(name) and not name.upper().endswith(("_FILE", "_SECONDS")) and not isinstance(value, bool):
        return MASK
    return _SECRET_OPTION.sub(rf"\1{MASK}", mask(str(value)))
