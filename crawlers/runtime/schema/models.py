"""Records by their schema.org class: the fields that it has, and the type of each.

::

    Dataset.create("https://example.org/1", {"name": "A <i>dataset</i>", "datePublished": "May 2019", "author": "Muster, Ana"})

A source that has fields of its own declares them in a class of its own::

    class Trial(ClinicalTrial):
        enrolled: DayFirstDate
"""

from crawlers.runtime.schema.fields import (
    Boolean,
    Catalogs,
    Date,
    Doi,
    Downloads,
    Grants,
    Identifiers,
    Keywords,
    Languages,
    License,
    LongText,
    Loose,
    Number,
    Organisations,
    People,
    Places,
    Pmid,
    Terms,
    Text,
    Texts,
    Url,
    Urls,
    Version,
    Works,
)
from crawlers.runtime.schema.record import Record


class CreativeWork(Record):
    """https://schema.org/CreativeWork, with what the NIAID Data Ecosystem adds for research."""

    schema_type = "CreativeWork"

    name: Text
    alternateName: Texts
    description: LongText
    abstract: LongText
    url: Url
    sameAs: Urls
    mainEntityOfPage: Loose
    identifier: Identifiers
    doi: Doi
    pmid: Pmid
    nctid: Texts
    author: People
    creator: People
    contributor: People
    publisher: Organisations
    provider: Organisations
    sdPublisher: Organisations
    sourceOrganization: Organisations
    funder: Organisations
    funding: Grants
    date: Date
    dateCreated: Date
    dateModified: Date
    datePublished: Date
    inLanguage: Languages
    keywords: Keywords
    genre: Texts
    version: Version
    license: License
    usageInfo: Loose
    conditionsOfAccess: Text
    isAccessibleForFree: Boolean
    creativeWorkStatus: Texts
    creditText: LongText
    about: Terms
    topicCategory: Terms
    species: Terms
    infectiousAgent: Terms
    healthCondition: Terms
    citation: Works
    citedBy: Works
    isBasedOn: Works
    isBasisFor: Works
    isPartOf: Works
    hasPart: Works
    isRelatedTo: Works
    isSimilarTo: Works
    spatialCoverage: Places
    temporalCoverage: Loose
    includedInDataCatalog: Catalogs
    interactionStatistic: Loose
    measurementTechnique: Terms
    variableMeasured: Terms


class Dataset(CreativeWork):
    """https://schema.org/Dataset"""

    schema_type = "Dataset"

    distribution: Downloads
    issn: Texts
    sample: Loose
    measurementMethod: Terms


class ComputationalTool(CreativeWork):
    """https://bioschemas.org/types/ComputationalTool, that is https://schema.org/SoftwareApplication"""

    schema_type = "ComputationalTool"

    applicationCategory: Loose
    applicationSubCategory: Terms
    applicationSuite: Text
    availableOnDevice: Texts
    codeRepository: Urls
    discussionUrl: Urls
    downloadUrl: Urls
    featureList: Terms
    input: Loose
    operatingSystem: Texts
    output: Loose
    processorRequirements: Texts
    programmingLanguage: Loose
    softwareAddOn: Loose
    softwareHelp: Works
    softwareRequirements: Loose
    softwareVersion: Texts


class ScholarlyArticle(CreativeWork):
    """https://schema.org/ScholarlyArticle"""

    schema_type = "ScholarlyArticle"

    headline: Text
    articleBody: LongText
    journalName: Text
    issn: Texts
    issueNumber: Version
    volumeNumber: Version
    pagination: Text
    pageStart: Version
    pageEnd: Version
    pmcid: Text


class DataCatalog(CreativeWork):
    """https://schema.org/DataCatalog; the NIAID Data Ecosystem says ResourceCatalog."""

    schema_type = "DataCatalog"

    collectionType: Texts
    collectionSize: Loose
    dataset: Works
    hasAPI: Loose
    hasDownload: Loose


class ClinicalTrial(CreativeWork):
    """https://schema.org/MedicalTrial and https://schema.org/MedicalStudy"""

    schema_type = "ClinicalTrial"

    status: Text
    phase: Texts
    sponsor: Organisations
    studyLocation: Places
    studySubject: Terms
    trialDesign: Text
    startDate: Date
    endDate: Date
    eligibilityCriteria: LongText
    enrollment: Number
    intervention: Terms
    outcome: Loose


class Sample(CreativeWork):
    """https://bioschemas.org/types/BioSample; the NIAID Data Ecosystem's Sample"""

    schema_type = "Sample"

    anatomicalStructure: Terms
    anatomicalSystem: Terms
    associatedGenotype: Loose
    associatedPhenotype: Terms
    cellType: Terms
    collectionMethod: Loose
    collector: People
    dateCollected: Date
    dateProcessed: Date
    developmentalStage: Terms
    environmentalSystem: Terms
    instrument: Loose
    itemLocation: Places
    locationOfOrigin: Places
    sampleAvailability: Boolean
    sampleProcess: Loose
    sampleQuantity: Loose
    sampleState: Loose
    sampleType: Terms
    sex: Texts


MODELS: dict[str, type[Record]] = {
    model.schema_type: model
    for model in (Dataset, ComputationalTool, ScholarlyArticle, DataCatalog, ClinicalTrial, Sample, CreativeWork)
}
# Other names of the same classes, as sites and portals write them.
ALIASES = {
    "SoftwareApplication": "ComputationalTool",
    "SoftwareSourceCode": "ComputationalTool",
    "WebApplication": "ComputationalTool",
    "Article": "ScholarlyArticle",
    "MedicalScholarlyArticle": "ScholarlyArticle",
    "ResourceCatalog": "DataCatalog",
    "MedicalStudy": "ClinicalTrial",
    "MedicalTrial": "ClinicalTrial",
    "MedicalObservationalStudy": "ClinicalTrial",
    "BioSample": "Sample",
}
