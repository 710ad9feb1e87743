"""What the portals that take up our records ask of them: facts, each with the page that it is from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Demands(NamedTuple):
    """What a profile asks of records of one class. Each field by its name in the profile: those of ours that meet it, any of them.

    ``lengths``: by field, how many characters its text has at least and at most.
    """

    required: dict[str, tuple[str, ...]]
    recommended: dict[str, tuple[str, ...]]
    lengths: Mapping[str, tuple[int, int]] = MappingProxyType({})


class Profile(NamedTuple):
    """``page``: where it is written; ``classes``: its demands by class of the record; ``others``: those of any other class, None:
    it says nothing of them."""

    title: str
    page: str
    classes: dict[str, Demands]
    others: Demands | None = None


def _same(names: str) -> dict[str, tuple[str, ...]]:
    """Fields that are called the same here as there."""
    return {name: (name,) for name in names.split()}


# NDE_schema.jsonld, `$validation` of each class: Dataset 2.1, ComputationalTool 2.0, ResourceCatalog 2.3, Sample 0.7.
_NDE_DATASET = Demands(
    required=_same("name description author url date distribution funding includedInDataCatalog measurementTechnique"),
    recommended=_same(
        "citation citedBy conditionsOfAccess dateCreated dateModified datePublished doi healthCondition identifier "
        "infectiousAgent interactionStatistic isBasedOn keywords license sdPublisher spatialCoverage species temporalCoverage "
        "topicCategory usageInfo variableMeasured"
    ),
)
_NDE_TOOL = Demands(
    required=_same("name description author date funding includedInDataCatalog"),
    recommended=_same(
        "applicationCategory applicationSubCategory citation citedBy codeRepository conditionsOfAccess dateModified doi "
        "featureList identifier input interactionStatistic license operatingSystem output programmingLanguage "
        "softwareRequirements softwareVersion topicCategory url"
    ),
)
_NDE_CATALOG = Demands(
    required=_same("name description url date about funding genre includedInDataCatalog measurementTechnique"),
    recommended=_same(
        "author citation citedBy collectionSize collectionType conditionsOfAccess dateCreated dateModified datePublished doi "
        "hasAPI hasDownload healthCondition identifier infectiousAgent interactionStatistic isBasedOn keywords license "
        "sdPublisher spatialCoverage species temporalCoverage topicCategory usageInfo variableMeasured"
    ),
)
_NDE_SAMPLE = Demands(
    required=_same("name url author date identifier includedInDataCatalog"),
    recommended=_same(
        "anatomicalStructure cellType citation collectionMethod collector conditionsOfAccess contributor creditText "
        "dateCollected dateModified dateProcessed description developmentalStage funding healthCondition infectiousAgent "
        "instrument interactionStatistic keywords license locationOfOrigin sameAs sampleAvailability sampleProcess sampleType "
        "sdPublisher sex sourceOrganization species topicCategory usageInfo"
    ),
)
NDE = Profile(
    "NIAID Data Ecosystem",
    "https://github.com/NIAID-Data-Ecosystem/nde-schemas",
    {"Dataset": _NDE_DATASET, "ComputationalTool": _NDE_TOOL, "DataCatalog": _NDE_CATALOG, "Sample": _NDE_SAMPLE},
    # It has no demands of other classes; its hub scores them as datasets, and so do we.
    others=_NDE_DATASET,
)

GOOGLE = Profile(
    "Google Dataset Search",
    "https://developers.google.com/search/docs/appearance/structured-data/dataset",
    {
        "Dataset": Demands(
            required=_same("name description"),
            recommended={
                **_same(
                    "alternateName citation funder identifier isAccessibleForFree keywords license measurementTechnique sameAs "
                    "spatialCoverage temporalCoverage variableMeasured version url includedInDataCatalog distribution"
                ),
                "creator": ("creator", "author"),
                "funder": ("funder", "funding"),
                "hasPart or isPartOf": ("hasPart", "isPartOf"),
            },
            lengths={"description": (50, 5000)},
        )
    },
)

DATACITE = Profile(
    "DataCite Metadata Schema, kernel 4",
    "https://datacite-metadata-schema.readthedocs.io/en/4.6/properties/overview/",
    {},
    others=Demands(
        required={
            "Identifier": ("doi", "identifier"),
            "Creator": ("author", "creator"),
            "Title": ("name", "headline"),
            "Publisher": ("publisher", "sdPublisher", "provider"),
            "PublicationYear": ("datePublished",),
            "ResourceType": ("@type",),
        },
        recommended={
            "Subject": ("keywords", "about", "topicCategory"),
            "Contributor": ("contributor",),
            "Date": ("dateCreated", "dateModified", "datePublished", "date"),
            "RelatedIdentifier": ("citation", "citedBy", "isBasedOn", "isPartOf", "hasPart", "isRelatedTo", "sameAs"),
            "Description": ("description", "abstract"),
            "GeoLocation": ("spatialCoverage",),
        },
    ),
)

PROFILES = {"nde": NDE, "google": GOOGLE, "datacite": DATACITE}
NO_PROFILE = "none"
