"""Identifiers, links and relations, and what each of them is."""

import re
from collections.abc import Sequence
from typing import Any

from crawlers.runtime.oai.convert.record_fields import Fields, add

_DOI = re.compile(r"(?:https?://(?:dx\.|www\.)?doi\.org/|info:doi/|doi:\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ORCID = re.compile(r"\b(\d{4}-\d{4}-\d{4}-\d{3}[\dX])\b", re.IGNORECASE)
_ROR = re.compile(r"(?:https?://)?ror\.org/(0[a-z0-9]{6}\d\d)", re.IGNORECASE)
_PUBMED = re.compile(
    r"(?:https?://(?:www\.ncbi\.nlm\.nih\.gov/pubmed|pubmed\.ncbi\.nlm\.nih\.gov)/|pmid:\s*)(\d+)/?", re.IGNORECASE
)
_PMC = re.compile(
    r"(?:https?://(?:www\.ncbi\.nlm\.nih\.gov/pmc|pmc\.ncbi\.nlm\.nih\.gov)/articles/|pmcid:\s*)?(PMC\d+)/?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:urn:)?(issn|isbn)[:\s]\s*([0-9Xx-]{8,17})", re.IGNORECASE)
# What is downloaded, as against the page that describes it: DSpace, Digital Commons, and plain files.
_FILE_ENDS = (".pdf", ".zip", ".doc", ".docx", ".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".mp3", ".mp4")
_SCHEMES = ("http://", "https://", "ftp://")


def doi_in(text: str) -> str:
    """The DOI that ``text`` is, in whatever form it is written; empty where it is none."""
    found = _DOI.fullmatch(text) if "10." in text else None
    return found[1] if found else ""


def orcid_url(text: str) -> str:
    """The ORCID iD somewhere in ``text``, as the URL that ORCID wants it written; empty where there is none."""
    found = _ORCID.search(text) if "000" in text else None  # all that were given out begin with 0000 or 0009-000
    return f"https://orcid.org/{found[1].upper()}" if found else ""


def ror_url(text: str) -> str:
    """The ROR id that ``text`` is, as a URL; empty where it is none."""
    found = _ROR.match(text) if "ror.org" in text else None
    return f"https://ror.org/{found[1].lower()}" if found else ""


def is_url(text: str) -> bool:
    """Whether all of ``text`` is a URL that a browser can follow."""
    if text[:1] not in "hHfF" or not text.lower().startswith(_SCHEMES):
        return False
    return " " not in text and "<" not in text and '"' not in text


def is_file(url: str) -> bool:
    """Whether ``url`` looks like something to download rather than a page about it."""
    is_download = "/bitstream/" in url or "viewcontent.cgi" in url or "/download/" in url
    return is_download or url[-5:].lower().endswith(_FILE_ENDS)


def identify(fields: Fields, text: str, kind: str = "") -> None:
    """Add an identifier: each in a form that tells what it is, ``doi``, ``pmid``, ``pmcid``, ``issn`` and ``isbn`` by themselves too.

    :param kind: what the metadata say that it is, e.g. ``DOI`` or ``Local accession number``; empty: they don't.
    """
    text = text.strip()
    if not text:
        return
    kind_word = kind.lower()
    if doi := doi_in(text):
        fields.setdefault("doi", doi)
        add(fields, "identifier", f"https://doi.org/{doi}")
    elif found := _pubmed(text if kind_word != "pmid" else f"pmid:{text}"):
        fields.setdefault("pmid", found)
        add(fields, "identifier", f"pmid:{found}")
    elif found := _pmc(text):
        fields.setdefault("pmcid", found)
        add(fields, "identifier", found)
    elif number := _number(text if kind_word not in ("issn", "isbn") else f"{kind}:{text}"):
        add(fields, number[0], number[1])
        add(fields, "identifier", ":".join(number))
    else:
        add(fields, "identifier", self_describing(text, kind))


def _pubmed(text: str) -> str:
    found = _PUBMED.fullmatch(text) if "pubmed" in text or text[:4].lower() == "pmid" else None
    return found[1] if found else ""


def _pmc(text: str) -> str:
    found = _PMC.fullmatch(text) if "PMC" in text or "pmc" in text else None
    return found[1].upper() if found else ""


def _number(text: str) -> tuple[str, str] | None:
    found = _NUMBER.fullmatch(text) if text[:2].lower() in ("is", "ur") else None
    return (found[1].lower(), found[2]) if found else None


def self_describing(text: str, kind: str) -> str:
    """``text`` with its kind before it, where it doesn't tell that itself."""
    if doi := doi_in(text):
        return f"https://doi.org/{doi}"
    if not kind or ":" in text.split("/")[0] or text.lower().startswith(kind.lower()):
        return text
    if kind.lower() == "handle":
        return f"https://hdl.handle.net/{text}"
    return text if kind.lower() in ("url", "uri", "other") else f"{kind}:{text}"


def work(text: str, kind: str = "", *, type_: str = "CreativeWork") -> dict[str, Any]:
    """Another work, by what names it: an identifier, a URL, or words."""
    made: dict[str, Any] = {"@type": type_}
    described = self_describing(text, kind)
    if is_url(described):
        made["url"] = described
        if described.startswith("https://doi.org/"):
            made["identifier"] = described
    elif kind:
        made["identifier"] = described
    else:
        made["name"] = described
    return made


def landing_page(urls: Sequence[str], doi: str) -> str:
    """The page about the record: the first URL that is no file, else the DOI's, else the first URL; empty where there is none."""
    for page in urls:
        if not is_file(page):
            doi_of_page = doi_in(page) if "doi.org" in page else ""
            return f"https://doi.org/{doi_of_page}" if doi_of_page else page
    return f"https://doi.org/{doi}" if doi else next(iter(urls), "")
