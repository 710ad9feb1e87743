"""The demonstration site in JavaScript: the cookie banner goes first, then the button for more is clicked until it is gone."""

from collections.abc import AsyncIterator, Iterator

import scrapy
from scrapy.http import HtmlResponse

from crawlers.runtime.browser.rendering import BrowserRequest

LISTING = [
    {"click": "#cookies button", "optional": True},
    {"click": "button.more", "times": 20, "wait_for": "article.dataset"},
]


class DemoJsSpider(scrapy.Spider):
    name = "demo_js"

    async def start(self) -> AsyncIterator[scrapy.Request]:
        yield self.listing("http://demo-js.crawler-fleet.invalid/catalogue?page=1")

    def listing(self, url: str) -> scrapy.Request:
        return BrowserRequest(url, self.parse, wait_for="article.dataset", steps=LISTING)

    def parse(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        for link in response.css("article.dataset a::attr(href)").getall():
            yield BrowserRequest(response.urljoin(link), self.parse_dataset, wait_for="h1")
        for link in response.css("a[rel=next]::attr(href)").getall():
            yield self.listing(response.urljoin(link))

    def parse_dataset(self, response: HtmlResponse) -> Iterator[dict]:
        yield {
            "_id": response.url.rsplit("/", 1)[-1],
            "@type": "Dataset",
            "name": response.css("h1::text").get(),
            "description": response.css("p.abstract::text").get(),
            "url": response.url,
            "datePublished": response.css("time::attr(datetime)").get(),
            "keywords": response.css("li.keyword::text").getall(),
        }
