"""Contributors of JATS articles, and the affiliations that they refer to."""

from typing import Any

from crawlers.runtime.oai.convert.elements import LOCAL, children, words, words_at
from crawlers.runtime.oai.convert.identifiers import orcid_url
from crawlers.runtime.oai.convert.people import affiliate, organisation, person

_MARKS = ("label", "sup", "email")


class Affiliations:
    """The ``aff`` elements of an article. ``common``: those that no contributor refers to, so that they are everybody's."""

    def __init__(self, meta: Any) -> None:
        all_of_them = [(found.get("id"), found) for found in meta.iter("{*}aff")]
        self._by_id = {identifier: _organisation(found) for identifier, found in all_of_them if identifier}
        referred = {one for xref in meta.iter("{*}xref") for one in (xref.get("rid") or "").split()}
        self.common = [
            made
            for identifier, found in all_of_them
            if identifier not in referred
            and LOCAL[found.getparent().tag] != "contrib"
            and (made := _organisation(found))
        ]

    def of(self, contrib: Any) -> list[dict[str, Any]]:
        """Those of a contributor: in it, or referred to; where there is neither, the common ones."""
        own = [_organisation(found) for found in children(contrib, "aff")]
        referred = [one for found in children(contrib, "xref") for one in (found.get("rid") or "").split()]
        own += [self._by_id[one] for one in referred if one in self._by_id]
        unique: list[dict[str, Any]] = []
        for found in own or self.common:
            if found and found not in unique:
                unique.append(found)
        return unique


def contributor(element: Any, affiliations: Affiliations) -> dict[str, Any]:
    """The person or organisation in a ``contrib``; empty where it has no name. E-mail addresses are left out: nobody needs them
    to find data.
    """
    made = _who(element, affiliations)
    if not made:
        return {}
    for found in children(element, "contrib-id"):
        if identifier := orcid_url(words(found)) or words(found):
            made.setdefault("identifier", identifier)
    if "identifier" not in made:  # before there was contrib-id
        links = (orcid_url(words(found)) for found in children(element, "uri") + children(element, "ext-link"))
        if orcid := next(filter(None, links), ""):
            made["identifier"] = orcid
    if role := words_at(element, "role"):
        made["jobTitle"] = role
    affiliate(made, affiliations.of(element))
    return made


def _who(element: Any, affiliations: Affiliations) -> dict[str, Any]:
    places = [element, *children(element, "name-alternatives")]
    for part in (part for place in places for part in place):
        local = LOCAL[part.tag]
        if local in ("name", "string-name"):
            return _named(part)
        if local in ("collab", "collab-name"):
            institution = next(part.iter("{*}institution"), None)
            made = organisation(words(institution) or _own_words(part))
            members = [contributor(found, affiliations) for found in part.iter("{*}contrib")]
            if members := [member for member in members if member]:
                made["member"] = members
            return made
        if local == "anonymous":
            return {"name": "Anonymous"}
    return {}


def _named(element: Any) -> dict[str, Any]:
    given, family = words_at(element, "given-names"), words_at(element, "surname")
    if not given and not family:
        return person(words(element))
    parts = (words_at(element, "prefix"), given, family, words_at(element, "suffix"))
    made = person(" ".join(filter(None, parts)), given, family)
    for key, part in (("honorificPrefix", parts[0]), ("honorificSuffix", parts[3])):
        if part:
            made[key] = part
    return made


def _organisation(element: Any) -> dict[str, Any]:
    identifiers = [words(found) for found in element.iter("{*}institution-id")]
    ror = next((text for text in identifiers if "ror.org" in text), next(iter(identifiers), ""))
    name = _without_marks(element)
    return organisation(name, ror) if name else {}


def _without_marks(element: Any) -> str:
    """The words of an ``aff`` without its label, identifiers and e-mail addresses."""
    pieces = [element.text or ""]
    for part in element:
        local = LOCAL[part.tag]
        if local == "institution-wrap":
            pieces += [words(found) for found in children(part, "institution")]
        elif local and local not in _MARKS and local != "institution-id":
            pieces.append(words(part))
        pieces.append(part.tail or "")
    return " ".join(" ".join(pieces).split()).strip(" ,;").replace(" ,", ",")


def _own_words(element: Any) -> str:
    """The words of a ``collab`` without those of its members."""
    pieces = [element.text or ""]
    for part in element:
        if LOCAL[part.tag] != "contrib-group":
            pieces.append(words(part))
        pieces.append(part.tail or "")
    return " ".join(" ".join(pieces).split())
