"""Real metadata, mapped plainly onto the models: as a source would, and no value touched before its field's parser sees it."""

import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree

from crawlers.runtime.schema.models import (
    ClinicalTrial,
    ComputationalTool,
    CreativeWork,
    Dataset,
    ScholarlyArticle,
)
from crawlers.runtime.schema.record import Record
from crawlers.runtime.settings import CHECKOUT

SHARED = CHECKOUT.parent / "shared" / "data"
# DataCite's resourceTypeGeneral; other types are creative works.
_DATACITE_MODELS: dict[str, type[Record]] = {
    "Dataset": Dataset,
    "Collection": Dataset,
    "Software": ComputationalTool,
    "Text": ScholarlyArticle,
    "JournalArticle": ScholarlyArticle,
}


def biotools() -> Iterator[Record]:
    """bio.tools: tools and services, as its API gives them."""
    with lzma.open(SHARED / "biotools" / "biotools.jsonl.xz", "rt", encoding="utf-8") as file:
        for line in file:
            yield biotools_record(json.loads(line))


def biotools_record(tool: dict[str, Any]) -> Record:
    functions = tool.get("function") or []
    return ComputationalTool.create(
        f"https://bio.tools/{tool['biotoolsID']}",
        {
            "_id": tool["biotoolsID"],
            "name": tool.get("name"),
            "description": tool.get("description"),
            "identifier": tool.get("biotoolsCURIE"),
            "mainEntityOfPage": tool.get("homepage"),
            "dateCreated": tool.get("additionDate"),
            "dateModified": tool.get("lastUpdate"),
            "author": [
                {
                    "@type": "Person" if credit.get("typeEntity") == "Person" else "Organization",
                    "name": credit.get("name"),
                    "identifier": credit.get("orcidid") or credit.get("rorid"),
                    "url": credit.get("url"),
                    "email": credit.get("email"),
                }
                for credit in tool.get("credit") or []
            ],
            "applicationCategory": tool.get("toolType"),
            "applicationSubCategory": tool.get("topic"),
            "featureList": [operation for function in functions for operation in function.get("operation") or []],
            "input": [given.get("data") for function in functions for given in function.get("input") or []],
            "output": [given.get("data") for function in functions for given in function.get("output") or []],
            "operatingSystem": tool.get("operatingSystem"),
            "programmingLanguage": tool.get("language"),
            "license": tool.get("license"),
            "softwareVersion": tool.get("version"),
            "conditionsOfAccess": tool.get("accessibility"),
            "codeRepository": [
                link.get("url") for link in tool.get("link") or [] if "Repository" in (link.get("type") or [])
            ],
            "downloadUrl": [download.get("url") for download in tool.get("download") or []],
            "softwareHelp": [document.get("url") for document in tool.get("documentation") or []],
            "citation": [
                {
                    "doi": work.get("doi"),
                    "pmid": work.get("pmid"),
                    "name": (work.get("metadata") or {}).get("title"),
                    "datePublished": (work.get("metadata") or {}).get("date"),
                }
                for work in tool.get("publication") or []
            ],
        },
    )


