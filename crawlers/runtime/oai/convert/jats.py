"""Journal articles in JATS and its forerunner from the NLM (https://jats.nlm.nih.gov/archiving/tag-library/): ``pmc``, ``pmc_fm``.

Read is the front matter, and the list of references where there is one; not the text.
"""

from typing import Any

from crawlers.runtime.oai.convert.dates import iso_date, parts_date
from crawlers.runtime.oai.convert.elements import HREF, LOCAL, child, children, descend, language_of, words, words_at
from crawlers.runtime.oai.convert.identifiers import identify, self_describing, work
from crawlers.runtime.oai.convert.jats_people import Affiliations, contributor
from crawlers.runtime.oai.convert.people import organisation
from crawlers.runtime.oai.convert.record_fields import Fields, add, describe, note, put, title
from crawlers.runtime.oai.convert.vocabulary import language, rights

_TYPES = {
    "review-article": "ScholarlyArticle",
    "book-review": "Review",
    "product-review": "Review",
    "data-paper": "ScholarlyArticle",
}
_ROLES = {"author": "author", "editor": "editor", "translator": "translator"}
# Which of several dates of publication is meant by "published": the first to appear on paper or screen, not in the archive.
_NOT_PUBLISHED = ("pmc-release", "nihms-submitted", "received", "accepted", "rev-recd", "rev-request", "pmcrelease")
_DIGITS = frozenset("0123456789")


def convert(element: Any) -> Fields:
    """The fields of a record whose metadata is an ``article``."""
    article = element if LOCAL[element.tag] == "article" else next(descend(element, "article"), element)
    fields: Fields = {"@type": "ScholarlyArticle"}
    kind = article.get("article-type") or ""
    fields["@type"] = _TYPES.get(kind, "ScholarlyArticle")
    add(fields, "additionalType", kind)
    if spoken := language_of(article):
        add(fields, "inLanguage", language(spoken))
    front = child(article, "front")
    if front is None:
        front = article
    for part in children(front, "journal-meta"):
        _journal(fields, part)
    for part in children(front, "article-meta"):
        _article(fields, part)
    for back in children(article, "back"):
        _references(fields, back)
    if pmcid := fields.get("pmcid"):
        fields["url"] = f"https://pmc.ncbi.nlm.nih.gov/articles/{pmcid}/"
    elif doi := fields.get("doi"):
        fields["url"] = f"https://doi.org/{doi}"
    return fields


def _journal(fields: Fields, meta: Any) -> None:
    made: dict[str, Any] = {"@type": "Periodical"}
    for found in list(descend(meta, "journal-title-group", "journal-title")) + children(meta, "journal-title"):
        title(made, words(found))
    for found in children(meta, "journal-id"):
        add(
            made,
            "identifier",
            self_describing(words(found), found.get("journal-id-type") or "") if words(found) else "",
        )
    for found in children(meta, "issn"):
        add(made, "issn", words(found))
    for found in descend(meta, "publisher", "publisher-name"):
        if name := words(found):
            publisher = organisation(name)
            if location := words_at(meta, "publisher", "publisher-loc"):
                publisher["address"] = location
            add(fields, "publisher", publisher)
    if len(made) > 1:
        add(fields, "isPartOf", made)


