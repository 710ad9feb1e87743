"""Identifiers of works, people and organisations, each in one form whatever way a site writes it."""

import re
from typing import Any

import idutils

from crawlers.runtime.schema.texts import parse_line
from crawlers.runtime.schema.unparsable import Unparsable, kind_of

ORCID = "https://orcid.org/"
ROR = "https://ror.org/"
# Longer than any that is registered, and short enough for every pattern.
MAX_LENGTH = 2000
_DOI_BEFORE = re.compile(r"(?:https?://(?:dx\.|www\.)?doi\.org/|(?:info:)?doi[:/]?)\s*", re.IGNORECASE)
_DOI = re.compile(r"10\.\d{4,9}(?:\.\d{1,9}){0,5}/[^\s<>\x00-\x1f]+")
_PMID = re.compile(
    r"(?:pmid:?|https?://(?:www\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed)/)?\s*0*([1-9]\d{0,8})/?",
    re.ASCII | re.IGNORECASE,
)
_ORCID = re.compile(
    r"(?:orcid:?\s*|(?:https?://)?(?:www\.)?orcid\.org/)?((?:\d{4}[- ]?){3}\d{3}[\dX])/?", re.ASCII | re.IGNORECASE
)
_ROR = re.compile(
    r"(?:ror:?\s*|(?:https?://)?(?:www\.)?ror\.org/)?(0[a-hj-km-np-tv-z0-9]{6}\d\d)/?", re.ASCII | re.IGNORECASE
)
# https://www.crockford.com/base32.html
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


def parse_doi(value: Any) -> str:
    """A DOI without what stands before it, in small letters: DOIs are the same whatever the case
    (https://www.doi.org/doi-handbook/HTML/case-sensitivity.html)."""
    text = _short(value, "a DOI")
    text = text[found.end() :] if (found := _DOI_BEFORE.match(text)) else text
    if not _DOI.fullmatch(text):
        raise Unparsable("not a DOI")
    return text.lower()


def parse_pmid(value: Any) -> str:
    """The number of a work in PubMed, as text."""
    text = (
        str(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9
        else _short(value, "a PubMed number")
    )
    if not (found := _PMID.fullmatch(text)):
        raise Unparsable("not a PubMed number")
    return found[1]


def parse_orcid(value: Any) -> str:
    """A person's ORCID as URL, its checksum right (https://support.orcid.org/hc/en-us/articles/360006897674)."""
    if not (found := _ORCID.fullmatch(_short(value, "an ORCID"))):
        raise Unparsable("not an ORCID")
    digits = re.sub(r"[- ]", "", found[1]).upper()
    if not idutils.is_orcid(digits):
        raise Unparsable("not an ORCID: the checksum is wrong")
    return ORCID + "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def parse_ror(value: Any) -> str:
    """An organisation's ROR as URL, its checksum right (https://ror.readme.io/docs/identifier)."""
    if not (found := _ROR.fullmatch(_short(value, "a ROR"))):
        raise Unparsable("not a ROR")
    text = found[1].lower()
    number = 0
    for letter in text[:7]:
        number = number * 32 + _BASE32.index(letter)
    if 98 - number * 100 % 97 != int(text[7:]):  # ISO 7064, MOD 97-10
        raise Unparsable("not a ROR: the checksum is wrong")
    return ROR + text


def parse_agent_identifier(value: Any) -> str:
    """What identifies a person or an organisation: ORCID and ROR in their one form, others as they are."""
    if isinstance(value, dict):  # a schema.org PropertyValue
        value = value.get("value") or value.get("@id") or value.get("url")
    text = _short(value, "an identifier")
    if "orcid" in text.lower() or re.fullmatch(r"(\d{4}-){3}\d{3}[\dXx]", text):
        return parse_orcid(text)
    return parse_ror(text) if "ror.org" in text.lower() else text


def parse_identifier(value: Any) -> str:
    """An identifier of any kind: its text, or the ``value`` of a schema.org PropertyValue."""
    if isinstance(value, dict):
        value = value.get("value") or value.get("@id") or value.get("url") or value.get("identifier")
    return _short(value, "an identifier")


def _short(value: Any, expected: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unparsable(f"is {kind_of(value)}, expected is {expected}")
    if isinstance(value, str) and len(value) > MAX_LENGTH:
        raise Unparsable(f"longer than {MAX_LENGTH} characters, expected is {expected}")
    text = parse_line(value)
    if not text:
        raise Unparsable(f"empty, expected is {expected}")
    return text
