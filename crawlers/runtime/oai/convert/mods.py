"""MODS, the Library of Congress' description of library holdings (https://www.loc.gov/standards/mods/)."""

import re
from collections.abc import Callable
from typing import Any

from crawlers.runtime.oai.convert.dates import iso_date, iso_period
from crawlers.runtime.oai.convert.elements import HREF, LOCAL, children, descend, plain, words, words_at
from crawlers.runtime.oai.convert.identifiers import identify, is_url, landing_page, self_describing
from crawlers.runtime.oai.convert.people import affiliate, organisation, person
from crawlers.runtime.oai.convert.record_fields import Fields, add, describe, note, put, title
from crawlers.runtime.oai.convert.vocabulary import language, rights, set_type

_DATES = {
    "dateIssued": "datePublished",
    "dateCreated": "dateCreated",
    "dateModified": "dateModified",
    "copyrightDate": "copyrightYear",
}
_ROLES = {
    "author": "author", "aut": "author", "creator": "author", "cre": "author",
    "editor": "editor", "edt": "editor", "translator": "translator", "trl": "translator",
    "publisher": "publisher", "pbl": "publisher", "funder": "funder", "fnd": "funder",
    "sponsor": "sponsor", "spn": "sponsor",
}  # fmt: skip
_LIFE = re.compile(r"(\d{4})\s*-\s*(\d{4})?")
_RELATIONS = {
    "host": "isPartOf",
    "series": "isPartOf",
    "constituent": "hasPart",
    "original": "isBasedOn",
    "references": "citation",
    "isReferencedBy": "citedBy",
    "reviewOf": "about",
    "otherVersion": "workExample",
    "otherFormat": "workExample",
}


def convert(element: Any) -> Fields:
    """The fields of a record whose metadata is a ``mods`` element (the first one, in a ``modsCollection``)."""
    mods = element if LOCAL[element.tag] != "modsCollection" else next(iter(children(element, "mods")), element)
    fields = _read(mods)
    set_type(fields, *fields.pop("_types", ()))
    urls = fields.pop("_urls", [])
    if url := landing_page(
        urls + [text for text in fields.get("identifier", ()) if is_url(text)], fields.get("doi", "")
    ):
        fields["url"] = url
    for further in urls:
        if further != fields.get("url"):
            add(fields, "sameAs", further)
    return fields


def _read(mods: Any) -> Fields:
    fields: Fields = {}
    for part in mods:
        name = LOCAL[part.tag]
        if read := _READERS.get(name):
            read(fields, part)
        elif name:
            note(fields, name, words(part))
    return fields


def _title(fields: Fields, element: Any) -> None:
    text = words_at(element, "title")
    if start := words_at(element, "nonSort"):
        text = f"{start} {text}" if not start.endswith(("'", "’")) else start + text
    for name, before in (("subTitle", ": "), ("partNumber", ". "), ("partName", ". ")):
        if more := words_at(element, name):
            text = f"{text}{before}{more}"
    if not element.get("type"):
        title(fields, text)
    elif text:
        add(fields, "alternateName", text)


def _name(fields: Fields, element: Any) -> None:
    parts = {"": "", "given": "", "family": "", "termsOfAddress": "", "date": ""}
    for found in children(element, "namePart"):
        kind = found.get("type") or ""
        parts[kind] = " ".join(filter(None, (parts.get(kind, ""), words(found))))
    name = words_at(element, "displayForm") or parts[""]
    if not name and not parts["given"] and not parts["family"]:
        return
    kind = element.get("type") or ""
    if kind == "corporate":
        made = organisation(name)
    elif kind == "conference":
        made = {"@type": "Event", "name": name}
    elif kind == "personal" or parts["given"] or parts["family"]:
        made = person(name, parts["given"], parts["family"])
    else:
        made = {"name": name}
    if found := _LIFE.fullmatch(parts["date"]):
        made |= {key: year for key, year in zip(("birthDate", "deathDate"), found.groups(), strict=True) if year}
    if parts["termsOfAddress"]:
        made["honorificPrefix"] = parts["termsOfAddress"]
    identifiers = [
        self_describing(words(found), found.get("type") or "")
        for found in children(element, "nameIdentifier")
        if words(found)
    ]
    identifiers += filter(None, [element.get("valueURI")])
    if identifiers:
        made["identifier"] = identifiers[0]
    affiliate(made, [organisation(text) for found in children(element, "affiliation") if (text := words(found))])
    roles = [words(found) for found in descend(element, "role", "roleTerm") if words(found)]
    key = next((_ROLES[role.lower().rstrip(".")] for role in roles if role.lower().rstrip(".") in _ROLES), "")
    if key or not roles:
        add(fields, key or "author", made)
    else:
        add(fields, "contributor", {**made, "roleName": roles[-1] if len(roles[0]) == 3 else roles[0]})


def _origin(fields: Fields, element: Any) -> None:
    where = [
        words(found) for found in descend(element, "place", "placeTerm") if found.get("type") != "code" and words(found)
    ]
    for found in element:
        name, text = LOCAL[found.tag], words(found)
        if not text:
            continue
        if name == "publisher":
            made = organisation(text)
            if where:
                made["address"] = where[0]
            add(fields, "publisher", made)
        elif name in _DATES:
            _date(fields, _DATES[name], found, text)
        elif name == "edition":
            put(fields, "bookEdition", text)
        elif name == "place":
            add(fields, "locationCreated", {"@type": "Place", "name": where[0]} if where else None)
        else:
            note(fields, name, text)


