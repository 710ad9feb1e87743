"""What repositories call types, languages and rights, in the words of schema.org and BCP 47."""

from functools import lru_cache
from typing import Any

from crawlers.runtime.oai.convert.identifiers import is_url
from crawlers.runtime.oai.convert.record_fields import Fields, add

# DCMI types, DataCite's general types, info:eu-repo semantics and what people write; compared in lower case without blanks.
TYPES = {
    "article": "ScholarlyArticle",
    "audiovisual": "MediaObject",
    "bachelorthesis": "Thesis",
    "book": "Book",
    "bookchapter": "Chapter",
    "booksection": "Chapter",
    "bookpart": "Chapter",
    "booksreview": "Review",
    "collection": "Collection",
    "computationalnotebook": "SoftwareSourceCode",
    "conferenceobject": "ScholarlyArticle",
    "conferencepaper": "ScholarlyArticle",
    "dataset": "Dataset",
    "datapaper": "ScholarlyArticle",
    "dissertation": "Thesis",
    "doctoralthesis": "Thesis",
    "event": "Event",
    "film": "MediaObject",
    "image": "ImageObject",
    "journal": "Periodical",
    "journalarticle": "ScholarlyArticle",
    "manuscript": "Manuscript",
    "map": "Map",
    "masterthesis": "Thesis",
    "model": "CreativeWork",
    "movingimage": "VideoObject",
    "music": "MusicComposition",
    "newspaperarticle": "NewsArticle",
    "patent": "CreativeWork",
    "peerreview": "Review",
    "photograph": "Photograph",
    "poster": "Poster",
    "conferenceposter": "Poster",
    "preprint": "ScholarlyArticle",
    "presentation": "PresentationDigitalDocument",
    "report": "Report",
    "review": "Review",
    "service": "Service",
    "software": "SoftwareSourceCode",
    "sound": "AudioObject",
    "stillimage": "ImageObject",
    "technicalreport": "Report",
    "thesis": "Thesis",
    "video": "VideoObject",
    "workingpaper": "Report",
}
# ISO 639: code of three letters (bibliographic and terminological) to that of two, where there is one.
_LANGUAGES = dict(
    pair.split(":")
    for pair in [
        "aar:aa",
        "abk:ab",
        "afr:af",
        "aka:ak",
        "alb:sq",
        "sqi:sq",
        "amh:am",
        "ara:ar",
        "arg:an",
        "arm:hy",
        "hye:hy",
        "asm:as",
        "ava:av",
        "aym:ay",
        "aze:az",
        "bak:ba",
        "bam:bm",
        "baq:eu",
        "eus:eu",
        "bel:be",
        "ben:bn",
        "bos:bs",
        "bre:br",
        "bul:bg",
        "bur:my",
        "mya:my",
        "cat:ca",
        "cha:ch",
        "che:ce",
        "chi:zh",
        "zho:zh",
        "chv:cv",
        "cor:kw",
        "cos:co",
        "cre:cr",
        "cze:cs",
        "ces:cs",
        "dan:da",
        "div:dv",
        "dut:nl",
        "nld:nl",
        "dzo:dz",
        "eng:en",
        "epo:eo",
        "est:et",
        "ewe:ee",
        "fao:fo",
        "fij:fj",
        "fin:fi",
        "fre:fr",
        "fra:fr",
        "fry:fy",
        "ful:ff",
        "geo:ka",
        "kat:ka",
        "ger:de",
        "deu:de",
        "gla:gd",
        "gle:ga",
        "glg:gl",
        "glv:gv",
        "gre:el",
        "ell:el",
        "grn:gn",
        "guj:gu",
        "hat:ht",
        "hau:ha",
        "heb:he",
        "her:hz",
        "hin:hi",
        "hmo:ho",
        "hrv:hr",
        "hun:hu",
        "ibo:ig",
        "ice:is",
        "isl:is",
        "ido:io",
        "iii:ii",
        "iku:iu",
        "ile:ie",
        "ina:ia",
        "ind:id",
        "ipk:ik",
        "ita:it",
        "jav:jv",
        "jpn:ja",
        "kal:kl",
        "kan:kn",
        "kas:ks",
        "kau:kr",
        "kaz:kk",
        "khm:km",
        "kik:ki",
        "kin:rw",
        "kir:ky",
        "kom:kv",
        "kon:kg",
        "kor:ko",
        "kua:kj",
        "kur:ku",
        "lao:lo",
        "lat:la",
        "lav:lv",
        "lim:li",
        "lin:ln",
        "lit:lt",
        "ltz:lb",
        "lub:lu",
        "lug:lg",
        "mac:mk",
        "mkd:mk",
        "mah:mh",
        "mal:ml",
        "mao:mi",
        "mri:mi",
        "mar:mr",
        "may:ms",
        "msa:ms",
        "mlg:mg",
        "mlt:mt",
        "mon:mn",
        "nau:na",
        "nav:nv",
        "nbl:nr",
        "nde:nd",
        "ndo:ng",
        "nep:ne",
        "nno:nn",
        "nob:nb",
        "nor:no",
        "nya:ny",
        "oci:oc",
        "oji:oj",
        "ori:or",
        "orm:om",
        "oss:os",
        "pan:pa",
        "per:fa",
        "fas:fa",
        "pli:pi",
        "pol:pl",
        "por:pt",
        "pus:ps",
        "que:qu",
        "roh:rm",
        "rum:ro",
        "ron:ro",
        "run:rn",
        "rus:ru",
        "sag:sg",
        "san:sa",
        "scc:sr",
        "scr:hr",
        "sin:si",
        "slo:sk",
        "slk:sk",
        "slv:sl",
        "sme:se",
        "smo:sm",
        "sna:sn",
        "snd:sd",
        "som:so",
        "sot:st",
        "spa:es",
        "srd:sc",
        "srp:sr",
        "ssw:ss",
        "sun:su",
        "swa:sw",
        "swe:sv",
        "tah:ty",
        "tam:ta",
        "tat:tt",
        "tel:te",
        "tgk:tg",
        "tgl:tl",
        "tha:th",
        "tib:bo",
        "bod:bo",
        "tir:ti",
        "ton:to",
        "tsn:tn",
        "tso:ts",
        "tuk:tk",
        "tur:tr",
        "twi:tw",
        "uig:ug",
        "ukr:uk",
        "urd:ur",
        "uzb:uz",
        "ven:ve",
        "vie:vi",
        "vol:vo",
        "wel:cy",
        "cym:cy",
        "wln:wa",
        "wol:wo",
        "xho:xh",
        "yid:yi",
        "yor:yo",
        "zha:za",
        "zul:zu",
        "english:en",
        "german:de",
        "deutsch:de",
        "french:fr",
        "spanish:es",
        "portuguese:pt",
        "italian:it",
        "chinese:zh",
        "japanese:ja",
        "russian:ru",
        "korean:ko",
        "arabic:ar",
        "dutch:nl",
        "turkish:tr",
        "polish:pl",
        "swedish:sv",
        "finnish:fi",
        "greek:el",
        "latin:la",
        "norwegian:no",
        "danish:da",
    ]
)


