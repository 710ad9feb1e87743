"""What the runtime adds to each record, so that no source has to."""

from typing import Any

from crawlers.runtime.manifest import Manifest


def complete(record: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """A copy of ``record`` with the source's name before its ``_id`` and the catalogue that it is in.

    ``includedInDataCatalog`` is schema.org's property (https://schema.org/includedInDataCatalog); one that the source's code
    set stays. An ``_id`` that is no string is left for the writer to reject.
    """
    completed = dict(record)
    identifier = completed.get("_id")
    prefix = f"{manifest.name}_"
    if isinstance(identifier, str) and identifier and not identifier.startswith(prefix):
        completed["_id"] = prefix + identifier
    completed.setdefault("includedInDataCatalog", {"@type": "DataCatalog", "name": manifest.title, "url": manifest.url})
    return completed
