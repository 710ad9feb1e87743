"""How a value that a field's type can't take is told."""

from collections.abc import Callable
from typing import Any

from crawlers.runtime.fields import listed

# Called with where in the field the value stands ("" for the field itself, "0.identifier" within it), the value, and why it
# can't be parsed.
Report = Callable[[str, Any, str], None]
# Gives the parsed value, or None where nothing is left; tells each part that can't be parsed, and never raises.
FieldParser = Callable[[Any, Report], Any]
_EMPTY: tuple[Any, ...] = (None, "", [], {})


class Unparsable(ValueError):
    """A value can't be parsed. ``reason`` doesn't hold the value: reports are grouped by it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def kind_of(value: Any) -> str:
    """What ``value`` is, in JSON's words: "text", "a number", "an object" …"""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    return "null" if value is None else f"a Python {type(value).__name__}"


def plain(value: Any) -> Any:
    """The value that JSON-LD wraps with its language or type: ``{"@value": "Titel", "@language": "de"}``."""
    if isinstance(value, dict) and "@value" in value and value.keys() <= {"@value", "@language", "@type", "@direction"}:
        return value["@value"]
    return value


def members(value: Any) -> list[Any]:
    """``value`` as a list, also from JSON-LD's ``{"@list": […]}``; what says nothing is left out."""
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("@list", value.get("@set", value))
    values = list(value) if isinstance(value, tuple | set | frozenset) else listed(value)
    return [member for member in map(plain, values) if not _is_empty(member)]


def one(parse: Callable[[Any], Any]) -> FieldParser:
    """A field of one value. A list of several different ones is reported whole: which of them is meant would be a guess."""

    def parse_field(value: Any, report: Report) -> Any:
        found: list[Any] = []
        for member in members(value):
            if member not in found:
                found.append(member)
            if len(found) > 1:
                report("", value, "several values, one is expected")
                return None
        if not found:
            return None
        try:
            parsed = parse(found[0])
        except Unparsable as error:
            report("", found[0], error.reason)
            return None
        return None if _is_empty(parsed) else parsed

    return parse_field


def many(parse: Callable[[Any], Any]) -> FieldParser:
    """A field that is a list, each value once. Of values that can't be parsed each is reported, the others stay."""

    def parse_field(value: Any, report: Report) -> Any:
        parsed: dict[Any, None] = {}
        for number, member in enumerate(members(value)):
            try:
                parsed[parse(member)] = None
            except Unparsable as error:
                report(str(number), member, error.reason)
        return [member for member in parsed if not _is_empty(member)] or None

    return parse_field


def each(parse: FieldParser) -> FieldParser:
    """A field that is a list of objects, each parsed by ``parse``."""

    def parse_field(value: Any, report: Report) -> Any:
        parsed: list[Any] = []
        for number, member in enumerate(members(value)):
            result = parse(member, within(report, str(number)))
            if result is not None and result not in parsed[-1:]:
                parsed.append(result)
        return parsed or None

    return parse_field


def few(parse: FieldParser) -> FieldParser:
    """A part of an object that is mostly one: one stands as itself, several are a list."""

    def parse_field(value: Any, report: Report) -> Any:
        parsed = parse(value, report)
        return parsed[0] if parsed and len(parsed) == 1 else parsed

    return parse_field


def within(report: Report, place: str) -> Report:
    """``report`` for what stands at ``place`` of the field."""
    return lambda path, value, reason: report(f"{place}.{path}".rstrip("."), value, reason)


def _is_empty(value: Any) -> bool:
    return value in _EMPTY or (isinstance(value, str) and not value.strip())
