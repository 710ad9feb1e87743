"""DataCite metadata of kernels 2 to 4 (https://datacite-metadata-schema.readthedocs.io/), bare or in the envelope of ``oai_datacite``."""

from collections.abc import Callable
from typing import Any

from crawlers.runtime.oai.convert.dates import iso_date, iso_period
from crawlers.runtime.oai.convert.elements import LOCAL, child, children, descend, plain, words, words_at
from crawlers.runtime.oai.convert.identifiers import identify, is_url, orcid_url, ror_url, self_describing, work
from crawlers.runtime.oai.convert.people import affiliate, organisation, person
from crawlers.runtime.oai.convert.places import place
from crawlers.runtime.oai.convert.record_fields import Fields, add, describe, note, put, title
from crawlers.runtime.oai.convert.vocabulary import TYPES, language, rights, set_type

# relationType (of this record to the other) by the property that says it; the rest is isRelatedTo. The type itself stays beside it.
_RELATIONS = {
    "Cites": "citation",
    "References": "citation",
    "IsCitedBy": "citedBy",
    "IsReferencedBy": "citedBy",
    "IsPartOf": "isPartOf",
    "IsPublishedIn": "isPartOf",
    "HasPart": "hasPart",
    "IsVersionOf": "exampleOfWork",
    "HasVersion": "workExample",
    "IsDerivedFrom": "isBasedOn",
    "IsVariantFormOf": "isBasedOn",
    "IsSourceOf": "isBasisFor",
    "IsDescribedBy": "subjectOf",
    "IsDocumentedBy": "subjectOf",
    "Describes": "about",
    "Documents": "about",
    "Reviews": "about",
    "IsReviewedBy": "review",
    "IsTranslationOf": "translationOfWork",
    "HasTranslation": "workTranslation",
    "IsIdenticalTo": "sameAs",
}
_DATES = {"Issued": "datePublished", "Created": "dateCreated", "Updated": "dateModified"}
_PERIODS = ("Collected", "Coverage")
# contributorType by the property that says it; the rest are contributors. The type itself stays beside it.
_ROLES = {"Editor": "editor", "Producer": "producer", "RightsHolder": "copyrightHolder", "Sponsor": "sponsor"}


def convert(element: Any) -> Fields:
    """The fields of a record whose metadata is a ``resource``, or an ``oai_datacite`` that has one as its payload."""
    resource = element if LOCAL[element.tag] == "resource" else next(descend(element, "payload", "resource"), None)
    if resource is None:
        raise ValueError("oai_datacite without a payload that is a resource")
    fields: Fields = {}
    for part in resource:
        name = LOCAL[part.tag]
        if read := _READERS.get(name):
            read(fields, part)
        elif name:
            note(fields, name, words(part))
    set_type(fields)
    if "datePublished" not in fields and (year := fields.pop("_year", "")):
        fields["datePublished"] = year
    fields.pop("_year", None)
    if doi := fields.get("doi"):
        fields["url"] = f"https://doi.org/{doi}"
    elif urls := [text for text in fields.get("identifier", ()) if is_url(text)]:
        fields["url"] = urls[0]
    return fields


def agent_of(element: Any, name_element: str) -> dict[str, Any]:
    """The creator or contributor in ``element``; empty where it has no name."""
    named = child(element, name_element)
    name, given, family = words(named), "", ""
    identifiers: list[str] = []
    affiliations: list[dict[str, Any]] = []
    for part in element:
        local = LOCAL[part.tag]
        if local == "givenName":
            given = words(part)
        elif local == "familyName":
            family = words(part)
        elif local == "nameIdentifier":
            identifiers.append(_name_identifier(part))
        elif local == "affiliation" and (text := words(part)):
            affiliations.append(organisation(text, (part.get("affiliationIdentifier") or "").strip()))
    if not name and not given and not family:
        return {}
    kind = named.get("nameType") if named is not None else None
    is_ror = any("ror.org" in text for text in identifiers)
    if kind == "Organizational" or (is_ror and not given):
        made = organisation(name)
    elif kind == "Personal" or given or family or "," in name:
        made = person(name, given, family)
    else:
        made = {"name": name}
    identifiers = [text for text in dict.fromkeys(identifiers) if text]
    if identifiers:
        made["identifier"] = identifiers[0] if len(identifiers) == 1 else identifiers
    affiliate(made, affiliations)
    return made


