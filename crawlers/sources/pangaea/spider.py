"""PANGAEA: landing pages from its sitemaps, their JSON-LD as it is."""

from typing import Any

from scrapy.http import Response

from crawlers.runtime.jsonld import JsonLdSpider


class PangaeaSpider(JsonLdSpider):
    name = "pangaea"
    start_urls = ["https://doi.pangaea.de/sitemap.xml"]
    landing_pattern = r"^https://doi\.pangaea\.de/10\.1594/"

    def identifier(self, item: dict[str, Any], response: Response) -> str:
        """The DOI without its prefix, the same for all: PANGAEA.902845."""
        return super().identifier(item, response).partition("10.1594/")[2]
