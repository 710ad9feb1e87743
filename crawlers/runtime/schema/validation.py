"""Validates records by their class: compiled once, always on.

Types are checked by msgspec, in one step for the whole record, and field by field only where that fails. What a profile misses
depends on nothing but which fields are filled, and the records of a source are filled in few ways: each way is worked out once.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from crawlers.runtime.ndjson import ascii_shown
from crawlers.runtime.schema.completeness import completeness
from crawlers.runtime.schema.profiles import NO_PROFILE, PROFILES, Demands, Profile
from crawlers.runtime.schema.shapes import SHAPES, Shape, class_of
from crawlers.runtime.schema.summary import Fault, ProfileResult, Validation
from crawlers.runtime.schema.unparsable import kind_of

# A source that is at fault in more ways is not what its code thinks; the rest is counted as one.
MAX_FAULTS = 300
_MANY_WAYS = 10_000
_EXAMPLE_LENGTH = 120


class Refusal(NamedTuple):
    """Why a record can't be in the release: the reason in words, and the field."""

    reason: str
    field: str


class Way(NamedTuple):
    """What a way of being filled amounts to. ``missing``: by profile that covers the class, the required fields that are missing,
    and the recommended ones."""

    completeness: dict[str, Any]
    missing: dict[str, tuple[list[str], list[str]]]


class Validator:
    """Checks the records of one release, one after the other, and counts what it finds.

    :param profiles: the names of the profiles to hold them against; ``none`` is none.
    :param require: fields without which a record is refused.
    """

    def __init__(self, profiles: Iterable[str] = (), require: Iterable[str] = ()) -> None:
        self._profiles = {name: PROFILES[name] for name in profiles if name != NO_PROFILE}
        self._require = tuple(require)
        self._known = _known_fields(self._profiles.values()).union(self._require)
        self._way = lru_cache(_MANY_WAYS)(self._work_out)
        self._ways: Counter[tuple[str, frozenset[str]]] = Counter()
        self._results = {name: ProfileResult() for name in self._profiles}
        self._classes: Counter[str] = Counter()
        self._records = self._refused = 0
        self._weighted = 0.0
        self._impossible: dict[tuple[str, str], Fault] = {}
        self._unparsed: dict[tuple[str, str], Fault] = {}

    def check(self, record: dict[str, Any]) -> Refusal | None:
        """Look at a record, and write into it how complete it is (``_meta.completeness``).

        :returns: why it can't be in the release; None if it can. What a profile misses is counted, and refuses nothing.
        """
        self._records += 1
        known = self._known
        filled = frozenset(
            [name for name, value in record.items() if name in known and (value or _says_something(value))]
        )
        refusal = self._refusal(record, filled)
        if refusal:
            self._refused += 1
            return refusal
        record_class = class_of(record)
        way = self._way(record_class, filled)
        meta = record.get("_meta") or {}
        record["_meta"] = {**meta, "completeness": dict(way.completeness)}
        if unparsed := meta.get("unparsed"):
            self._count_unparsed(unparsed, record)
        possible = self._types_are_possible(record, SHAPES[record_class])
        self._count_profiles(record, record_class, way, possible)
        self._weighted += way.completeness["weighted_score"]
        self._ways[record_class, filled] += 1
        if len(self._ways) >= _MANY_WAYS:
            self._count_ways()
        return None

    def summary(self) -> Validation:
        """What was found so far."""
        self._count_ways()
        accepted = self._records - self._refused
        return Validation(
            records=self._records,
            refused=self._refused,
            classes=_most_first(self._classes),
            completeness=round(self._weighted / accepted, 4) if accepted else 0.0,
            profiles={
                name: msgspec.structs.replace(
                    result,
                    missing_required=_most_first(result.missing_required),
                    missing_recommended=_most_first(result.missing_recommended),
                )
                for name, result in self._results.items()
            },
            impossible=_faults(self._impossible),
            unparsed=_faults(self._unparsed),
        )

    def _refusal(self, record: dict[str, Any], filled: frozenset[str]) -> Refusal | None:
        if missing := [name for name in self._require if name not in filled]:
            return Refusal(f"schema: {', '.join(missing)} is missing; the manifest's `require` demands it", missing[0])
        if not isinstance(meta := record.get("_meta") or {}, dict):
            return Refusal(f"schema: _meta is {kind_of(meta)}, expected is an object", "_meta")
        return None

    def _types_are_possible(self, record: dict[str, Any], shape: Shape) -> bool:
        faulty = shape.impossible(record)
        for name in faulty:
            reason = f"is {kind_of(record[name])}, expected is {shape.expected[name]}"
            _count(self._impossible, name, reason, record[name], record)
        return not faulty

    def _count_unparsed(self, unparsed: Any, record: dict[str, Any]) -> None:
        for told in unparsed if isinstance(unparsed, list) else ():
            if isinstance(told, dict):
                field = re.sub(r"\.\d+(?=\.|$)", "", str(told.get("field")))
                _count(self._unparsed, field, str(told.get("reason")), told.get("value"), record)

    def _count_profiles(self, record: dict[str, Any], record_class: str, way: Way, possible: bool) -> None:
        for name, (required, _) in way.missing.items():
            demands = _demands(self._profiles[name], record_class)
            broken = (
                [rule for field, rule in demands.lengths.items() if not _fits(record.get(field), rule)]
                if demands
                else []
            )
            result = self._results[name]
            result.valid += possible and not required and not broken
            for least, most in broken:
                told = f"description of {least} to {most} characters"
                result.broken[told] = result.broken.get(told, 0) + 1

    def _work_out(self, record_class: str, filled: frozenset[str]) -> Way:
        missing = {}
        for name, profile in self._profiles.items():
            if demands := _demands(profile, record_class):
                missing[name] = (_missing(demands.required, filled), _missing(demands.recommended, filled))
        return Way(completeness(record_class, filled), missing)

    def _count_ways(self) -> None:
        for (record_class, filled), count in self._ways.items():
            self._classes[record_class] += count
            for name, (required, recommended) in self._way(record_class, filled).missing.items():
                result = self._results[name]
                result.records += count
                for counts, fields in ((result.missing_required, required), (result.missing_recommended, recommended)):
                    for field in fields:
                        counts[field] = counts.get(field, 0) + count
        self._ways.clear()


