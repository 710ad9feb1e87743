"""What a crawl saw so far."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from crawlers.runtime.masking import mask
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
    "unfollowable": "links that are javascript:, mailto: or the like: see whether the definition means other elements",
    "not_stored": "the page is not in the page store: `fleet crawl NAME --refetch none` fetches what is missing",
    "address": "the link leads to a private address: a trap, or a site of your own network, which private_hosts allows",
    "scheme": "the link is no http(s) URL: select links that are",
    "offsite": "the link leads to a host that is not the site's: hosts in the manifest, or allowed_domains of the spider, would allow it",
    "withdrawn": "the site withdrew the record, by what `fleet check` saw: it comes back when a crawl sees its page alive",
    "parse": "the page is not what the source's code expects: record a case and correct the code",
    "schema": "the record breaks a rule of the release: see rejects.ndjson",
    "duplicate": "two records have one _id: see whether both are needed, and make it of what tells them apart",
    "refused": "the source's own code turns the record down: see whether its rule is right",
    "too_large": "the answer is larger than we take",
    "gap": "records are known to be missing: `fleet gaps` names them, and the next crawl asks for them first",
}
# Links that lead elsewhere are counted, but they are no failure of the crawl.
_HARMLESS = frozenset({"offsite", "redirected", "unfollowable"})


class Windows(NamedTuple):
    """How far a harvest is: windows that are done, about how many there are, records that came, and how many there are by the server."""

    done: int
    expected: int
    records: int
    size: int | None


@dataclass
class Tally:
    """Counts of one crawl, filled in while it runs.

    ``requests``: sent, retries included; ``responses``: received; ``pages``: distinct requests that came to an end, well or not;
    ``failed_pages``: those given up, and those whose parsing raised an error;
    ``quiet``: whether errors are counted without a word.
    ``failed_starts``: URLs that the crawl starts from and that failed; ``errors``: by class, with an example each.
    ``received_bytes``: of answers, as they came; ``steps``: what else shows that it moves. ``under_way``: URLs that are asked for
    now, and how often; ``last_url``: where the last answer came from; ``expected``: how many records there are, by the site's word.
    ``patient_until``: by the monotonic clock, until when it waits because it said so, out of politeness. ``on_place`` is told what the
    crawl does now, in a few words; ``windows``: tells how far a harvest is.
    """

    quiet: bool = False
    requests: int = 0
    responses: int = 0
    pages: int = 0
    failed_pages: int = 0
    failed_starts: list[str] = field(default_factory=list)
    errors: dict[str, ErrorCount] = field(default_factory=dict)
    received_bytes: int = 0
    steps: int = 0
    under_way: dict[str, int] = field(default_factory=dict)
    last_url: str = ""
    expected: int | None = None
    patient_until: float = 0.0
    on_place: Callable[[str], None] = lambda place: None
    windows: Callable[[], Windows] | None = None

    def ask(self, url: str) -> None:
        """A request is being sent."""
        self.requests += 1
        self.under_way[url] = self.under_way.get(url, 0) + 1
        self.on_place(f"asking for {url}")

    def leave(self, url: str) -> None:
        """A request that was sent has come to its end."""
        left = self.under_way.pop(url, 0) - 1
        if left > 0:
            self.under_way[url] = left

    def answer(self, url: str) -> None:
        """An answer has come, whole."""
        self.responses += 1
        self.last_url = url
        self.on_place(f"reading {url}")

    def step(self) -> None:
        """Something moves that no other count shows."""
        self.steps += 1

    def wait(self, seconds: float) -> None:
        """Nothing will move for so long, out of politeness: that is not to be stuck."""
        self.patient_until = max(self.patient_until, time.monotonic() + seconds)

    def error(self, kind: str, url: str, message: str, *, harmless: bool = False) -> None:
        """Count an error of class ``kind`` (a key of ``ADVICE``); the first of each class is kept as the example.

        :param harmless: nothing of the site is lost by it, as by a link to another site.
        """
        seen = self._seen(kind, url, message)
        seen.count += 1
        if harmless or kind in _HARMLESS:
            self.pages -= 1  # nor do they make room in the error budget
        else:
            self.failed_pages += 1
        if not self.quiet:
            logger.warning("%s error: %s: %s", kind, url, message)

    def note(self, kind: str, url: str, message: str, count: int = 1) -> None:
        """Count what was no page: it costs nothing, but a person may want to know."""
        self._seen(kind, url, message).count += count

    def _seen(self, kind: str, url: str, message: str) -> ErrorCount:
        first = ErrorCount(url=mask(url), message=mask(message[:500]), action=ADVICE.get(kind, ""))
        return self.errors.setdefault(kind, first)

    def fill(self, counts: Counts) -> None:
        """Put the requests' side of the counts into ``counts``."""
        counts.requests = self.requests
        counts.responses = self.responses
        counts.failed_requests = self.failed_pages
        counts.pages = self.pages

    def describe_errors(self) -> str:
        """The errors by class in words, with an example and what to do; empty where there are none."""
        return "".join(
            f"\n  {kind} × {error.count}, e.g. {error.url}: {error.message}\n    → {error.action}"
            for kind, error in sorted(self.errors.items())
        )
