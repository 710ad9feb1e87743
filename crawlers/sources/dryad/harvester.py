"""Dryad: its API lists the datasets, a hundred a page, each with all its metadata."""

import html
import re
from collections.abc import Iterator
from typing import Any

from crawlers.runtime.api import ApiClient
from crawlers.runtime.fields import filled

DATASETS = "https://datadryad.org/api/v2/datasets"
PAGE_SIZE = 100


def parse(api: ApiClient) -> Iterator[dict]:
    page = seen = 0
    while True:
        page += 1
        answer = api.get_json(DATASETS, {"page": page, "per_page": PAGE_SIZE})
        datasets = answer["_embedded"]["stash:datasets"]
        for dataset in datasets:
            if "message" in dataset:  # in place of metadata, where a depositor left out what is required
                api.reject(dataset, f"no metadata: {dataset['message']}", field="message", url=DATASETS)
                continue
            with api.page(f"{DATASETS}/{dataset.get('identifier')}"):
                yield record(dataset)
        seen += len(datasets)
        if not datasets or seen >= answer["total"]:
            api.expect(answer["total"], seen, "datasets")
            return


def record(dataset: dict[str, Any]) -> dict[str, Any]:
    doi = dataset["identifier"].removeprefix("doi:")
    made = {
        "@type": "Dataset",
        "name": dataset.get("title"),
        "description": text(dataset.get("abstract")),
        "url": dataset.get("sharingLink") or f"https://datadryad.org/dataset/doi:{doi}",
        "doi": doi,
        "author": [author(person) for person in dataset.get("authors", [])],
        "funding": [funding(funder) for funder in dataset.get("funders", [])],
        "keywords": dataset.get("keywords"),
        "datePublished": dataset.get("publicationDate"),
        "dateModified": dataset.get("lastModificationDate"),
        "license": dataset.get("license"),
        "version": dataset.get("versionNumber"),
        "citation": [
            {"identifier": work["identifier"], "name": work.get("relationship")}
            for work in dataset.get("relatedWorks", [])
            if work.get("identifier")
        ],
        "spatialCoverage": [
            {"@type": "Place", "name": location["place"]}
            for location in dataset.get("locations", [])
            if location.get("place")
        ],
    }
    return {"_id": doi, **filled(made)}


def author(person: dict[str, Any]) -> dict[str, Any]:
    """The e-mail address that Dryad gives too is left out: nobody needs it to find data."""
    made = {
        "givenName": person.get("firstName"),
        "familyName": person.get("lastName"),
        "name": " ".join(filter(None, (person.get("firstName"), person.get("lastName")))),
        "identifier": f"https://orcid.org/{person['orcid']}" if person.get("orcid") else None,
        "affiliation": {"@type": "Organization", "name": person["affiliation"]} if person.get("affiliation") else None,
    }
    return {"@type": "Person", **filled(made)}


def funding(funder: dict[str, Any]) -> dict[str, Any]:
    return filled({"identifier": funder.get("awardNumber"), "funder": filled({"name": funder.get("organization")})})


def text(abstract: str | None) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", abstract or "")).split())