def _says_something(value: Any) -> bool:
    """Whether a value that counts as false in Python says something: 0 and False do."""
    return isinstance(value, int | float)


def _known_fields(profiles: Iterable[Profile]) -> set[str]:
    """All fields that a profile, or the completeness, asks for."""
    known: set[str] = set()
    for profile in (*profiles, PROFILES["nde"]):
        for demands in (*profile.classes.values(), profile.others):
            for group in (demands.required, demands.recommended) if demands else ():
                known.update(field for fields in group.values() for field in fields)
    return known


def _demands(profile: Profile, record_class: str) -> Demands | None:
    return profile.classes.get(record_class, profile.others)


def _missing(group: dict[str, tuple[str, ...]], filled: frozenset[str]) -> list[str]:
    return [name for name, fields in group.items() if filled.isdisjoint(fields)]


def _fits(value: Any, length: tuple[int, int]) -> bool:
    """Whether the text has the length asked for; one that is missing is counted as missing."""
    if not isinstance(value, str | list):
        return True
    size = len(value) if isinstance(value, str) else sum(len(part) for part in value if isinstance(part, str))
    return not size or length[0] <= size <= length[1]


def _count(faults: dict[tuple[str, str], Fault], field: str, reason: str, value: Any, record: dict[str, Any]) -> None:
    key = (field[:200], reason[:200])
    if key not in faults and len(faults) >= MAX_FAULTS:
        key = ("(others)", f"more than {MAX_FAULTS} different faults")
    identifier = ascii_shown(record.get("_id"))[:_EXAMPLE_LENGTH]
    fault = faults.get(key)
    if fault is None or (identifier and identifier < fault.record):  # the same example, in whichever order records come
        example = ascii_shown(value[:_EXAMPLE_LENGTH] if isinstance(value, str) else value)[:_EXAMPLE_LENGTH]
        faults[key] = Fault(
            field=key[0], reason=key[1], count=fault.count if fault else 0, example=example, record=identifier
        )
    faults[key].count += 1


def _faults(faults: dict[tuple[str, str], Fault]) -> list[Fault]:
    return sorted(faults.values(), key=lambda fault: (-fault.count, fault.field, fault.reason))


def _most_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
