"""ImmPort: the search API names the studies; each is described by a JSON-LD document, its protocols by the study design."""

from collections.abc import Iterator
from typing import Any

from crawlers.runtime.api import ApiClient
from crawlers.runtime.fields import filled, listed

SEARCH = "https://www.immport.org/shared/data/query/api/search/study"
METADATA = "https://s3.immport.org/release/metadata/Study_{id}"
DESIGN = "https://www.immport.org/shared/data/query/ui/study/design/{id}"
STUDY = "https://www.immport.org/shared/study/{id}"
PAGE_SIZE = 500


def parse(api: ApiClient) -> Iterator[dict]:
    for identifier in study_ids(api):
        url = METADATA.format(id=identifier)
        with api.page(url):
            metadata = api.get_json(url)
            design = api.get_json(DESIGN.format(id=identifier), required=False)
            yield record(identifier, metadata, design or {})


def study_ids(api: ApiClient) -> Iterator[str]:
    """Accessions of all studies. The search answers like Elasticsearch; a page shorter than it says is an error, no end."""
    seen = 0
    while True:
        query = {"term": "", "pageSize": PAGE_SIZE, "fromRecord": seen, "sortFieldDirection": "desc"}
        hits = api.get_json(SEARCH, query)["hits"]
        yield from (hit["_id"] for hit in hits["hits"])
        seen += len(hits["hits"])
        total = hits.get("total")  # a number, or an object since Elasticsearch 7
        total = total["value"] if isinstance(total, dict) else total
        short = len(hits["hits"]) < PAGE_SIZE
        whole = short if total is None else seen >= total
        if whole:
            return
        if short:
            api.expect(total, seen, "studies")


def record(identifier: str, metadata: dict[str, Any], design: dict[str, Any]) -> dict[str, Any]:
    """schema.org as ImmPort writes it, with names where it has bare strings, and under the properties that fit."""
    fields = {key: value for key, value in metadata.items() if key not in ("@context", "@id")}
    made = {
        "author": [author(person) for person in listed(fields.pop("creator", None))],
        "citedBy": listed(fields.pop("citation", None)),
        "species": named(fields.pop("species", None)),
        "measurementTechnique": named(fields.pop("measurementTechnique", None)),
        "identifier": [
            value["value"] if isinstance(value, dict) else value
            for value in listed(fields.pop("identifier", None))
            if not isinstance(value, dict) or value.get("value")
        ],
        "isBasedOn": [protocol(entry, identifier) for entry in listed(design.get("protocols"))],
    }
    return {"_id": identifier, **fields, "url": STUDY.format(id=identifier), **filled(made)}


def author(person: dict[str, Any]) -> dict[str, Any]:
    affiliation = person.get("affiliation")
    if isinstance(affiliation, str):
        return {**person, "affiliation": {"@type": "Organization", "name": affiliation}}
    return person


def protocol(entry: dict[str, Any], identifier: str) -> dict[str, Any]:
    described = {
        "identifier": entry.get("protocolAccession"),
        "name": entry.get("originalFileName") or entry.get("name") or entry.get("fileName"),
        "description": entry.get("description"),
        "additionalType": {"name": entry["type"]} if entry.get("type") else None,
    }
    return {"@type": "CreativeWork", **filled(described), "url": f"https://www.immport.org/browser?path={identifier}"}


def named(values: Any) -> list[Any]:
    return [{"name": value} if isinstance(value, str) else value for value in listed(values)]