def datacite() -> Iterator[Record]:
    """DataCite: DOIs of all kinds of resources, as its REST API gives them."""
    with gzip.open(SHARED / "datacite" / "datacite_records.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            yield datacite_record(json.loads(line)["attributes"])


def datacite_record(work: dict[str, Any]) -> Record:
    model = _DATACITE_MODELS.get((work.get("types") or {}).get("resourceTypeGeneral") or "", CreativeWork)
    dates = {date.get("dateType"): date.get("date") for date in work.get("dates") or []}
    return model.create(
        work.get("url") or f"https://doi.org/{work['doi']}",
        {
            "doi": work.get("doi"),
            "name": [title.get("title") for title in (work.get("titles") or [])[:1]],
            "alternateName": [title.get("title") for title in (work.get("titles") or [])[1:]],
            "description": [text.get("description") for text in work.get("descriptions") or []],
            "author": [_datacite_agent(agent) for agent in work.get("creators") or []],
            "contributor": [_datacite_agent(agent) for agent in work.get("contributors") or []],
            "publisher": work.get("publisher"),
            "datePublished": dates.get("Issued") or work.get("publicationYear"),
            "dateCreated": dates.get("Created"),
            "dateModified": dates.get("Updated"),
            "inLanguage": work.get("language"),
            "keywords": [subject.get("subject") for subject in work.get("subjects") or []],
            "version": work.get("version"),
            "license": [rights.get("rightsUri") or rights.get("rights") for rights in work.get("rightsList") or []],
            "funding": [
                {
                    "identifier": grant.get("awardNumber"),
                    "name": grant.get("awardTitle"),
                    "funder": grant.get("funderName"),
                }
                for grant in work.get("fundingReferences") or []
            ],
            "citation": [work.get("relatedIdentifier") for work in work.get("relatedIdentifiers") or []],
            "spatialCoverage": [place.get("geoLocationPlace") for place in work.get("geoLocations") or []],
            "distribution": work.get("contentUrl"),
        },
    )


def _datacite_agent(agent: dict[str, Any]) -> dict[str, Any]:
    identifiers = [identifier.get("nameIdentifier") for identifier in agent.get("nameIdentifiers") or []]
    kept = {key: agent.get(key) for key in ("name", "nameType", "givenName", "familyName", "affiliation")}
    return {**kept, "identifier": identifiers}


def trials() -> Iterator[Record]:
    """ClinicalTrials.gov: studies as XML of 2014 and later, and as JSON of its second API."""
    for path in sorted((SHARED / "trials").glob("*/*.xml.gz")):
        tree = etree.fromstring(
            gzip.decompress(path.read_bytes()), etree.XMLParser(resolve_entities=False, huge_tree=True)
        )
        if tree.find("id_info") is not None:  # the others are lists of studies, and errors
            yield _trial_from_xml(tree)
    for path in sorted((SHARED / "trials" / "ctgov-json").iterdir()):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        answer = json.loads(content)
        for study in answer.get("studies", [answer]) if isinstance(answer, dict) else answer:
            if "protocolSection" in study:
                yield _trial_from_json(study["protocolSection"])


def _trial_from_xml(study: Any) -> Record:
    def texts(path: str) -> list[str]:
        return [found.text for found in study.iterfind(path)]

    def text(path: str) -> str | None:
        return study.findtext(path)

    number = text("id_info/nct_id")
    return ClinicalTrial.create(
        f"https://clinicaltrials.gov/study/{number}",
        {
            "_id": number,
            "nctid": number,
            "name": text("official_title") or text("brief_title"),
            "alternateName": [text("brief_title"), text("acronym")],
            "description": text("brief_summary/textblock"),
            "identifier": [number, *texts("id_info/org_study_id"), *texts("id_info/secondary_id")],
            "sponsor": texts("sponsors/lead_sponsor/agency"),
            "funder": texts("sponsors/collaborator/agency"),
            "author": [
                {
                    "name": official.findtext("last_name"),
                    "affiliation": official.findtext("affiliation"),
                }
                for official in study.iterfind("overall_official")
            ],
            "status": text("overall_status"),
            "phase": text("phase"),
            "trialDesign": text("study_design"),
            "enrollment": text("enrollment"),
            "startDate": text("start_date"),
            "endDate": text("completion_date"),
            "datePublished": text("firstreceived_date") or text("study_first_posted"),
            "dateModified": text("lastchanged_date") or text("last_update_posted"),
            "healthCondition": texts("condition"),
            "intervention": texts("intervention/intervention_name"),
            "eligibilityCriteria": text("eligibility/criteria/textblock"),
            "keywords": [*texts("keyword"), *texts("condition_browse/mesh_term")],
            "citation": [
                {"name": reference.findtext("citation"), "pmid": reference.findtext("PMID")}
                for reference in study.iterfind("reference")
            ],
            "studyLocation": texts("location/facility/name"),
        },
    )


def _trial_from_json(study: dict[str, Any]) -> Record:
    module: Callable[[str], dict[str, Any]] = lambda name: study.get(f"{name}Module") or {}  # noqa: E731
    identification, status, design = module("identification"), module("status"), module("design")
    number = identification["nctId"]

    def date(name: str) -> Any:
        return (status.get(f"{name}DateStruct") or {}).get("date")

    return ClinicalTrial.create(
        f"https://clinicaltrials.gov/study/{number}",
        {
            "_id": number,
            "nctid": number,
            "name": identification.get("officialTitle") or identification.get("briefTitle"),
            "alternateName": [identification.get("briefTitle"), identification.get("acronym")],
            "description": module("description").get("briefSummary"),
            "identifier": [number, (identification.get("orgStudyIdInfo") or {}).get("id")],
            "sponsor": module("sponsorCollaborators").get("leadSponsor"),
            "funder": module("sponsorCollaborators").get("collaborators"),
            "author": module("contactsLocations").get("overallOfficials"),
            "status": status.get("overallStatus"),
            "phase": design.get("phases"),
            "enrollment": (design.get("enrollmentInfo") or {}).get("count"),
            "startDate": date("start"),
            "endDate": date("completion"),
            "datePublished": date("studyFirstPost"),
            "dateModified": date("lastUpdatePost"),
            "healthCondition": module("conditions").get("conditions"),
            "keywords": module("conditions").get("keywords"),
            "intervention": module("armsInterventions").get("interventions"),
            "outcome": module("outcomes").get("primaryOutcomes"),
            "eligibilityCriteria": module("eligibility").get("eligibilityCriteria"),
            "citation": [
                {"name": reference.get("citation"), "pmid": reference.get("pmid")}
                for reference in module("references").get("references") or []
            ],
        },
    )


COLLECTIONS: dict[str, Callable[[], Iterator[Record]]] = {"bio.tools": biotools, "DataCite": datacite, "trials": trials}
