"""Runs a Scrapy spider in this process, for one crawl."""

import functools
import logging
from typing import Any

from scrapy.crawler import CrawlerProcess
from scrapy.settings.default_settings import RETRY_EXCEPTIONS
from twisted.python.failure import Failure

from crawlers.runtime import http
from crawlers.runtime.errors import FleetError
from crawlers.runtime.loading import load_spider
from crawlers.runtime.run import Run
from crawlers.runtime.scrapy_parts import RunCrawler

_PARTS = "crawlers.runtime.scrapy_parts"
_REQUESTS = "crawlers.runtime.scrapy_requests"
_PAGE_STORE = "crawlers.runtime.pages.fetching.PageStoreMiddleware"


def run_spider(run: Run) -> None:
    """Crawl with the source's spider until it ends.

    :raises Interrupted: a signal ended it.
    :raises FleetError: it did not end by itself ("finished", or at the limit).
    """
    spider = load_spider(run.source)
    process = _quiet_process(_defaults(run))
    process.fleet_run = run  # type: ignore[attr-defined]  # Scrapy makes the resolver from it
    crawler = RunCrawler(spider, process.settings, init_reactor=True)
    fixed = _fixed(run)
    for name, value in _files(run).items():
        fixed[name] = {**value, **fixed[name]} if name in fixed else value
    for name, value in fixed.items():
        if isinstance(value, dict):  # components that the source brings, an images pipeline say, work beside ours
            value = {**crawler.settings.getdict(name), **value}
        crawler.settings.set(name, value, priority="cmdline")
    crawler.fleet_run = run
    failures: list[Failure] = []
    process.crawl(crawler).addErrback(failures.append)
    from twisted.internet import reactor  # only now: CrawlerProcess installs the one that Scrapy needs

    # Stop at once rather than wait for what is under way: nothing of it will be published. Scrapy's own `stop`, part of the
    # reactor's shutdown, would wait for each request in the queue of a slow site: minutes, and a container gets seconds.
    process.stop = lambda: None  # type: ignore
    run.stop.on_stop = run.halt = functools.cache(lambda: reactor.callFromThread(reactor.stop))  # type: ignore  # once
    run.stop.check()
    try:
        process.start(install_signal_handlers=False)
    finally:
        for end in run.ending:
            end()
    run.stop.check()
    if run.failure:
        raise run.failure
    run.writer.check()  # first: what the spider says of its end counts for nothing if the disk failed
    if failures:
        error = failures[0].value
        raise FleetError(
            f"{run.source.name}: the spider failed before its first request: {type(error).__name__}: {error}. "
            "Nothing was published. Correct the source's code."
        ) from error
    assert crawler.stats is not None
    if too_long := crawler.stats.get_value("urllength/request_ignored_count", 0):
        run.fail_page("http", run.source.manifest.url, f"{too_long} links were longer than Scrapy's URLLENGTH_LIMIT")
    if run.end_reason == "closespider_itemcount":
        run.limited = True
    elif run.end_reason != "finished":
        raise FleetError(
            f"{run.source.name}: the spider did not finish, it ended as {run.end_reason!r}. "
            f"Nothing was published.{run.tally.describe_errors()}"
        )


def _files(run: Run) -> dict[str, Any]:
    """Settings of a source that keeps images and files."""
    if run.source.manifest.files is None:
        return {}
    from crawlers.runtime.file_stores import files_folder
    from crawlers.runtime.files import file_settings

    return file_settings(run, str(files_folder(run.writer.folder.parent, run.source.name)))


