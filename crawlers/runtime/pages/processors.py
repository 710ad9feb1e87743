"""Processors: what a field's values go through after they were selected, one step after the other.

A step is made once, when the definition is read, and applied to each value. A value of None (nothing was selected) passes every step
but ``default``. Steps work on each member of a list, but for those that are about the list: ``join``, ``unique`` and ``default``.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urljoin

import jmespath
import orjson
import w3lib.html

from crawlers.runtime.manifest import nearest

# Given a value and the URL of its page, the value that it becomes. Raises ValueError where it can't.
Apply = Callable[[Any, str], Any]


class StepError(ValueError):
    """A step of a definition is none."""


class _Kind(NamedTuple):
    """``make``: the step of an argument, which is of type ``argument``; ``whole``: it takes a list as one value."""

    make: Callable[[Any], Apply]
    argument: type | tuple[type, ...] = ()
    default: Any = None
    whole: bool = False


def make_step(step: str | dict[str, Any]) -> Apply:
    """The step that a definition names.

    :raises StepError: there is none of that name, or its argument is wrong.
    """
    if isinstance(step, dict) and len(step) != 1:
        raise StepError(f"a processor is a name, or a table of one name and its argument, got {sorted(step)}")
    name, argument = (step, None) if isinstance(step, str) else next(iter(step.items()))
    kind = _KINDS.get(name)
    if kind is None:
        raise StepError(f"unknown processor {name!r}.{nearest(name, list(_KINDS))} Known: {', '.join(_KINDS)}")
    if isinstance(step, str):
        if kind.argument and kind.default is None:
            raise StepError(f"the processor {name} needs an argument: {{ {name} = … }}")
        argument = kind.default
    elif not kind.argument:
        raise StepError(f'the processor {name} takes no argument: write "{name}"')
    elif not isinstance(argument, kind.argument):
        kinds = kind.argument if isinstance(kind.argument, tuple) else (kind.argument,)
        raise StepError(
            f"the argument of {name} is {argument!r}, expected is {' or '.join(_TYPES[kind] for kind in kinds)}"
        )
    try:
        apply = kind.make(argument)
    except (ValueError, re.error) as error:
        raise StepError(f"the argument of {name} is {argument!r}: {error}") from error
    return apply if kind.whole else _of_each(apply)


def _of_each(apply: Apply) -> Apply:
    def call(value: Any, url: str) -> Any:
        if isinstance(value, list):
            made = [(call(member, url), isinstance(member, list)) for member in value]
            # What one text was split into stands beside the other texts, not in a list of its own.
            lists = (one if isinstance(one, list) and not was else [one] for one, was in made if one is not None)
            return [one for several in lists for one in several]
        return None if value is None else apply(value, url)

    return call


def _of_text(change: Callable[[str], Any]) -> Apply:
    return lambda value, url: change(str(value))


def _join(separator: str) -> Apply:
    return lambda value, url: separator.join(map(str, value)) if isinstance(value, list) else value


def _unique(_: None) -> Apply:
    def unique(value: Any, url: str) -> Any:
        if not isinstance(value, list):
            return value
        return list({orjson.dumps(member, option=orjson.OPT_SORT_KEYS): member for member in value}.values())

    return unique


def _default(default: Any) -> Apply:
    return lambda value, url: default if value in (None, "", [], {}) else value


def _split(separator: str) -> Apply:
    return lambda value, url: [part for part in (text.strip() for text in str(value).split(separator)) if part]


def _regex(pattern: str) -> Apply:
    compiled = re.compile(pattern)

    def search(text: str) -> str | None:
        found = compiled.search(text)
        return (found[1] if compiled.groups else found[0]) if found else None

    return _of_text(search)


def _replace(pairs: dict[str, str]) -> Apply:
    compiled = [(re.compile(pattern), put) for pattern, put in pairs.items()]

    def replace(text: str) -> str:
        for pattern, put in compiled:
            text = pattern.sub(put, text)
        return text

    return _of_text(replace)


def _json(path: str) -> Apply:
    expression = jmespath.compile(path)

    def look_up(value: Any, url: str) -> Any:
        return expression.search(orjson.loads(value) if isinstance(value, str) else value)

    return look_up


def _map(table: dict[str, Any]) -> Apply:
    return lambda value, url: table.get(str(value), table.get("*", value))


def _number(mark: str) -> Apply:
    """Numbers as people write them; ``mark``: the decimal mark, the other one separates thousands."""
    if mark not in (".", ","):
        raise ValueError("expected is the decimal mark, . or ,")
    separators = re.compile(r"[\s'’_,]" if mark == "." else r"[\s'’_.]")

    def number(value: Any, url: str) -> Any:
        if isinstance(value, int | float):
            return value
        text = separators.sub("", str(value)).replace(mark, ".").replace("−", "-")
        if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", text):
            raise ValueError(f"{value!r} is no number")
        return float(text) if "." in text else int(text)

    return number


def _date(formats: str | list[str]) -> Apply:
    """ISO 8601, as exactly as the format is: a format without a day gives a month, one with an hour a moment."""
    tried = [formats] if isinstance(formats, str) else formats
    for pattern in tried:
        if "%" not in pattern:
            raise ValueError("expected is a format as of Python's strptime, e.g. %d %B %Y, or a list of such")

    def date(text: str) -> str:
        for pattern in tried:
            try:
                moment = datetime.strptime(text.strip(), pattern)
            except ValueError:
                continue
            if re.search("%[HIcX]", pattern):
                return moment.isoformat()
            parts = 3 if re.search("%[djxDF]", pattern) else 2 if re.search("%[mbB]", pattern) else 1
            return "-".join(moment.date().isoformat().split("-")[:parts])
        raise ValueError(f"{text!r} is no date of the form {' or '.join(tried)}")

    return _of_text(date)


_TYPES: dict[type, str] = {str: "text", dict: "a table", list: "a list", int: "a number", float: "a number", bool: "true or false"}  # fmt: skip
_ANY = (str, int, float, bool, list, dict)
_KINDS = {
    "strip": _Kind(lambda _: _of_text(str.strip)),
    "squeeze": _Kind(lambda _: _of_text(lambda text: " ".join(text.split()))),
    "text": _Kind(lambda _: _of_text(lambda text: " ".join(w3lib.html.replace_entities(w3lib.html.remove_tags(text)).split()))),
    "lower": _Kind(lambda _: _of_text(str.lower)),
    "upper": _Kind(lambda _: _of_text(str.upper)),
    "prefix": _Kind(lambda prefix: _of_text(lambda text: prefix + text), str),
    "suffix": _Kind(lambda suffix: _of_text(lambda text: text + suffix), str),
    "replace": _Kind(_replace, dict),
    "regex": _Kind(_regex, str),
    "split": _Kind(_split, str),
    "join": _Kind(_join, str, " ", whole=True),
    "unique": _Kind(_unique, whole=True),
    "url-join": _Kind(lambda _: lambda value, url: urljoin(url, str(value).strip())),
    "json": _Kind(_json, str),
    "number": _Kind(_number, str, "."),
    "date": _Kind(_date, (str, list)),
    "map": _Kind(_map, dict),
    "default": _Kind(_default, _ANY, whole=True),
}  # fmt: skip
NAMES = tuple(_KINDS)
