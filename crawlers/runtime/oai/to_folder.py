"""A harvest of any endpoint into a folder, without a manifest: a release, and beside it the ledger that it is built from."""

import logging
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crawlers.runtime import http
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.oai.build import build
from crawlers.runtime.oai.endpoint import Endpoint
from crawlers.runtime.oai.harvest import Harvest, Wanted, Windows
from crawlers.runtime.oai.ledger import Ledger, Plan
from crawlers.runtime.oai.showing import HarvestProgress
from crawlers.runtime.oai.transport import Transport
from crawlers.runtime.settings import PROJECT_URL, code_version
from crawlers.runtime.signals import stopping
from crawlers.runtime.tally import Tally
from crawlers.runtime.writer import ReleaseWriter

logger = logging.getLogger(__name__)

LEDGER = "oai_state"


@dataclass(frozen=True)
class Access:
    """How an endpoint is asked. ``rate``: requests per second, at most; 0: as fast as it answers, one a connection at a time.

    ``base_url``: where requests go instead of the real host; ``obey_robots``: whether robots.txt is followed.
    """

    url: str
    rate: float = 0.0
    post: bool = False
    base_url: str = ""
    contact: str = ""
    obey_robots: bool = True
    patience: http.Patience = http.PATIENCE


@dataclass
class Harvested:
    """What came of a harvest: counts, the gaps that are open, and what had to be done beyond asking (``steps``)."""

    output: str
    release: str = ""
    records: int = 0
    deleted: int = 0
    rejects: int = 0
    gaps: int = 0
    requests: int = 0
    windows: int = 0
    seconds: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    gap_list: list[dict[str, Any]] = field(default_factory=list)


def harvest_to(folder: Path, access: Access, wanted: Wanted) -> Harvested:
    """Harvest into ``folder``, or go on with the harvest that it holds, and publish there what is known then, gaps or not.

    :raises UsageError: the request makes no sense, or the folder holds another harvest.
    :raises LockedError: another harvest into the folder is under way.
    :raises FleetError: the server is gone, or is none; what was harvested is kept, and nothing was published.
    :raises Interrupted: SIGTERM or SIGINT ended it; likewise.
    """
    started = time.monotonic()
    manifest = _manifest(access, wanted)
    result = Harvested(str(folder))
    with stopping() as stop, ReleaseWriter(folder, manifest, code_version=code_version(), folder=folder) as writer:
        tally = Tally()
        with stop.heeding():
            ledger = Ledger(folder / LEDGER)
            run_harvest(access, manifest, wanted, ledger, tally, result)
            built = build(
                ledger.filled(),
                folder,
                writer.write_line,
                lambda reason, record: writer.reject(reason, record=record),
            )
        result.gap_list = [gap.describe() for gap in ledger.gaps()]
        counts = writer.settle()
        tally.fill(counts)
        with stop.too_late():
            description = writer.describe(tally.errors)
            description.gaps, description.deleted = result.gap_list, built.deleted
            writer.publish(description)
    result.release, result.records, result.deleted = description.release, counts.records, built.deleted
    result.rejects, result.gaps, result.requests = counts.rejects, len(result.gap_list), tally.requests
    result.windows = len(ledger.windows())
    result.seconds = round(time.monotonic() - started, 3)
    return result


def run_harvest(
    access: Access, manifest: Manifest, wanted: Wanted, ledger: Ledger, tally: Tally, result: Harvested | None = None
) -> None:
    """Bring the ledger up to date.

    :raises FleetError: see ``Harvest.run``; or robots.txt forbids it.
    """
    transport, endpoint = open_endpoint(access, manifest, wanted.workers, tally)
    progress = HarvestProgress(manifest.name)
    tally.windows = progress.windows
    try:
        windows = None
        if os.environ.get("FLEET_BROKER"):
            from crawlers.runtime.oai import scale  # not at the top: Celery takes a while, and most harvests do without

            ledger.open()
            scale.wait_for_claims(ledger, endpoint)

            def windows(plan: Plan) -> Windows:
                rate = access.rate / wanted.workers
                return scale.RemoteWindows(
                    endpoint, ledger, plan, tally, progress.add, rate=rate, base_url=access.base_url, post=access.post
                )

        Harvest(endpoint, ledger, wanted, progress, windows).run()
    finally:
        progress.close()
        transport.close()
        if result is not None:
            result.steps = dict(sorted(endpoint.steps.items()))


def open_endpoint(access: Access, manifest: Manifest, connections: int, tally: Tally) -> tuple[Transport, Endpoint]:
    """The endpoint, and its connections, which the caller closes.

    :raises FleetError: robots.txt forbids it.
    """
    transport = Transport(
        http.user_agent(manifest, access.contact),
        tally,
        rate=access.rate,
        connections=connections,
        base_url=access.base_url,
        timeout_seconds=access.patience.timeout_seconds,
    )
    endpoint = Endpoint(access.url, transport, access.patience, post=access.post)
    if access.obey_robots:
        endpoint.require_allowed()
    return transport, endpoint


def _manifest(access: Access, wanted: Wanted) -> Manifest:
    host = urlsplit(access.url).hostname or "endpoint"
    name = re.sub(r"[^a-z0-9]+", "_", host.lower()).strip("_")
    name = name if name[:1].isalpha() else f"oai_{name}"
    return Manifest(
        name=name[:40],
        kind="oai-pmh",
        title=host,
        description=f"Harvested from {access.url}, metadataPrefix {wanted.prefix}.",
        url=access.url,
        license_url=access.url,
        contact=access.contact or f"{PROJECT_URL}/issues",
        maintainer="none",
        schedule="0 0 1 1 *",
    )
