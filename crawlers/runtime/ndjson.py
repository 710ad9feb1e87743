"""Records as lines of newline-delimited JSON, and why one can't be."""

import math
from typing import Any

import orjson


class UnwritableError(ValueError):
    """A record that can't be a line of a release. ``field``: where the fault lies, empty where unknown."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


def encode(record: Any) -> bytes:
    """The record as one line, newline included.

    :raises UnwritableError: it is no object; ``_id`` is missing, no string or empty; or a value has no true form in JSON (NaN,
        an integer beyond 64 bits, a lone surrogate, nesting beyond 254 levels, a key or value of another type).
    """
    if not isinstance(record, dict):
        raise UnwritableError(f"a record is an object, got {type(record).__name__}")
    identifier = record.get("_id")
    if not isinstance(identifier, str) or not identifier:
        got = "none" if identifier is None else f"{type(identifier).__name__} {ascii_shown(identifier):.80}"
        raise UnwritableError(f"_id must be a string that is not empty, got {got}", "_id")
    try:
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise UnwritableError(f"not JSON: {error}") from error
    # orjson writes NaN and infinities as null: the record would change unseen.
    if b"null" in line and not _is_finite(record):
        raise UnwritableError("NaN or infinity has no form in JSON", _not_a_number(record))
    return line


def encode_reject(reject: dict[str, Any]) -> bytes:
    """A reject as one line: whatever its record holds. What JSON can't carry is written as Python would show it."""
    try:
        return orjson.dumps(_plain(reject), option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, orjson.JSONEncodeError, RecursionError):
        shown = {**reject, "record": ascii_shown(reject.get("record"))}
        return orjson.dumps({key: ascii_shown(value) for key, value in shown.items()}, option=orjson.OPT_APPEND_NEWLINE)


def is_exact(value: Any) -> bool:
    """Whether a reject can hold ``value`` to the letter, so that what is read back is what it was."""
    try:
        orjson.dumps([value])  # nested as in a reject: too deep, or a cycle?
    except (TypeError, orjson.JSONEncodeError, RecursionError):
        return False
    waiting: list[Any] = [value]
    for item in waiting:  # grows while it is walked through
        if isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                return False
        elif not isinstance(item, str | int | None):  # a date, say, which is written as Python shows it
            return False
    return True


def ascii_shown(value: Any) -> str:
    """``value`` as text that JSON can carry, strings as they are where they can be."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception as error:  # nested too deeply, a number of too many digits, or code of its own that fails
        text = f"{type(value).__name__} that can't be shown: {type(error).__name__}: {error}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_finite(record: dict[str, Any]) -> bool:
    """Whether all numbers in it are finite. Most records hold a null: this is the quick half of ``_not_a_number``."""
    waiting: list[Any] = [record]
    for value in waiting:  # grows while it is walked through
        for item in value.values() if isinstance(value, dict) else value:
            if type(item) is str or item is None:
                continue
            if isinstance(item, float):
                if not math.isfinite(item):
                    return False
            elif isinstance(item, dict | list | tuple):
                waiting.append(item)
    return True


def _not_a_number(value: Any, path: str = "") -> str:
    if isinstance(value, float):
        return "" if math.isfinite(value) else path or "."
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next((found for key, item in pairs if (found := _not_a_number(item, f"{path}.{key}".lstrip(".")))), "")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {ascii_shown(key): _plain(item) for key, item in value.items()}
        return plain if len(plain) == len(value) else ascii_shown(value)  # 1 and "1" would be one key
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | None) or (isinstance(value, int) and -(2**63) <= value < 2**64):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return ascii_shown(value)
