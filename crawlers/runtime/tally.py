"""What a crawl saw so far, and whether that is good enough to be published."""

import logging
from dataclasses import dataclass, field

from crawlers.runtime.errors import FleetError, PartialError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import Counts, ErrorCount

logger = logging.getLogger(__name__)

# What an operator would do about errors of each class; the classes are those of `failure_class`.
ADVICE = {
    "dns": "check the host name and this machine's resolver",
    "connection": "see whether the site is up, and whether a proxy or firewall stands between",
    "timeout": "the site is slow or hangs: lower the rate, or crawl at another hour",
    "tls": "the site's certificate is not valid: tell the site",
    "redirected": "the link leads to a page that another link leads to as well",
    "robots": "robots.txt forbids it, or the site fails to give it: ask the site, or set obey_robots with the reason in the description",
    "blocked": "the site refuses us (401, 403, 429): lower the rate, and get in touch with the site",
    "not_found": "the link is dead (404, 410): see whether the site has moved",
    "http": "the site answered with an unexpected status",
    "browser": "the browser crashed: give the container more memory (FLEET_BROWSER_MEMORY), or lower memory_mb in [browser]",
    "step": "the rendered page is not what its steps expect: look at its picture, and correct wait_for and steps",
    "server": "the site failed (5xx): try again later",
    "address": "the link leads to a private address: a trap, or a site of your own network, which private_hosts allows",
    "scheme": "the link is no http(s) URL: select links that are",
    "offsite": "the link leads to a host that is not the site's: hosts in the manifest, or allowed_domains of the spider, would allow it",
    "parse": "the page is not what the source's code expects: record a case and correct the code",
    "schema": "the record breaks a rule of the release: see rejects.ndjson",
    "too_large": "the answer is larger than we take",
}
# Links that lead elsewhere are counted, but they are no failure of the crawl.
_HARMLESS = frozenset({"offsite", "redirected"})


@dataclass
class Tally:
    """Counts of one crawl, filled in while it runs.

    ``requests``: sent, retries included; ``responses``: received; ``pages``: distinct requests that came to an end, well or not;
    ``failed_pages``: those given up, and those whose parsing raised an error;
    ``quiet``: whether errors are counted without a word.
    ``failed_starts``: URLs that the crawl starts from and that failed; ``errors``: by class, with an example each.
    """

    quiet: bool = False
    requests: int = 0
    responses: int = 0
    pages: int = 0
    failed_pages: int = 0
    failed_starts: list[str] = field(default_factory=list)
    errors: dict[str, ErrorCount] = field(default_factory=dict)

    def error(self, kind: str, url: str, message: str, *, harmless: bool = False) -> None:
        """Count an error of class ``kind`` (a key of ``ADVICE``); the first of each class is kept as the example.

        :param harmless: nothing of the site is lost by it, as by a link to another site.
        """
        seen = self.errors.setdefault(kind, ErrorCount(url=url, message=message[:500]))
        seen.count += 1
        if harmless or kind in _HARMLESS:
            self.pages -= 1  # nor do they make room in the error budget
        else:
            self.failed_pages += 1
        if not self.quiet:
            logger.warning("%s error: %s: %s", kind, url, message)

    def note(self, kind: str, url: str, message: str, count: int = 1) -> None:
        """Count what was no page: it costs nothing, but a person may want to know."""
        seen = self.errors.setdefault(kind, ErrorCount(url=url, message=message[:500]))
        seen.count += count

    def fill(self, counts: Counts) -> None:
        """Put the requests' side of the counts into ``counts``."""
        counts.requests = self.requests
        counts.responses = self.responses
        counts.failed_requests = self.failed_pages

    def describe_errors(self) -> str:
        """The errors by class in words, with an example and what to do; empty where there are none."""
        return "".join(
            f"\n  {kind} × {error.count}, e.g. {error.url}: {error.message}\n    → {ADVICE.get(kind, '')}"
            for kind, error in sorted(self.errors.items())
        )


def require_good(manifest: Manifest, tally: Tally, counts: Counts, *, limited: bool = False) -> None:
    """Let a crawl pass that ended by itself and may be published.

    :param limited: it was cut short by ``--limit``.
    :raises PartialError: pages or records are missing beyond the manifest's budgets.
    :raises FleetError: a start request failed, or there is no record and the manifest doesn't allow that.
    """
    name, errors = manifest.name, tally.describe_errors()
    if limited:
        raise PartialError(
            f"{name}: cut short by --limit, so this is no release: nothing was published. There are more records."
        )
    if tally.failed_starts:
        raise FleetError(
            f"{name}: the crawl could not start well: {', '.join(tally.failed_starts[:3])} failed. Nothing was published.{errors}"
        )
    if tally.failed_pages > manifest.error_budget * tally.pages:
        raise PartialError(
            f"{name}: {tally.failed_pages} of {tally.pages} pages failed; error_budget allows {manifest.error_budget:.2%}. "
            f"Nothing was published. Mend the causes, or raise error_budget in the manifest.{errors}"
        )
    if counts.rejected_items > manifest.reject_budget * counts.items:
        raise PartialError(
            f"{name}: {counts.rejected_items} of {counts.items} records were rejected; reject_budget allows "
            f"{manifest.reject_budget:.2%}. Nothing was published. Correct the source's code, or raise reject_budget.{errors}"
        )
    if counts.records == 0 and not manifest.allow_empty:
        raise FleetError(
            f"{name}: no record was found on {tally.pages} pages. Nothing was published. See whether the site has changed "
            f"(`fleet test {name}` shows what the code expects); a source that may be empty sets allow_empty = true.{errors}"
        )
