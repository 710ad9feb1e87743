"""Rejects put together by class and reason, so that a person sees what is wrong instead of a million lines."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from crawlers.runtime.ndjson import encode_reject
from crawlers.runtime.rejects import Reject
from crawlers.runtime.tally import ADVICE

# Reasons beyond so many different ones fall into one group a class: a site can make each of a million different.
_MAX_GROUPS = 1_000
_OTHER = "other reasons"
_EXCERPT = 200
_REASON = 300
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`")
_URL = re.compile(r"https?://[^\s'\"<>]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Example(msgspec.Struct, kw_only=True):
    """One reject of a group: its reason in full, and ``excerpt``, what the record, or else the answer, holds at the fault."""

    reason: str
    url: str
    excerpt: str


class Group(msgspec.Struct, kw_only=True):
    """Rejects of one class and reason. ``field``: where the fault lies in the first of them; ``action``: what to do about it."""

    kind: str
    reason: str
    count: int = 0
    field: str = ""
    action: str = ""
    examples: list[Example] = msgspec.field(default_factory=list)


def group(rejects: Iterable[Reject | None], examples: int = 1) -> list[Group]:
    """The groups of ``rejects``, the most frequent first, each with so many examples. Lines that are no rejects are one of them."""
    groups: dict[tuple[str, str], Group] = {}
    for reject in rejects:
        if reject is None:
            reject = Reject("a line that is no reject: torn, or changed by hand", "parse", "", "", None, None)
        key = (reject.kind, normalise(reject.reason, reject.kind))
        if key not in groups and len(groups) >= _MAX_GROUPS:
            key = (reject.kind if reject.kind in ADVICE else "", _OTHER)
        found = groups.get(key)
        if found is None:
            action = ADVICE.get(reject.kind, "")
            found = groups[key] = Group(kind=key[0], reason=key[1], field=reject.field[:_EXCERPT], action=action)
        found.count += 1
        if len(found.examples) < examples:
            example = Example(reason=reject.reason[:_REASON], url=reject.url[:2000], excerpt=excerpt(reject))
            found.examples.append(example)
    return sorted(groups.values(), key=lambda one: (-one.count, one.kind, one.reason))


def matches(reject: Reject, reason: str = "", field: str = "", kind: str = "") -> bool:
    """Whether it is one with ``reason`` in its reason, whatever the case, a fault in ``field`` or below, and of class ``kind``."""
    return (
        reason.lower() in reject.reason.lower()
        and kind in ("", reject.kind)
        and (not field or re.match(rf"{re.escape(field)}($|[.\[])", reject.field) is not None)
    )


def normalise(reason: str, kind: str) -> str:
    """``reason`` without what differs from one record to the next: URLs, quoted values, numbers; and without its class."""
    text = " ".join(reason[:2000].removeprefix(f"{kind}: ").split())
    text = _NUMBER.sub("N", _QUOTED.sub("'…'", _URL.sub("URL", text)))
    return text if len(text) <= _REASON else text[: _REASON - 1] + "…"


def excerpt(reject: Reject) -> str:
    """What the record holds at the field of the fault, or the beginning of it; for a page, of the answer."""
    if reject.record is not None:
        at = find_value(reject.record, reject.field) if reject.field else None
        text = encode_reject({reject.field: at})[:-1] if at is not None else encode_reject(reject.record)[:-1]
        return _cut(text.decode())
    if reject.response is None:
        return ""
    head = f"{reject.response.get('status')} {reject.response.get('content_type') or ''}".strip()
    body = (reject.body or b"")[:2000].decode("utf-8", "replace")
    return _cut(f"{head}: {' '.join(body.split())}" if body else head)


def as_json(reject: Reject) -> bytes:
    """The reject as a line, with its answer's body even where the file only refers to it."""
    fields = {key: value for key, value in reject._asdict().items() if key not in ("body", "truncated", "exact")}
    if reject.body is not None and isinstance(reject.response, dict):
        shown = {"body": reject.body.decode("utf-8", "replace"), "truncated": reject.truncated}
        fields["response"] = {key: value for key, value in reject.response.items() if key != "base64"} | shown
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def find_value(record: Any, field: str) -> Any:
    """The value at a path like ``author.0.name`` or ``author[0].name``; None where there is none."""
    value = record
    for part in re.split(r"[.\[\]]+", field.strip(".]")):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
