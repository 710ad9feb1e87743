"""The classes of records as types that msgspec compiles: whether each value can stand in its field."""

import re
import typing
from datetime import date
from typing import Any, NamedTuple

import msgspec

from crawlers.runtime.schema.models import ALIASES, MODELS
from crawlers.runtime.schema.record import Record

# The class of records whose @type is none of ours: its fields are those that all classes have.
OTHER = "CreativeWork"


class Shape(NamedTuple):
    """The types of a class's fields, compiled: ``whole`` of all, ``alone`` of each; ``expected``: each in words.

    ``patterns``: what the texts of some look like.
    """

    whole: type[msgspec.Struct]
    alone: dict[str, type[msgspec.Struct]]
    expected: dict[str, str]
    patterns: dict[str, re.Pattern[str]]

    def impossible(self, record: dict[str, Any]) -> list[str]:
        """The fields whose values can't stand there."""
        faulty = []
        for name, pattern in self.patterns.items():
            value = record.get(name)
            if value and not (pattern.match(value) if isinstance(value, str) else _matches(value, pattern)):
                faulty.append(name)
        try:
            msgspec.convert(record, self.whole)
        except (msgspec.ValidationError, UnicodeEncodeError):
            faulty += [
                name for name, value in record.items() if name in self.alone and not _converts(name, value, self)
            ]
        return list(dict.fromkeys(faulty))


def class_of(record: dict[str, Any]) -> str:
    """The class of ours that the record's ``@type`` names; ``OTHER`` where it names none."""
    types = record.get("@type")
    for name in types if isinstance(types, list) else (types,):
        if isinstance(name, str):
            name = name.rpartition("/")[2].rpartition(":")[2]
            name = ALIASES.get(name, name)
            if name in MODELS:
                return name
    return OTHER


def _shape(model: type[Record]) -> Shape:
    hints = typing.get_type_hints(model, include_extras=True)
    fields = [(name, hints[name], None) for name in model.types]
    return Shape(
        msgspec.defstruct(model.__name__, fields),
        {field[0]: msgspec.defstruct(f"{model.__name__}_{field[0]}", [field]) for field in fields},
        {name: field_type.expected for name, field_type in model.types.items()},
        {name: field_type.pattern for name, field_type in model.types.items() if field_type.pattern},
    )


SHAPES = {name: _shape(model) for name, model in MODELS.items()}


def _converts(name: str, value: Any, shape: Shape) -> bool:
    if isinstance(value, date):  # Python's are written as ISO 8601
        return name in shape.patterns and _matches(value.isoformat(), shape.patterns[name])
    try:
        msgspec.convert({name: value}, shape.alone[name])
    except msgspec.ValidationError:
        return False
    except UnicodeEncodeError:  # a lone surrogate: the writer rejects the record for it
        pass
    return True


def _matches(value: Any, pattern: re.Pattern[str]) -> bool:
    """Whether each text in it does; whether it is text at all is for others to see."""
    if isinstance(value, str):
        return pattern.match(value) is not None
    return not isinstance(value, list) or all(_matches(text, pattern) for text in value if isinstance(text, str))
