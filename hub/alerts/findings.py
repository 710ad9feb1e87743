"""How the things are that can turn bad: sources, what the hub does with their releases, its database, its disks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.standing import Standing, find_standing
from hub.alerts.configuration import AlertSettings
from hub.alerts.incidents import Finding
from hub.disks import find_disks
from hub.settings import HubSettings

# While a source is like that, nothing is known of how it will be, or a person knows already.
_UNDECIDED = frozenset({"running", "paused"})

# Of a reason, which is remembered on disk.
_MAX_CHARACTERS = 500

ReadSteps = Callable[[], dict[str, dict[str, Any]]]


class Look(msgspec.Struct):
    """How all was at one moment. ``standings``: of the sources that could be looked at."""

    findings: list[Finding]
    standings: list[Standing]


def look(
    settings: HubSettings,
    alerts: AlertSettings,
    manifests: list[Manifest],
    faults: dict[str, str],
    read_steps: ReadSteps | None = None,
) -> Look:
    """Look at everything.

    :param faults: by source, why it can't be served.
    :param read_steps: reads how dumps and uploads went from the database (``Books.find_all``); None: without a database.
    """
    found = Look([], [])
    for name, reason in faults.items():
        if name not in alerts.leave_out:
            found.findings.append(
                Finding(thing=f"source {name}", bad=True, state="faulty", reason=reason[:_MAX_CHARACTERS])
            )
    now = datetime.now(UTC)
    for manifest in manifests:
        if manifest.name in alerts.leave_out:
            continue
        try:
            standing = find_standing(settings.runtime, manifest, now)
        except (FleetError, OSError) as error:
            reason = f"what it left on the shared volume can't be read: {error}"[:_MAX_CHARACTERS]
            found.findings.append(Finding(thing=f"source {manifest.name}", bad=True, state="failing", reason=reason))
            continue
        found.standings.append(standing)
        found.findings.append(_of_source(standing, alerts))
    if read_steps:
        found.findings += _of_database([standing.name for standing in found.standings], read_steps)
    found.findings += _of_disks(settings, alerts.disk_free_percent)
    return found


def _of_source(standing: Standing, alerts: AlertSettings) -> Finding:
    return Finding(
        thing=f"source {standing.name}",
        bad=None if standing.state in _UNDECIDED else standing.state in alerts.bad,
        state=standing.state,
        since=standing.since,
        reason=standing.reason,
    )


def _of_database(names: list[str], read_steps: ReadSteps) -> Iterator[Finding]:
    try:
        steps = read_steps()
    except PyMongoError as error:
        reason = f"{type(error).__name__}: {error}"[:_MAX_CHARACTERS]
        yield Finding(thing="database", bad=True, state="away", reason=reason)
        for name in names:
            yield Finding(thing=f"release of {name}", bad=None, state="unknown")
        return
    yield Finding(thing="database", bad=False, state="up")
    for name in names:
        yield _of_release(name, steps.get(name, {}))


def _of_release(name: str, entry: dict[str, Any]) -> Finding:
    """Whether the published release of the source got live."""
    dump, upload = entry.get("download") or {}, entry.get("upload", {}).get("jobs", {}).get(name) or {}
    for step, told in (("dump", dump), ("upload", upload)):
        if told.get("status") == "failed":
            at = told.get("started_at")
            since = at.isoformat(timespec="seconds") if isinstance(at, datetime) else ""
            state = f"{step} failed"
            return Finding(
                thing=f"release of {name}",
                bad=True,
                state=state,
                since=since,
                reason=str(told.get("err"))[:_MAX_CHARACTERS],
            )
    return Finding(
        thing=f"release of {name}", bad=None if upload.get("status") == "uploading" else False, state="taken up"
    )


def _of_disks(settings: HubSettings, percent: float) -> Iterator[Finding]:
    for disk, (size, free) in find_disks(settings).items():
        share = 100 * free / size if size else 100.0
        reason = f"{share:.1f} % of {size / 1e9:.0f} GB is free. `fleet clean --all --dry-run` lists what could go."
        state = "nearly full" if share < percent else "has room"
        yield Finding(thing=f"disk of {disk}", bad=share < percent, state=state, reason=reason)
