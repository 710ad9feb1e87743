"""Reads ``pages.toml`` and checks it; what is wrong is told with file, line and the nearest right name."""

import re
import tomllib
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.manifest import ManifestError, nearest
from crawlers.runtime.pages.checks import Fault, check
from crawlers.runtime.pages.definition import DEFINITION, Definition

Place = tuple[str | int, ...]


class DefinitionError(ManifestError):
    """A definition can't be used. ``path``, ``line`` (1-based) and ``reason`` say where and why."""


def read_definition(folder: Path) -> Definition:
    """The definition in the source's ``folder``.

    :raises DefinitionError: it can't be read, isn't TOML, or breaks a rule; says the line and what to write instead.
    """
    path = folder / DEFINITION
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(path, 1, f"can't be read: {error}. A source of kind pages needs it") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else len(text.splitlines()) or 1
        raise DefinitionError(path, line, f"not TOML: {error}") from error
    try:
        definition = _convert(table, Definition, ())
        check(definition)
    except Fault as fault:
        raise DefinitionError(path, line_of(text, fault.place), f"{fault.where}: {fault}") from fault
    return definition


def line_of(text: str, place: Place) -> int:
    """The line (1-based) in the TOML ``text`` where the value at ``place`` begins, or what holds it."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*(#.*)?$", line):
            table = _keys(header[1])
            keys = table
        elif pair := re.match(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=", line):
            keys = (*table, *_keys(pair[1]))
        else:
            continue
        for end in range(1, len(keys) + 1):
            lines.setdefault(keys[:end], number)
    wanted = tuple(str(key) for key in place if isinstance(key, str))
    for end in range(len(wanted), 0, -1):
        if wanted[:end] in lines:
            return lines[wanted[:end]]
    return 1


_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, dotted))


def _convert(value: Any, kind: Any, place: Place) -> Any:
    """``value``, of TOML, as ``kind``: a structure, or what stands in the fields of one.

    :raises Fault: it is not of that kind.
    """
    kinds = _members(kind)
    if isinstance(value, dict):
        structs = [member for member in kinds if isinstance(member, type) and issubclass(member, msgspec.Struct)]
        if structs:
            return _struct(value, _choose(value, structs, place), place)
        for member in kinds:
            if typing.get_origin(member) is dict and typing.get_args(member)[1] is not Any:
                inner = typing.get_args(member)[1]
                return {key: _convert(one, inner, (*place, key)) for key, one in value.items()}
    if isinstance(value, list):
        for member in kinds:
            bare, *more = typing.get_args(member) if typing.get_origin(member) is typing.Annotated else (member,)
            if typing.get_origin(bare) is list:
                inner = typing.get_args(bare)[0]
                made = [_convert(one, inner, (*place, number)) for number, one in enumerate(value)]
                return _plain(made, typing.Annotated[list, *more], place) if more else made
    return _plain(value, kind, place)


def _plain(value: Any, kind: Any, place: Place) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Fault(place, f"{str(error).partition(' - at ')[0]}, got {value!r:.200}") from error


def _struct(table: dict[str, Any], struct: type[msgspec.Struct], place: Place) -> msgspec.Struct:
    kinds, tag = _fields(struct), struct.__struct_config__.tag_field
    for key in table:
        if key not in kinds and key != tag:
            known = [*([tag] if tag else []), *kinds]
            raise Fault((*place, key), f"unknown key {key!r}.{nearest(key, known)} Known: {', '.join(known)}")
    made = {}
    for field in msgspec.structs.fields(struct):
        if field.encode_name in table:
            made[field.name] = _convert(table[field.encode_name], kinds[field.encode_name], (*place, field.encode_name))
        elif field.required:
            raise Fault(place, f"{field.encode_name!r} is missing")
    return struct(**made)


def _choose(table: dict[str, Any], structs: list[type[msgspec.Struct]], place: Place) -> type[msgspec.Struct]:
    """The structure that the table is of; where there are several, its ``kind`` says which."""
    if len(structs) == 1:
        return structs[0]
    kinds = {str(struct.__struct_config__.tag): struct for struct in structs}
    kind = table.get("kind")
    if kind not in kinds:
        got = f"kind is {kind!r}.{nearest(str(kind), list(kinds))}" if kind is not None else "'kind' is missing."
        raise Fault((*place, "kind"), f"{got} Kinds: {', '.join(kinds)}")
    return kinds[kind]


def _members(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return tuple(member for one in typing.get_args(kind) for member in _members(one))
    return (kind,)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The kinds of the structure's fields, by their names in TOML."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}
