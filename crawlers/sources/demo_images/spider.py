"""The demonstration gallery: one listing, and a page with pictures and a report for each core."""

from collections.abc import Iterator

import scrapy
from scrapy.http import HtmlResponse


class DemoImagesSpider(scrapy.Spider):
    name = "demo_images"
    start_urls = ["http://demo-images.crawler-fleet.invalid/cores"]

    def parse(self, response: HtmlResponse) -> Iterator[scrapy.Request]:
        yield from response.follow_all(css="li a", callback=self.parse_core)

    def parse_core(self, response: HtmlResponse) -> Iterator[dict]:
        yield {
            "_id": response.url.rsplit("/", 1)[-1],
            "@type": "Dataset",
            "name": response.css("h1::text").get(),
            "url": response.url,
            "image_urls": [response.urljoin(link) for link in response.css("img::attr(src)").getall()],
            "file_urls": [response.urljoin(link) for link in response.css("a.report::attr(href)").getall()],
        }