def _quiet_process(settings: dict[str, Any]) -> CrawlerProcess:
    """Scrapy's process, which says less than it would. What it says at INFO is in the run's log, but not in the container's (``logs.py``)."""
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        return CrawlerProcess(settings)
    logging.disable(logging.INFO)  # Scrapy sets its loggers' levels anew while it starts, and lists its versions
    try:
        process = CrawlerProcess(settings)
    finally:
        logging.disable(logging.NOTSET)
    for name, level in (
        ("scrapy", logging.INFO),
        # They list settings, secrets among them.
        *((f"scrapy.{part}", logging.WARNING) for part in ("addons", "crawler", "middleware")),
        ("twisted", logging.WARNING),
        # Each failure of theirs is counted, and told then.
        ("scrapy.pipelines", logging.CRITICAL),
        ("botocore", logging.WARNING),
        # A robots.txt that can't be had shows as the failure of the page that it was asked for.
        ("scrapy.downloadermiddlewares.robotstxt", logging.CRITICAL),
    ):
        logging.getLogger(name).setLevel(level)
    return process


def _defaults(run: Run) -> dict[str, Any]:
    """Settings that a spider's ``custom_settings`` may change."""
    return {
        "LOG_INSTALL_ROOT_HANDLER": False,
        "TWISTED_DNS_RESOLVER": f"{_REQUESTS}.GuardedResolver",  # the process's: no spider changes it
        "DOWNLOAD_DELAY_JITTER": 0,
        "DOWNLOAD_TIMEOUT": run.patience.timeout_seconds,
        "DOWNLOAD_MAXSIZE": http.MAX_PAGE_BYTES,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "RETRY_TIMES": http.RETRIES,
        "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
        "RETRY_HTTP_CODES": list(http.RETRY_STATUSES),
        "RETRY_EXCEPTIONS": [*RETRY_EXCEPTIONS, "crawlers.runtime.browser.errors.BrowserCrashedError"],
        "COOKIES_ENABLED": False,
        # Scrapy starts so many tasks for each answer, however few items there are; our pipeline never waits.
        "CONCURRENT_ITEMS": 8,
        # No control ports: neither is asked for.
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
    }


def _fixed(run: Run) -> dict[str, Any]:
    """Settings that no spider changes: what the manifest says of the site, and the parts that publish and count."""
    manifest = run.source.manifest
    handler = f"{_REQUESTS}.BaseUrlDownloadHandler"
    if manifest.kind == "browser":
        handler = "crawlers.runtime.browser.handler.BrowserDownloadHandler"
    return {
        "BOT_NAME": "crawler-fleet",
        "USER_AGENT": http.user_agent(manifest, run.contact),
        # Without the network, nobody is asked for robots.txt.
        "ROBOTSTXT_OBEY": manifest.obey_robots and not (run.pages and run.pages.refetch == "never"),
        "DOWNLOAD_DELAY": 1 / manifest.rate,
        "CONCURRENT_REQUESTS_PER_DOMAIN": manifest.concurrency,
        "CONCURRENT_REQUESTS": max(16, manifest.concurrency),
        "CLOSESPIDER_ITEMCOUNT": run.limit and run.limit + 1,  # as many as the limit are a whole source
        "HTTPPROXY_ENABLED": not run.base_url,  # a proxy of the environment is for the real hosts
        # Nor does a link lead to a file of this machine.
        "DOWNLOAD_HANDLERS": dict.fromkeys(("http", "https"), handler)
        | dict.fromkeys(("data", "file", "ftp", "s3"), None),
        "DOWNLOADER_MIDDLEWARES": {
            f"{_REQUESTS}.AddressMiddleware": 40,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            f"{_REQUESTS}.PoliteRetryMiddleware": 550,
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
            f"{_REQUESTS}.CountingOffsiteMiddleware": 50,
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            f"{_REQUESTS}.StrictRobotsMiddleware": 100,
            **({_PAGE_STORE: 900} if run.pages else {}),
        },
        # Nearest to the engine: it sees each answer first, and each request as it leaves.
        "SPIDER_MIDDLEWARES": {f"{_PARTS}.FailureMiddleware": 10},
        "ITEM_PIPELINES": {f"{_PARTS}.ReleasePipeline": 1000},
        "EXTENSIONS": {f"{_PARTS}.RunExtension": 0},
    }
