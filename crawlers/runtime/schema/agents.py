"""People and organisations as objects: ``{"@type", "name", "givenName", "familyName", "identifier", "affiliation"}``.

``identifier`` is an ORCID or ROR where the site gives one; ``affiliation`` is an organisation, or a list of several. Keys that are
not known stay as they are.
"""

import re
from typing import Any

from crawlers.runtime.schema.identifiers import parse_agent_identifier, parse_orcid
from crawlers.runtime.schema.texts import parse_line
from crawlers.runtime.schema.unparsable import (
    FieldParser,
    Report,
    Unparsable,
    each,
    few,
    kind_of,
    many,
    members,
    one,
    within,
)

PERSON, ORGANISATION = "Person", "Organization"
# Longer than that, it is no name but a text about somebody.
MAX_NAME_LENGTH = 1000
# Words that no person's name holds.
_ORGANISATION_WORDS = re.compile(
    r"\b(universit\w+|institut\w*|consortium|cent(er|re)|department|laborator\w+|foundation|college|school|hospital|clinic|"
    r"council|ministry|agency|association|society|group|team|network|project|program(me)?|initiative|company|corporation|"
    r"inc|ltd|llc|gmbh)\b",
    re.IGNORECASE,
)
# What stands after a comma without being a given name.
_AFTER_NAMES = re.compile(r"(jr|sr|i{1,3}|iv|ph\.? ?d|m\.? ?d|m\.? ?sc|b\.? ?sc|mph|dphil|rn)\.?", re.IGNORECASE)
# "Smith J, Doe A" are two people, or rather: nobody knows.
_INITIALS = re.compile(r"\s[A-Z]{1,3}\.?$")
# DataCite's `nameType`, https://schema.datacite.org/meta/kernel-4/
_NAME_TYPES = {"Personal": PERSON, "Organizational": ORGANISATION}


def agents(usual: str) -> FieldParser:
    """Parses people and organisations; ``usual``: which of both stands in this field where nothing tells."""
    parse = each(lambda value, report: _agent(value, report, usual, inner=False))

    def parse_field(value: Any, report: Report) -> Any:
        if isinstance(value, str) and value.count(";") and len(value) <= 100 * MAX_NAME_LENGTH and "&" not in value:
            value = value.split(";")  # "Smith, J.; Doe, A."
        return parse(value, report)

    return parse_field


def _agent(value: Any, report: Report, usual: str, *, inner: bool) -> dict[str, Any] | None:
    try:
        if isinstance(value, dict):
            return _from_object(value, report, usual, inner=inner)
        return _from_text(value, usual)
    except Unparsable as error:
        report("", value, error.reason)
        return None


def _from_text(value: Any, usual: str) -> dict[str, Any] | None:
    if not isinstance(value, str):
        raise Unparsable(f"is {kind_of(value)}, expected is a name or an object")
    if re.match(r"(https?://)?orcid\.org/", value):
        return {"@type": PERSON, "identifier": parse_orcid(value)}
    name = _name(value)
    if not name:
        return None
    agent_type = ORGANISATION if _ORGANISATION_WORDS.search(name) else usual
    return {"@type": agent_type, **(_parts(name) if agent_type == PERSON else {"name": name})}


def _parts(name: str) -> dict[str, str]:
    """What a person's name tells of its parts: of "Muster, Ana" it is sure which is which, of "Ana Muster" it is not."""
    family, comma, given = (part.strip() for part in name.partition(","))
    if (
        not comma
        or not family
        or not given
        or "," in given
        or _AFTER_NAMES.fullmatch(given)
        or _INITIALS.search(family)
    ):
        return {"name": name}
    return {"name": f"{given} {family}", "givenName": given, "familyName": family}


def _from_object(value: dict[str, Any], report: Report, usual: str, *, inner: bool) -> dict[str, Any] | None:
    names = {key: _field(value, key, one(_name), report) for key in ("name", "givenName", "familyName")}
    names["name"] = names["name"] or " ".join(filter(None, (names["givenName"], names["familyName"]))) or None
    if not names["name"]:
        names["name"] = _field(value, "legalName", one(_name), report)
    identifiers = _field(value, "identifier", many(parse_agent_identifier), report) or []
    if "orcid" in value:
        identifiers += _field(value, "orcid", many(parse_orcid), report) or []
    identifiers = list(dict.fromkeys(identifiers))
    if not names["name"] and not identifiers and not isinstance(value.get("@id"), str):
        if any(members(part) for key, part in value.items() if key != "@type"):
            raise Unparsable("neither a name nor an identifier")
        return None
    agent = {
        "@type": _type(value, names, usual),
        **names,
        "identifier": identifiers[0] if len(identifiers) == 1 else identifiers,
    }
    if not inner:
        agent["affiliation"] = _field(value, "affiliation", _AFFILIATION, report)
    known = agent.keys() | {"orcid", "nameType"}
    return {
        **{key: part for key, part in agent.items() if part},
        **{key: part for key, part in value.items() if key not in known and members(part)},
    }


def _field(value: dict[str, Any], key: str, parse: FieldParser, report: Report) -> Any:
    return parse(value.get(key), within(report, key))


def _type(value: dict[str, Any], names: dict[str, Any], usual: str) -> Any:
    if given := value.get("@type"):
        return given
    name_type = value.get("nameType")
    if isinstance(name_type, str) and name_type in _NAME_TYPES:
        return _NAME_TYPES[name_type]
    if names["givenName"] or names["familyName"]:
        return PERSON
    return ORGANISATION if _ORGANISATION_WORDS.search(names["name"] or "") else usual


def _name(value: Any) -> str:
    if isinstance(value, str) and len(value) > MAX_NAME_LENGTH:
        raise Unparsable(f"a name longer than {MAX_NAME_LENGTH} characters")
    return parse_line(value)


_AFFILIATION = few(each(lambda member, told: _agent(member, told, ORGANISATION, inner=True)))
