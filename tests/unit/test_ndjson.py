"""Records as lines, and hostile ones as rejects."""

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.runtime.ndjson import UnwritableError, encode, encode_reject

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    # Without surrogates: they are no text, and no JSON.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda values: st.lists(values) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values),
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.complex_numbers(),
    lambda values: st.lists(values)
    | st.tuples(values)
    | st.dictionaries(st.text(st.characters()) | st.integers() | st.none() | st.binary(), values),
)  # fmt: skip


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no form")


@dataclass
class Measure:
    value: float


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON), st.text("ab\0é\n", min_size=1))
def test_what_json_can_carry_comes_back_the_same_on_one_line(record: dict[str, Any], identifier: str) -> None:
    record["_id"] = identifier
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == record


@pytest.mark.parametrize(
    ("record", "field", "said"),
    [
        (None, "", "got NoneType"),
        ([{"_id": "1"}], "", "got list"),
        ("text", "", "got str"),
        ({}, "_id", "got none"),
        ({"_id": None}, "_id", "got none"),
        ({"_id": ""}, "_id", "got str"),
        ({"_id": 7}, "_id", "got int 7"),
        ({"_id": 10**5000}, "_id", "got int"),
        ({"_id": Unshowable()}, "_id", "got Unshowable"),
        ({"_id": b"1"}, "_id", "got bytes"),
        ({"_id": "a\ud800"}, "", "surrogates"),
        ({"_id": "1", "a": ["\udfff"]}, "", "surrogates"),
        ({"_id": "1", "a": [{"b": math.nan}]}, "a.0.b", "NaN or infinity"),
        ({"_id": "1", "a": None, "b": -math.inf}, "b", "NaN or infinity"),
        ({"_id": "1", "a": 2**64}, "", "64-bit"),
        ({"_id": "1", "a": -(2**63) - 1}, "", "64-bit"),
        ({"_id": "1", "a": 10**5000}, "", "64-bit"),
        ({"_id": "1", "a": {1, 2}}, "", "set"),
        ({"_id": "1", "a": b"bytes"}, "", "bytes"),
        ({"_id": "1", 2: "key"}, "", "str"),
        ({"_id": "1", "a": Measure(math.nan)}, "", "Measure"),
        ({"_id": "1", "a": nested(300)}, "", "not JSON"),
        ({"_id": "1", "a": nested(100_000)}, "", "not JSON"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_what_has_no_true_form_is_refused_with_reason_and_field_and_kept_as_a_reject(
    record: Any, field: str, said: str
) -> None:
    with pytest.raises(UnwritableError, match=said) as caught:
        encode(record)
    assert caught.value.field == field
    reject = json.loads(encode_reject({"reason": str(caught.value), "field": field, "url": "", "record": record}))
    assert said in reject["reason"]
    assert (reject["record"] is None) == (record is None)


@given(ANYTHING)
def test_anything_can_be_a_reject_and_is_one_line(value: Any) -> None:
    line = encode_reject({"reason": "because", "field": "", "url": "", "record": {"_id": value, "all": [value]}})
    assert line.count(b"\n") == 1
    assert json.loads(line)["reason"] == "because"


@given(ANYTHING)
def test_a_record_is_written_or_refused_and_nothing_else(value: Any) -> None:
    try:
        line = encode({"_id": "1", "value": value})
    except UnwritableError:
        return
    assert json.loads(line)["_id"] == "1"


def test_keys_that_would_fall_together_do_not_cost_a_value() -> None:
    reject = json.loads(encode_reject({"reason": "", "field": "", "url": "", "record": {1: "one", "1": "uno"}}))
    assert "one" in reject["record"]
    assert "uno" in reject["record"]