def set_type(fields: Fields, *texts: str) -> None:
    """``@type`` from the first of ``texts`` that schema.org has a class for; what it is called besides is its additional type."""
    for text in texts:
        if not text:
            continue
        known = _known_type(text)
        if known and fields.get("@type", "CreativeWork") == "CreativeWork":
            fields["@type"] = known
        if known != text and text.lower() not in ("text", "other"):
            add(fields, "additionalType", text)
    fields.setdefault("@type", "CreativeWork")


@lru_cache(maxsize=4096)
def _known_type(text: str) -> str | None:
    word = text.rstrip("/").rpartition("/")[2]
    return TYPES.get(word.lower().replace(" ", "").replace("_", ""))


@lru_cache(maxsize=1024)
def language(text: str) -> str:
    """``text`` as BCP 47 writes it (``eng``, ``English`` and ``en_US`` become ``en`` and ``en-US``); unknown ones as they are."""
    text = text.strip()
    main, _, rest = text.replace("_", "-").partition("-")
    lower = main.lower()
    known = _LANGUAGES.get(lower) or (lower if len(main) in (2, 3) and main.isalpha() else "")
    if not known:
        return text
    return f"{known}-{rest}" if rest and rest.isalnum() else known


def rights(fields: Fields, text: str, uri: str = "") -> None:
    """Add what may be done with the work: licences by URL, the rest in words; open access also as a yes or no."""
    if uri:
        rights(fields, uri)
        if text and text != uri and not is_url(text):
            add(fields, "usageInfo", text)
        return
    if not text:
        return
    access = (
        text.rpartition("/")[2].lower() if text.startswith(("info:eu-repo/semantics/", "http://purl.org/coar/")) else ""
    )
    if access:
        fields["isAccessibleForFree"] = fields.get("isAccessibleForFree", False) or access == "openaccess"
        add(fields, "conditionsOfAccess", text)
    elif is_url(text):
        add(fields, "license", text)
    elif text.startswith(("©", "(c)", "(C)", "Copyright", "copyright")):
        add(fields, "copyrightNotice", text)
    else:
        add(fields, "usageInfo", text)


def grant(text: str) -> dict[str, Any]:
    """The grant that an ``info:eu-repo/grantAgreement/Funder/Programme/Project/…`` URI names (OpenAIRE's form); empty where it is none."""
    if not text.startswith("info:eu-repo/grantAgreement/"):
        return {}
    parts = text.split("/")[2:]
    made: dict[str, Any] = {"@type": "Grant", "url": text}
    if parts[0]:
        made["funder"] = {"@type": "Organization", "name": parts[0]}
    if len(parts) > 2 and parts[2]:
        made["identifier"] = parts[2]
    if named := next((part for part in parts[4:] if part), ""):
        made["name"] = named
    return made
