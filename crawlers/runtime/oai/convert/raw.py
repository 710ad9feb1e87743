"""Any other format: the XML itself, and nothing read into it but a title and a link where they are plain to see."""

from typing import Any

from lxml import etree

from crawlers.runtime.oai.convert.elements import LOCAL, words
from crawlers.runtime.oai.convert.identifiers import identify, is_url
from crawlers.runtime.oai.convert.record_fields import Fields


def convert(element: Any) -> Fields:
    """The fields of a record in a format that has no converter. ``metadata`` holds the XML as it came, its element and namespace."""
    fields: Fields = {"@type": "CreativeWork"}
    for found in element.iter(etree.Element):
        name, text = LOCAL[found.tag].lower(), words(found) if not len(found) else ""
        if not text:
            continue
        if name in ("title", "name") and "name" not in fields:
            fields["name"] = text
        elif name == "doi":
            identify(fields, text)
        elif is_url(text) and "url" not in fields and name in ("url", "link", "identifier", "landingpage"):
            fields["url"] = text
    fields["metadata"] = {
        "element": LOCAL[element.tag],
        "namespace": element.tag.rpartition("}")[0][1:],
        "xml": etree.tostring(element, encoding="unicode", with_tail=False),
    }
    return fields