def _article(fields: Fields, meta: Any) -> None:
    affiliations = Affiliations(meta)
    dates: list[str] = []
    for part in meta:
        name = LOCAL[part.tag]
        if name == "article-id":
            _identifier(fields, part)
        elif name == "title-group":
            _titles(fields, part)
        elif name == "contrib-group":
            _contributors(fields, part, affiliations)
        elif name == "pub-date":
            _published(fields, part, dates)
        elif name == "abstract":
            describe(fields, _paragraphs(part))
        elif name == "trans-abstract":
            note(fields, f"abstract {language(language_of(part))}".strip(), _paragraphs(part))
        elif name == "kwd-group":
            _keywords(fields, part)
        elif name == "article-categories":
            for found in part.iter("{*}subject"):
                add(fields, "articleSection", words(found))
        elif name == "permissions":
            _permissions(fields, part)
        elif name in (
            "copyright-statement",
            "copyright-year",
            "license",
        ):  # directly here in the NLM's versions 1 and 2
            _permission(fields, part)
        elif name == "history":
            for found in children(part, "date"):
                note(fields, found.get("date-type") or "date", _date(found))
        elif name in ("funding-group", "contract-num", "contract-sponsor"):
            _funding(fields, part)
        elif name in ("related-article", "related-object"):
            _related(fields, part)
        elif name == "self-uri":
            add(fields, "sameAs", part.get(HREF))
        elif name == "conference":
            _conference(fields, part)
        elif name == "product":
            add(fields, "about", {"@type": "CreativeWork", "name": words(part)} if words(part) else None)
        elif name == "counts":
            _pages(fields, part)
        elif name == "supplementary-material" and part.get(HREF):
            add(fields, "associatedMedia", {"@type": "MediaObject", "url": part.get(HREF)})
        elif key := _PLAIN.get(name):
            put(fields, key, words(part))
    if dates:
        fields["datePublished"] = min(dates)
    for date in sorted(set(dates) - {fields.get("datePublished")}):
        note(fields, "published", date)


_PLAIN = {
    "volume": "volumeNumber",
    "issue": "issueNumber",
    "fpage": "pageStart",
    "lpage": "pageEnd",
    "page-range": "pagination",
    "elocation-id": "pagination",
    "edition": "bookEdition",
}


def _identifier(fields: Fields, element: Any) -> None:
    text, kind = words(element), element.get("pub-id-type") or ""
    if kind in ("pmc", "pmcid", "pmcaid", "pmc-uid", "pmcaiid"):
        if kind in ("pmc", "pmcid") and text:
            identify(fields, text if text.upper().startswith("PMC") else f"PMC{text}")
        return  # the others are numbers of PMC's own files
    identify(fields, text, kind)


def _titles(fields: Fields, group: Any) -> None:
    main = words_at(group, "article-title")
    if (subtitle := words_at(group, "subtitle")) and main:
        main = f"{main}: {subtitle}"
    title(fields, main)
    for found in group.iter("{*}trans-title", "{*}alt-title"):
        title(fields, words(found))


def _contributors(fields: Fields, group: Any, affiliations: Affiliations) -> None:
    for found in children(group, "contrib"):
        made = contributor(found, affiliations)
        kind = found.get("contrib-type") or "author"
        add(
            fields, _ROLES.get(kind, "contributor"), {**made, "roleName": kind} if made and kind not in _ROLES else made
        )
    for found in children(group, "on-behalf-of"):
        add(fields, "sponsor", organisation(words(found)) if words(found) else None)


def _date(element: Any) -> str:
    if given := iso_date(element.get("iso-8601-date") or ""):
        return given
    year, month, day = (words_at(element, name) for name in ("year", "month", "day"))
    return parts_date(year, month, day) or words_at(element, "string-date")


def _published(fields: Fields, element: Any, dates: list[str]) -> None:
    kind = element.get("pub-type") or element.get("date-type") or ""
    date = _date(element)
    if kind in _NOT_PUBLISHED or not date[:1] or date[0] not in _DIGITS:
        note(fields, kind or "pub-date", date)
    else:
        dates.append(date)


def _paragraphs(element: Any) -> str:
    """The words of an abstract, its sections and paragraphs apart."""
    parts = []
    for part in element:
        local = LOCAL[part.tag]
        text = _paragraphs(part) if local in ("sec", "list", "list-item") else words(part)
        if text and not (local == "title" and text.lower() in ("abstract", "summary")):
            parts.append(text)
    return " ".join(parts) or words(element)


