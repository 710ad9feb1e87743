"""Records of OAI-PMH servers turned into records of ours: element in, record out.

Which format the metadata is in is told by its own outermost element: servers give the same format many names
(``oai_dc``, ``dc``, ``simple``; ``oai_datacite``, ``datacite``, ``datacite3`` …).
"""

from collections.abc import Callable
from typing import Any

from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.convert import datacite, dublin_core, jats, mods, raw
from crawlers.runtime.oai.convert.elements import LOCAL, child
from crawlers.runtime.oai.convert.identifiers import doi_in, is_url
from crawlers.runtime.oai.convert.record_fields import Fields, add, simplified

_CONVERTERS: dict[str, Callable[[Any], Fields]] = {
    "dc": dublin_core.convert,
    "qualifieddc": dublin_core.convert,
    "nsdl_dc": dublin_core.convert,
    "olac": dublin_core.convert,
    "oai_datacite": datacite.convert,
    "article": jats.convert,
    "mods": mods.convert,
    "modsCollection": mods.convert,
}


class ConversionError(ValueError):
    """A record that can't be converted; says why."""


def convert(record: OaiRecord) -> dict[str, Any]:
    """The record as it goes into a release, but for what the runtime adds to each.

    ``_id`` is the OAI identifier. ``sdDatePublished`` is the datestamp, that is when the repository last changed the metadata;
    the sets that the record is in are collections among its ``isPartOf``.

    :raises ConversionError: it holds no metadata, or not what its format says.
    """
    identifier = record.identifier.strip()
    element = record.metadata
    if not identifier:
        raise ConversionError("the record has no identifier")
    if element is None:
        raise ConversionError("the record is not deleted, but has no metadata")
    try:
        fields = _converter(element)(element)
    except (ValueError, LookupError) as error:
        raise ConversionError(f"{LOCAL[element.tag]} can't be converted: {error}") from error
    if "url" not in fields:
        if doi := doi_in(identifier):
            fields["url"] = f"https://doi.org/{doi}"
        elif is_url(identifier):
            fields["url"] = identifier
    if record.datestamp:
        fields["sdDatePublished"] = record.datestamp
    for name in record.set_specs:
        add(fields, "isPartOf", {"@type": "Collection", "identifier": name})
    return {"_id": identifier, **simplified(fields)}


def _converter(element: Any) -> Callable[[Any], Fields]:
    name = LOCAL[element.tag]
    if name == "resource":  # a name that others use too
        is_datacite = (
            "datacite" in element.tag or child(element, "creators") is not None or child(element, "titles") is not None
        )
        return datacite.convert if is_datacite else raw.convert
    return _CONVERTERS.get(name, raw.convert)
