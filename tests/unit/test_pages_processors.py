"""Each processor, on what sites write."""

from typing import Any

import pytest

from crawlers.runtime.pages.processors import NAMES, StepError, make_step

URL = "https://site.invalid/a/b"


@pytest.mark.parametrize(
    ("step", "value", "made"),
    [
        ("strip", "  a b ", "a b"),
        ("squeeze", " a \n\t b ", "a b"),
        ("text", "<p>a &amp; <b>b</b></p>", "a & b"),
        ("lower", "Ab", "ab"),
        ("upper", "Ab", "AB"),
        ({"prefix": "x-"}, "a", "x-a"),
        ({"suffix": "-x"}, 1, "1-x"),
        ({"replace": {"[0-9]+": "#", " ": ""}}, "a 12 b", "a#b"),
        ({"regex": "no (\\d+)"}, "no 12", "12"),
        ({"regex": "\\d+"}, "none", None),
        ({"split": ";"}, "a; b;;", ["a", "b"]),
        ({"split": ","}, ["a, b", "c"], ["a", "b", "c"]),
        ({"join": ", "}, ["a", "b"], "a, b"),
        ("join", ["a", 1], "a 1"),
        ("join", "a", "a"),
        ("unique", ["a", "b", "a", {"x": 1}, {"x": 1}], ["a", "b", {"x": 1}]),
        ("url-join", "../c?d=1", "https://site.invalid/c?d=1"),
        ({"json": "a[0].b"}, '{"a": [{"b": 3}]}', 3),
        ({"json": "a"}, {"a": None}, None),
        ("number", "1,234", 1234),
        ("number", " 1 234.50 ", 1234.5),
        ("number", "−3", -3),
        ("number", 7.5, 7.5),
        ({"number": ","}, "1.234,5", 1234.5),
        ({"date": "%d %B %Y"}, " 3 May 2021", "2021-05-03"),
        ({"date": ["%d/%m/%Y", "%B %Y"]}, "May 2021", "2021-05"),
        ({"date": "%Y"}, "2021", "2021"),
        ({"date": "%Y-%m-%dT%H:%M:%S%z"}, "2021-05-03T04:05:06Z", "2021-05-03T04:05:06+00:00"),
        ({"map": {"1": "one", "2": 2}}, "2", 2),
        ({"map": {"1": "one"}}, "3", "3"),
        ({"map": {"1": "one", "*": "many"}}, 3, "many"),
        ({"default": "x"}, None, "x"),
        ({"default": []}, "a", "a"),
        ("strip", [" a", None, " b"], ["a", "b"]),
        ("strip", None, None),
    ],
    ids=str,
)
def test_a_value_becomes(step: Any, value: Any, made: Any) -> None:
    assert make_step(step)(value, URL) == made


@pytest.mark.parametrize(
    ("step", "value"), [("number", "12 apples"), ({"number": ","}, "1,2,3"), ({"date": "%Y"}, "soon"), ({"json": "a"}, "{")]
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_an_error(step: Any, value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make_step(step)(value, URL)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("stripp", "Did you mean 'strip'?"),
        ({"strip": True}, 'takes no argument: write "strip"'),
        ("prefix", "needs an argument"),
        ({"prefix": 3}, "expected is text"),
        ({"number": ";"}, "expected is the decimal mark"),
        ({"date": "YYYY"}, "expected is a format"),
        ({"json": "a["}, "the argument of json"),
        ({"strip": 1, "join": 2}, "a table of one name"),
    ],
)
def test_a_step_that_is_none_is_told(step: Any, told: str) -> None:
    with pytest.raises(StepError) as raised:
        make_step(step)
    assert told in str(raised.value)


def test_every_processor_is_tried_here() -> None:
    marks = test_a_value_becomes.pytestmark  # type: ignore[attr-defined]
    steps = [parameters[0] for parameters in marks[0].args[1]]
    assert {step if isinstance(step, str) else next(iter(step)) for step in steps} == set(NAMES)