def _date(fields: Fields, key: str, element: Any, text: str) -> None:
    date = iso_date(text) or iso_period(text) or text
    if key == "copyrightYear":
        if date[:4].isdigit():
            put(fields, key, int(date[:4]))
    elif element.get("point") == "end" and fields.get(key):
        fields[key] = f"{fields[key]}/{date}"
    else:
        put(fields, key, date)


def _physical(fields: Fields, element: Any) -> None:
    for found in element:
        name, text = LOCAL[found.tag], words(found)
        key = {"internetMediaType": "encodingFormat", "extent": "size", "form": "material"}.get(name)
        if key:
            add(fields, key, text)
        elif name:
            note(fields, name, text)


def _subject(fields: Fields, element: Any) -> None:
    terms = []
    for found in element:
        name, text = LOCAL[found.tag], words(found)
        if not text:
            continue
        if name in ("geographic", "geographicCode"):
            add(fields, "spatialCoverage", {"@type": "Place", "name": text})
        elif name == "hierarchicalGeographic":
            parts = [words(part) for part in found if words(part)]
            add(fields, "spatialCoverage", {"@type": "Place", "name": ", ".join(reversed(parts))})
        elif name == "cartographics":
            add(fields, "spatialCoverage", {"@type": "Place", "description": text})
        elif name == "temporal":
            add(fields, "temporalCoverage", iso_period(text) or text)
        elif name == "name":
            add(fields, "mentions", {"name": " ".join(words(part) for part in children(found, "namePart")) or text})
        else:
            terms.append(text)
    if terms:
        add(fields, "keywords", " -- ".join(terms))
        authority, uri = element.get("authority"), element.get("valueURI")
        if authority or uri:
            term = {"@type": "DefinedTerm", "name": " -- ".join(terms), "url": uri, "inDefinedTermSet": authority}
            add(fields, "about", {key: value for key, value in term.items() if value})


def _related(fields: Fields, element: Any) -> None:
    made = _read(element)
    types, urls = made.pop("_types", ()), made.pop("_urls", [])
    set_type(made, *types)
    if link := element.get(HREF) or next(iter(urls), ""):
        made["url"] = link
    kind = element.get("type") or ""
    if len(made) > 1:
        if kind not in _RELATIONS and (kind or element.get("displayLabel")):
            made["relationType"] = kind or element.get("displayLabel")
        add(fields, _RELATIONS.get(kind, "isRelatedTo"), made)


def _location(fields: Fields, element: Any) -> None:
    for found in element:
        name, text = LOCAL[found.tag], words(found)
        if name == "url" and text:
            urls = fields.setdefault("_urls", [])
            primary = found.get("usage") or found.get("access") == "object in context"
            urls.insert(0, text) if primary else urls.append(text)
        elif name:
            note(fields, name, text)


def _access(fields: Fields, element: Any) -> None:
    rights(fields, plain(element), element.get(HREF) or "")


def _part(fields: Fields, element: Any) -> None:
    for detail in children(element, "detail"):
        key = {"volume": "volumeNumber", "issue": "issueNumber"}.get(detail.get("type") or "", "position")
        put(fields, key, words_at(detail, "number") or words(detail))
    for extent in children(element, "extent"):
        put(fields, "pageStart", words_at(extent, "start"))
        put(fields, "pageEnd", words_at(extent, "end"))
        put(fields, "pagination", words_at(extent, "list"))
    for date in children(element, "date"):
        note(fields, "part date", words(date))


def _note(fields: Fields, element: Any) -> None:
    kind = element.get("type") or element.get("displayLabel")
    note(fields, f"note: {kind}" if kind else "note", plain(element))


def _language(fields: Fields, element: Any) -> None:
    terms = children(element, "languageTerm")
    coded = [found for found in terms if found.get("type") == "code"]
    for found in coded or terms or [element]:
        add(fields, "inLanguage", language(words(found)) if words(found) else "")


def _record(fields: Fields, element: Any) -> None:
    for found in element:
        name, text = LOCAL[found.tag], words(found)
        if name == "recordContentSource":
            add(fields, "sdPublisher", organisation(text) if text else None)
        elif name == "recordIdentifier" and text:
            identify(fields, text, found.get("source") or "")
        elif name:
            note(fields, name, text)


def _type(fields: Fields, element: Any) -> None:
    fields.setdefault("_types", []).append(words(element))


_READERS: dict[str, Callable[[Fields, Any], None]] = {
    "titleInfo": _title,
    "name": _name,
    "typeOfResource": _type,
    "genre": _type,
    "originInfo": _origin,
    "language": _language,
    "physicalDescription": _physical,
    "abstract": lambda fields, element: describe(fields, plain(element)),
    "tableOfContents": lambda fields, element: describe(fields, plain(element)),
    "targetAudience": lambda fields, element: add(
        fields, "audience", {"@type": "Audience", "audienceType": words(element)}
    ),
    "note": _note,
    "subject": _subject,
    "relatedItem": _related,
    "identifier": lambda fields, element: identify(fields, words(element), element.get("type") or ""),
    "location": _location,
    "accessCondition": _access,
    "part": _part,
    "recordInfo": _record,
}
