"""What the runtime adds to each record, so that no source has to."""

import re
from typing import Any

from crawlers.runtime.manifest import Manifest

_DATES = ("date", "dateCreated", "dateModified", "datePublished")
_ISO_DATE = re.compile(r"[12]\d{3}(-\d\d(-\d\d(?=T|$))?)?", re.ASCII)


def complete(record: dict[str, Any], manifest: Manifest, page_url: str = "") -> dict[str, Any]:
    """A copy of ``record`` with the source's name before its ``_id``, the catalogue that it is in, and its ``date``.

    Where it has no ``url`` of its own, ``_meta.url`` is that of the page it came from, for its provenance.

    ``includedInDataCatalog`` is schema.org's property (https://schema.org/includedInDataCatalog); one that the source's code
    set stays. ``date`` is the latest of the record's other dates, as the NIAID Data Ecosystem has it; without any, there is none.
    An ``_id`` that is no string is left for the writer to reject.
    """
    completed = dict(record)
    identifier = completed.get("_id")
    prefix = f"{manifest.name}_"
    if isinstance(identifier, str) and identifier and not identifier.startswith(prefix):
        completed["_id"] = prefix + identifier
    completed.setdefault("includedInDataCatalog", {"@type": "DataCatalog", "name": manifest.title, "url": manifest.url})
    if not completed.get("date") and (date := _latest_date(completed)):
        completed["date"] = date
    meta = completed.get("_meta") or {}
    if page_url and not completed.get("url") and isinstance(meta, dict):
        completed["_meta"] = {"url": page_url, **meta}
    return completed


def _latest_date(record: dict[str, Any]) -> str:
    found = (_ISO_DATE.match(value) for name in _DATES if isinstance(value := record.get(name), str))
    return max((match[0] for match in found if match), default="")
