"""EU Clinical Trials Register: search results lead to one protocol page a trial, a table of numbered EudraCT fields."""

import re
from collections.abc import Iterator

import scrapy
from scrapy.http import HtmlResponse

from crawlers.runtime.errors import PageError
from crawlers.runtime.schema.models import ClinicalTrial

SEARCH = "https://www.clinicaltrialsregister.eu/ctr-search/search?query=&page={page}"
# What the register writes where the sponsor wrote nothing.
EMPTY = ("", "NA", "N/A", "Not available", "Information not present in EudraCT")


class EuctrSpider(scrapy.Spider):
    name = "euctr"
    start_urls = [SEARCH.format(page=1)]

    def parse(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        """The first page says how many there are, so that a broken pager can't cut the crawl short."""
        outcome = " ".join(response.css("div.outcome ::text").getall())
        pages = re.search(r"page\s+1\s+of\s+([\d,]+)", outcome)
        if not pages:
            raise PageError(response.url, f"does not say `page 1 of …`, got {outcome.strip()[:80]!r}", "div.outcome")
        yield from self.parse_results(response)
        for page in range(2, int(pages[1].replace(",", "")) + 1):
            yield scrapy.Request(SEARCH.format(page=page), self.parse_results)

    def parse_results(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        """Of each trial the protocol of the first country that is listed."""
        trials = response.css("table.result")
        if not trials:
            raise PageError(response.url, "lists no trial", "table.result")
        for trial in trials:
            yield from response.follow_all(trial.css('a[href*="/ctr-search/trial/"]')[:1], self.parse_trial)

    def parse_trial(self, response: HtmlResponse) -> Iterator[ClinicalTrial]:
        fields = protocol_fields(response)
        number = first(fields, "A.2")
        if not number:
            raise PageError(response.url, "has no EudraCT number", "A.2")
        data = {
            "_id": number,
            "name": first(fields, "A.3"),
            "alternateName": first(fields, "A.3.1") or first(fields, "A.3.2"),
            "description": first(fields, "E.2.1"),
            "identifier": [number, *fields.get("A.4.1", []), *fields.get("A.5.1", []), *fields.get("A.5.2", [])],
            "sponsor": fields.get("B.1.1"),
            "funding": [{"funder": name} for name in fields.get("B.4.1", [])],
            "healthCondition": fields.get("E.1.1"),
            "keywords": fields.get("D.3.8", []) + fields.get("E.1.1.2", []),
            "eligibilityCriteria": first(fields, "E.3"),
            "dateCreated": summary(response, "Date on which this record was first entered"),
            "status": summary(response, "Trial Status"),
        }
        yield ClinicalTrial.create(response.url, data)


def protocol_fields(response: HtmlResponse) -> dict[str, list[str]]:
    """Values by EudraCT field code; long texts stand in a table of their own, a row a language, of which the first counts."""
    fields: dict[str, list[str]] = {}
    for row in response.css("tr.tricell"):
        code = row.xpath("normalize-space(td[1])").get("")
        texts = row.xpath("(td[3]//td | td[3][not(.//td)])[1]//text()").getall()
        value = " ".join(" ".join(texts).split())
        if value not in EMPTY and value not in fields.setdefault(code, []):
            fields[code].append(value)
    return fields


def first(fields: dict[str, list[str]], code: str) -> str:
    return next(iter(fields.get(code, [])), "")


def summary(response: HtmlResponse, label: str) -> str:
    cells = response.xpath(
        "//table[contains(@class, 'summary')]//td[contains(., $label)]/following-sibling::td", label=label
    )
    return " ".join(cells[:1].css("::text").getall()).strip()
