"""People and organisations."""

import re
from typing import Any

from crawlers.runtime.oai.convert.identifiers import is_url, orcid_url, ror_url, self_describing

_ORCID_AFTER = re.compile(
    r"[\s,;(\[]*(?:orcid:?\s*)?(?:https?://orcid\.org/)?\d{4}-\d{4}-\d{4}-\d{3}[\dX][)\]]?\s*", re.IGNORECASE
)
_SUFFIX = re.compile(r",\s*(?:Jr\.?|Sr\.?|I{1,3}|IV)$")
_DIGIT = re.compile(r"\d")
# "Smith, John" is a person, "Department of Energy, Office of Science" isn't, though a comma is in both.
_ORGANISATION = frozenset(
    [
        "university",
        "universität",
        "université",
        "universidad",
        "universidade",
        "università",
        "universitat",
        "universiteit",
        "universitet",
        "üniversitesi",
        "institute",
        "institut",
        "instituto",
        "istituto",
        "department",
        "dept",
        "dept.",
        "college",
        "school",
        "library",
        "libraries",
        "bibliothek",
        "museum",
        "center",
        "centre",
        "centro",
        "laboratory",
        "laboratories",
        "society",
        "association",
        "agency",
        "ministry",
        "office",
        "council",
        "committee",
        "commission",
        "foundation",
        "corporation",
        "company",
        "press",
        "publisher",
        "publishing",
        "inc",
        "inc.",
        "ltd",
        "ltd.",
        "gmbh",
        "consortium",
        "project",
        "group",
        "team",
        "collaboration",
        "hospital",
        "faculty",
        "bureau",
        "survey",
        "service",
        "services",
    ]
)


def person(name: str, given: str = "", family: str = "") -> dict[str, Any]:
    """A person. ``name`` stays as it was written, also ``Family, Given``; without it, the parts make it."""
    if not given and not family and "," in name:
        family, given = _parts(name)
    made: dict[str, Any] = {"@type": "Person", "name": name or f"{given} {family}".strip()}
    if given:
        made["givenName"] = given
    if family:
        made["familyName"] = family
    return made


def _parts(name: str) -> tuple[str, str]:
    """Family and given name of ``Family, Given``; empty where it isn't written so."""
    family, _, given = name.partition(",")
    if "," in given:
        family, _, given = _SUFFIX.sub("", name).partition(",")
    family, given = family.strip(), given.strip()
    is_name = family and given and "," not in given and len(name) <= 120 and not _DIGIT.search(given)
    return (family, given) if is_name else ("", "")


def organisation(name: str, identifier: str = "") -> dict[str, Any]:
    """An organisation, with its ROR id or another identifier where there is one."""
    made = {"@type": "Organization", "name": name} if name else {"@type": "Organization"}
    if identifier:
        made["identifier"] = ror_url(identifier) or self_describing(identifier, "")
    return made


def agent(text: str) -> dict[str, Any]:
    """Whoever ``text`` names: a person where it is written as one, an organisation where a word says so, else only a name."""
    if not text:
        return {}
    if "000" in text and (orcid := orcid_url(text)):
        name = _ORCID_AFTER.sub(" ", text).strip(" ,;")
        return {**person(name or orcid), "identifier": orcid}
    if not _ORGANISATION.isdisjoint(text.lower().replace(",", " ").split()):
        return organisation(text)
    if "," in text:
        family, given = _parts(text)
        return {"@type": "Person", "name": text, "givenName": given, "familyName": family} if family else {"name": text}
    return {"url": text} if is_url(text) else {"name": text}


def affiliate(made: dict[str, Any], affiliations: list[dict[str, Any]]) -> None:
    """Give a person or organisation its affiliations, one as an object, several as a list."""
    if affiliations:
        made["affiliation"] = affiliations[0] if len(affiliations) == 1 else affiliations
