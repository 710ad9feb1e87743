"""Coverage: which share of a release's records says something in each field."""

from collections import Counter
from typing import Any

from crawlers.runtime.fields import filled

# A page may make up fields without end; a release is described in a few lines.
_MAX_FIELDS = 300
_MAX_NAME = 100
_MAX_SHAPES = 1000
# Of these each record has one, or the runtime sees to it.
_OWN = frozenset({"_id", "_meta"})


Shape = tuple[str, ...]


class Coverage:
    """Counts, record by record, the top-level fields that are filled: not null, nor an empty string, list or object."""

    def __init__(self) -> None:
        self._records = 0
        self._fields: Counter[str] = Counter()
        # Most records of a source have the same ones: they are counted together, and by field now and then.
        self._shapes: Counter[Shape] = Counter()

    def add(self, shape: Shape) -> None:
        """Count a record of the release that has these filled."""
        self._records += 1
        self._count(shape, 1)

    def take_back(self, record: dict[str, Any]) -> None:
        """Uncount a record that was added, and turned out to be none of the release."""
        self._records -= 1
        self._count(shape_of(record), -1)

    def shares(self) -> dict[str, float]:
        """By field, the share (0 to 1) of records that have it, the most frequent first, to four places."""
        self._settle()
        common = sorted(self._fields.items(), key=lambda item: (-item[1], item[0]))
        return {name: round(count / self._records, 4) for name, count in common[:_MAX_FIELDS] if count > 0}

    def _count(self, shape: Shape, number: int) -> None:
        self._shapes[shape] += number
        if len(self._shapes) >= _MAX_SHAPES:
            self._settle()

    def _settle(self) -> None:
        fields = self._fields
        for shape, number in self._shapes.items():
            for name in shape:
                if name in fields:
                    fields[name] += number
                elif name not in _OWN and number > 0 and len(fields) < 10 * _MAX_FIELDS and len(name) <= _MAX_NAME:
                    fields[name] = number
        self._shapes.clear()


def shape_of(record: dict[str, Any]) -> Shape:
    """The names of the fields that are filled."""
    return tuple(filled(record))


def changes(new: dict[str, float], old: dict[str, float]) -> dict[str, float]:
    """By field, by how many points (hundredths) its coverage rose or, below zero, fell; those that stayed are left out."""
    points = {name: round(100 * (new.get(name, 0.0) - old.get(name, 0.0)), 2) for name in {**old, **new}}
    return {name: change for name, change in points.items() if change}
