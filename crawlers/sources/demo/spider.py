"""The demonstration site: listing pages lead to the next one and to the datasets' pages."""

from collections.abc import Iterator

import scrapy
from scrapy.http import HtmlResponse


class DemoSpider(scrapy.Spider):
    name = "demo"
    start_urls = ["http://demo.crawler-fleet.invalid/datasets?page=1"]

    def parse(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        yield from response.follow_all(css="article.dataset h2 a", callback=self.parse_dataset)
        yield from response.follow_all(css="nav.pager a[rel=next]", callback=self.parse)

    def parse_dataset(self, response: HtmlResponse) -> Iterator[dict]:
        page = response.css("main")
        yield {
            "_id": response.url.rsplit("/", 1)[-1],
            "@type": "Dataset",
            "name": page.css("h1::text").get(),
            "description": page.css("p.abstract::text").get(),
            "url": response.url,
            "doi": page.css("dd.doi a::text").get(),
            "datePublished": page.css("dd.published time::attr(datetime)").get(),
            "dateModified": page.css("dd.modified time::attr(datetime)").get(),
            "author": [
                {
                    "@type": "Person",
                    "name": author.css(".name::text").get(),
                    "affiliation": {"@type": "Organization", "name": author.css(".affiliation::text").get()},
                }
                for author in page.css("ul.authors li")
            ],
            "keywords": page.css("ul.keywords li::text").getall(),
            "species": [{"name": name} for name in page.css("dd.species i::text").getall()],
            "measurementTechnique": [{"name": name} for name in page.css("dd.technique::text").getall()],
            "license": page.css("dd.licence a::attr(href)").get(),
        }