def _keywords(fields: Fields, group: Any) -> None:
    scheme = group.get("kwd-group-type") or ""
    for found in group.iter("{*}kwd", "{*}compound-kwd"):
        text = words(found)
        add(fields, "keywords", text)
        if text and scheme.upper() == "MESH":
            add(fields, "about", {"@type": "DefinedTerm", "name": text, "inDefinedTermSet": "MeSH"})


def _permissions(fields: Fields, element: Any) -> None:
    for part in element:
        _permission(fields, part)


def _permission(fields: Fields, part: Any) -> None:
    name = LOCAL[part.tag]
    if name == "copyright-statement":
        add(fields, "copyrightNotice", words(part))
    elif name == "copyright-year" and words(part).isdigit():
        put(fields, "copyrightYear", int(words(part)))
    elif name == "copyright-holder":
        add(fields, "copyrightHolder", {"name": words(part)} if words(part) else None)
    elif name == "free_to_read":
        fields["isAccessibleForFree"] = True
    elif name == "license":
        references = [words(found) for found in children(part, "license_ref")]
        if not references:
            references = [
                found.get(HREF) for found in part.iter("{*}ext-link") if "licenses/" in (found.get(HREF) or "")
            ]
        text = " ".join(words(found) for found in part if LOCAL[found.tag] in ("license-p", "p"))
        rights(fields, text or words(part), part.get(HREF) or next(iter(references), ""))
        if part.get("license-type") == "open-access":
            fields["isAccessibleForFree"] = True
    elif name == "license_ref":
        rights(fields, words(part))


def _funding(fields: Fields, element: Any) -> None:
    if LOCAL[element.tag] != "funding-group":
        key = "identifier" if LOCAL[element.tag] == "contract-num" else "name"
        add(fields, "funding", {"@type": "Grant", key: words(element)} if words(element) else None)
        return
    for award in children(element, "award-group"):
        sources = []
        for source in children(award, "funding-source"):
            wrap = child(source, "institution-wrap")
            name = words_at(wrap, "institution") if wrap is not None else words(source)
            identifier = words_at(wrap, "institution-id") if wrap is not None else source.get(HREF) or ""
            sources.append(organisation(name, identifier))
        made: dict[str, Any] = {"@type": "Grant"}
        if sources:
            made["funder"] = sources[0] if len(sources) == 1 else sources
        numbers = [text for found in children(award, "award-id") if (text := words(found))]
        for number in numbers or [""]:
            add(fields, "funding", {**made, "identifier": number} if number else made if len(made) > 1 else None)
    for found in children(element, "funding-statement"):
        note(fields, "funding-statement", words(found))


def _related(fields: Fields, element: Any) -> None:
    text = element.get(HREF) or words(element)
    if text:
        kind = element.get("ext-link-type") or ""
        made = work(text, kind if kind not in ("uri", "url") else "")
        relation = element.get("related-article-type") or element.get("link-type") or element.get("document-type") or ""
        add(fields, "isRelatedTo", {**made, "relationType": relation} if relation else made)


def _conference(fields: Fields, element: Any) -> None:
    made = {
        "@type": "Event",
        "name": words_at(element, "conf-name"),
        "location": words_at(element, "conf-loc"),
        "startDate": words_at(element, "conf-date"),
    }
    if made["name"]:
        add(fields, "isRelatedTo", {key: value for key, value in made.items() if value})


def _pages(fields: Fields, element: Any) -> None:
    for found in children(element, "page-count"):
        if (found.get("count") or "").isdigit():
            put(fields, "numberOfPages", int(found.get("count")))


def _references(fields: Fields, back: Any) -> None:
    for found in back.iter("{*}element-citation", "{*}mixed-citation", "{*}nlm-citation", "{*}citation"):
        made: Fields = {"@type": "CreativeWork"}
        for number in children(found, "pub-id"):
            identify(made, words(number), number.get("pub-id-type") or "")
        put(made, "name", words_at(found, "article-title") or words_at(found, "source") or words(found))
        add(fields, "citation", made if len(made) > 1 else None)