def _name_identifier(element: Any) -> str:
    text, scheme = words(element), (element.get("nameIdentifierScheme") or "").strip()
    if not text:
        return ""
    if scheme.upper() == "ORCID" and (orcid := orcid_url(text)):
        return orcid
    if scheme.upper().startswith("ROR") and "/" not in text:
        text = f"https://ror.org/{text}"
    return ror_url(text) or self_describing(text, scheme)


def _identifier(fields: Fields, element: Any) -> None:
    identify(fields, words(element), element.get("identifierType") or "")


def _alternates(fields: Fields, element: Any) -> None:
    for found in element:
        identify(fields, words(found), found.get("alternateIdentifierType") or "")


def _creators(fields: Fields, element: Any) -> None:
    for found in children(element, "creator"):
        add(fields, "author", agent_of(found, "creatorName"))


def _contributors(fields: Fields, element: Any) -> None:
    for found in children(element, "contributor"):
        kind = found.get("contributorType") or ""
        made = agent_of(found, "contributorName")
        if made and kind == "Funder":  # kernel 3 had no funding references
            add(fields, "funding", {"@type": "Grant", "funder": made})
        elif made:
            name = _ROLES.get(kind, "contributor")
            add(fields, name, {**made, "roleName": kind} if name == "contributor" and kind else made)


def _titles(fields: Fields, element: Any) -> None:
    found = children(element, "title")
    for part in sorted(found, key=lambda part: bool(part.get("titleType"))):  # the main title first, wherever it stands
        title(fields, plain(part))


def _publisher(fields: Fields, element: Any) -> None:
    if text := words(element):
        add(fields, "publisher", organisation(text, (element.get("publisherIdentifier") or "").strip()))


def _year(fields: Fields, element: Any) -> None:
    fields["_year"] = words(element)


def _type(fields: Fields, element: Any) -> None:
    general, text = element.get("resourceTypeGeneral") or "", words(element)
    set_type(fields, general, text)
    if general == "Text" and fields["@type"] == "CreativeWork" and not text:
        add(fields, "additionalType", general)


def _subjects(fields: Fields, element: Any) -> None:
    for found in children(element, "subject"):
        text = words(found)
        add(fields, "keywords", text)
        scheme, uri = found.get("subjectScheme"), found.get("valueURI")
        code = found.get("classificationCode")
        if text and (scheme or uri or code):
            term = {
                "@type": "DefinedTerm",
                "name": text,
                "url": uri,
                "termCode": code,
                "inDefinedTermSet": found.get("schemeURI") or scheme,
            }
            add(fields, "about", {key: value for key, value in term.items() if value})


def _dates(fields: Fields, element: Any) -> None:
    for found in children(element, "date"):
        text, kind = words(found), found.get("dateType") or "date"
        if not text:
            continue
        if kind in _PERIODS:
            add(fields, "temporalCoverage", iso_period(text) or text)
        elif kind in _DATES:
            put(fields, _DATES[kind], iso_date(text) or iso_period(text) or text)
        elif kind == "Copyrighted" and iso_date(text):
            put(fields, "copyrightYear", int(iso_date(text)[:4]))
        else:
            note(fields, " ".join(filter(None, (kind, found.get("dateInformation")))), iso_period(text) or text)


def _related(fields: Fields, element: Any) -> None:
    for found in children(element, "relatedIdentifier"):
        if text := words(found):
            made = work(
                text, found.get("relatedIdentifierType") or "", type_=_type_of(found.get("resourceTypeGeneral"))
            )
            _relate(fields, made, found.get("relationType") or "")


