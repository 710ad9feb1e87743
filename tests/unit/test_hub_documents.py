"""From a line to a document: nothing is changed, and what can't be stored is refused in words."""

import json
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dataload.documents import MAX_DEPTH, RejectedLine, encode_line

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


def line(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


@given(VALUES)
def test_what_is_stored_is_what_was_published(value: Any) -> None:
    document = {"_id": "site_1", "value": value}
    assert bson.decode(encode_line(line(document))) == document


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**30, -(10**300)])
def test_an_integer_beyond_64_bits_never_becomes_a_float(number: int) -> None:
    with pytest.raises(RejectedLine, match="64 bits"):
        encode_line(b'{"_id":"a","n":[%d]}' % number)


@pytest.mark.parametrize(
    "text", [b'"12345678901234567890123"', b"1234567890123456789.5", b"1e22", b"0.00000000000000000000001"]
)
def test_digits_in_texts_and_fractions_are_no_integers(text: bytes) -> None:
    assert bson.decode(encode_line(b'{"_id":"a","n":' + text + b"}"))["n"] == json.loads(text)


def test_the_deepest_document_that_mongodb_promises_to_store_passes() -> None:
    def nested(levels: int) -> Any:
        value: Any = []
        for _ in range(levels - 2):
            value = [value]
        return {"_id": "a", "value": value}

    encode_line(line(nested(MAX_DEPTH)))
    with pytest.raises(RejectedLine, match="nested deeper"):
        encode_line(line(nested(MAX_DEPTH + 1)))
    with pytest.raises(RejectedLine):
        encode_line(b'{"_id":"a","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty line"),
        (b"null", "not a JSON object but null"),
        (b'"text"', "not a JSON object but a string"),
        (b'{"_id":null}', "_id is null"),
        (b'{"_id":true}', "_id is a boolean"),
        (b'{"_id":["a"]}', "_id is an array"),
        (b'{"_id":{"$oid":"a"}}', "_id is an object"),
        (b'{"_id":"a"}{"_id":"b"}', "malformed JSON"),
        (b'{"_id":"a","n":NaN}', "malformed JSON"),
        (b'\xef\xbb\xbf{"_id":"a"}', "malformed JSON"),
        (b'{"_id":"a","t":"\\ud800"}', "malformed JSON"),
        (b'{"_id":"a","t":"\xff"}', "not UTF-8"),
    ],
)
def test_what_is_no_document_is_refused_in_words(content: bytes, reason: str) -> None:
    with pytest.raises(RejectedLine, match=reason):
        encode_line(content)


def test_an_error_in_the_code_of_a_source_rejects_the_document_alone() -> None:
    def transform(document: dict[str, Any]) -> dict[str, Any]:
        return {"_id": document["_id"], "x": document["missing"]}

    with pytest.raises(RejectedLine, match="KeyError: 'missing'"):
        encode_line(b'{"_id":"a"}', transform)
