"""The fields of a record, as sources put them together."""

from typing import Any

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def filled(fields: dict[str, Any]) -> dict[str, Any]:
    """``fields`` without those that say nothing: None, and empty strings, lists and objects. 0 and False stay."""
    return {key: value for key, value in fields.items() if value or value not in _EMPTY}


def listed(value: Any) -> list[Any]:
    """``value`` as a list, as JSON-LD has it: one value may stand for a list of one; None is an empty list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