def _related_items(fields: Fields, element: Any) -> None:
    for found in children(element, "relatedItem"):
        number = child(found, "relatedItemIdentifier")
        kind = number.get("relatedItemIdentifierType") or "" if number is not None else ""
        made = work(words(number), kind) if words(number) else {}
        made["@type"] = _type_of(found.get("relatedItemType"))
        for part in children(found, "titles"):
            _titles(made, part)
        for part in children(found, "creators"):
            _creators(made, part)
        for part in children(found, "contributors"):
            _contributors(made, part)
        for name, key in _ITEM_PARTS.items():
            put(made, key, words_at(found, name))
        _relate(fields, made, found.get("relationType") or "")


_ITEM_PARTS = {
    "publicationYear": "datePublished",
    "volume": "volumeNumber",
    "issue": "issueNumber",
    "number": "position",
    "firstPage": "pageStart",
    "lastPage": "pageEnd",
    "publisher": "publisher",
    "edition": "bookEdition",
}


def _relate(fields: Fields, made: dict[str, Any], relation: str) -> None:
    name = _RELATIONS.get(relation, "isRelatedTo")
    if name == "sameAs":
        add(fields, name, made.get("url") or made.get("identifier") or made.get("name"))
        return
    if relation:
        made["relationType"] = relation
    add(fields, name, made)


def _type_of(general: str | None) -> str:
    return TYPES.get((general or "").lower(), "CreativeWork")


def _rights(fields: Fields, element: Any) -> None:
    for found in children(element, "rights") or [element]:
        uri = (found.get("rightsURI") or "").strip()
        rights(fields, plain(found), uri)
        if not uri and (code := found.get("rightsIdentifier")):
            add(fields, "license", code)


def _descriptions(fields: Fields, element: Any) -> None:
    found = children(element, "description")
    for part in sorted(found, key=lambda part: part.get("descriptionType") != "Abstract"):  # the abstract first
        kind = part.get("descriptionType")
        if kind == "SeriesInformation":
            add(fields, "isPartOf", {"@type": "CreativeWork", "name": plain(part)} if plain(part) else None)
        else:
            describe(fields, plain(part))


def _funding(fields: Fields, element: Any) -> None:
    for found in children(element, "fundingReference"):
        made: dict[str, Any] = {"@type": "Grant"}
        number = child(found, "awardNumber")
        put(made, "name", words_at(found, "awardTitle"))
        put(made, "identifier", words(number))
        put(made, "url", number.get("awardURI") if number is not None else None)
        if name := words_at(found, "funderName"):
            made["funder"] = organisation(name, words_at(found, "funderIdentifier"))
        add(fields, "funding", made if len(made) > 1 else None)


def _each(name: str) -> Callable[[Fields, Any], None]:
    def read(fields: Fields, element: Any) -> None:
        for found in element:
            add(fields, name, words(found))

    return read


def _places(fields: Fields, element: Any) -> None:
    for found in children(element, "geoLocation"):
        for made in place(found):
            add(fields, "spatialCoverage", made)


_READERS: dict[str, Callable[[Fields, Any], None]] = {
    "identifier": _identifier,
    "alternateIdentifiers": _alternates,
    "creators": _creators,
    "contributors": _contributors,
    "titles": _titles,
    "publisher": _publisher,
    "publicationYear": _year,
    "resourceType": _type,
    "subjects": _subjects,
    "dates": _dates,
    "language": lambda fields, element: add(fields, "inLanguage", language(words(element))),
    "relatedIdentifiers": _related,
    "relatedItems": _related_items,
    "sizes": _each("size"),
    "formats": _each("encodingFormat"),
    "version": lambda fields, element: put(fields, "version", words(element)),
    "rightsList": _rights,
    "rights": _rights,
    "descriptions": _descriptions,
    "fundingReferences": _funding,
    "geoLocations": _places,
}
