"""Dryad: its API lists the datasets, a hundred a page, each with all its metadata."""

from collections.abc import Iterator
from typing import Any

from crawlers.runtime.api import ApiClient
from crawlers.runtime.schema.models import Dataset

DATASETS = "https://datadryad.org/api/v2/datasets"
PAGE_SIZE = 100


def parse(api: ApiClient) -> Iterator[Dataset]:
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


def record(dataset: dict[str, Any]) -> Dataset:
    doi = dataset["identifier"].removeprefix("doi:")
    return Dataset.create(
        dataset.get("sharingLink") or f"https://datadryad.org/dataset/doi:{doi}",
        {
            "_id": doi,
            "name": dataset.get("title"),
            "description": dataset.get("abstract"),
            "doi": doi,
            "author": [author(person) for person in dataset.get("authors", [])],
            "funding": [
                {"identifier": funder.get("awardNumber"), "funder": funder.get("organization")}
                for funder in dataset.get("funders", [])
            ],
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
            "spatialCoverage": [location.get("place") for location in dataset.get("locations", [])],
        },
    )


def author(person: dict[str, Any]) -> dict[str, Any]:
    """The e-mail address that Dryad gives too is left out: nobody needs it to find data. Without a first name, it is a group."""
    first, last = person.get("firstName"), person.get("lastName")
    names = {"givenName": first, "familyName": last} if first else {"name": last}
    return {**names, "orcid": person.get("orcid"), "affiliation": person.get("affiliation")}
