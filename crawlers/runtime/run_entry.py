"""What is kept of each run of a source's crawler."""

import msgspec

from crawlers.runtime.pace import Pace
from crawlers.runtime.release import Counts, Description, ErrorCount


class RunEntry(msgspec.Struct, kw_only=True):
    """A run of a source's crawler: a line of ``history.ndjson``, and ``last-run.json``. Times are ISO 8601 in UTC.

    ``run``: what no other run has; a crawl that is gone on with after it was cut off is a run more of one ``release``.
    ``ended`` is empty and ``exit_code`` null until the crawl ended, and for ever if it was killed.
    ``outcome``: ``running``, ``published``, ``unchanged`` (the same data as the published release: that is up to date),
    ``held`` (by the publish gate), ``empty``, ``partial``, ``failed``, ``stuck`` (nothing moved for too long, and the watchdog ended it),
    ``interrupted`` (by a signal) or ``killed``; and, for what a person did with a held release, ``approved`` or ``discarded``.
    ``message``: why nothing was published, in words, and where it hung; ``reasons``: those of the publish gate.
    ``errors``: by class (the keys of ``tally.ADVICE``); ``coverage``: that of the release which was made.
    ``trigger``: what had it start: ``schedule``, ``order`` (``by`` says whose), ``hand``, or ``transform``, which asks no site; empty
    in runs of older versions. ``limit``: of records, with which it was tried out. ``pace``: how the schedule stood before it.
    """

    source: str
    release: str
    started: str
    run: str = ""
    outcome: str = "running"
    ended: str = ""
    exit_code: int | None = None
    message: str = ""
    reasons: list[str] = msgspec.field(default_factory=list)
    code_version: str = ""
    bytes: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)
    errors: dict[str, ErrorCount] = msgspec.field(default_factory=dict)
    coverage: dict[str, float] = msgspec.field(default_factory=dict)
    trigger: str = ""
    by: str = ""
    limit: int = 0
    pace: Pace | None = None

    def describe(self, description: Description) -> None:
        """Take over what ``description`` says of the release that this run made."""
        self.reasons, self.coverage, self.bytes = description.reasons, description.coverage, description.bytes
