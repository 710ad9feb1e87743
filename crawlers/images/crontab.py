"""Prints the crontab of a crawler's container: one run of the source ``FLEET_SOURCE`` by its manifest's schedule.

``FLEET_SCHEDULE``, five cron fields in UTC, wins over the manifest's.

Where the manifest's ``[check]`` has a schedule, a second line runs ``fleet check``.
"""

import os
import sys
from collections.abc import Mapping

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import find_source
from crawlers.runtime.schedule import check_cron
from crawlers.runtime.settings import RuntimeSettings

# The line is root's, since no other user can open what the init writes to, /proc/1/fd/*. `exec` leaves no shell of root's
# behind; run-spider.sh drops to the user biothings.
TEMPLATE = """\
SHELL=/bin/sh
{schedule} root . /run/fleet/environment; cd /app; exec scripts/run-spider.sh {name} >/proc/1/fd/1 2>/proc/1/fd/2
"""

CHECK = """\
{schedule} root . /run/fleet/environment; cd /app; COMMAND=check exec scripts/run-spider.sh {name} >/proc/1/fd/1 2>/proc/1/fd/2
"""


def crontab(environment: Mapping[str, str]) -> str:
    """The crontab's text.

    :raises UsageError: there is no such source, its manifest is bad, or ``FLEET_SCHEDULE`` is no schedule.
    """
    source = find_source(RuntimeSettings.from_environment(environment).sources_dir, environment.get("FLEET_SOURCE", ""))
    schedule = environment.get("FLEET_SCHEDULE", "").strip()
    try:
        check_cron(schedule or source.manifest.timing.cron)
    except ValueError as error:
        raise UsageError(f"FLEET_SCHEDULE of {source.name}: {error}") from error
    text = TEMPLATE.format(schedule=schedule or source.manifest.timing.cron, name=source.name)
    checking = source.manifest.check
    return text + (CHECK.format(schedule=checking.schedule, name=source.name) if checking and checking.schedule else "")


if __name__ == "__main__":
    try:
        sys.stdout.write(crontab(os.environ))
    except FleetError as error:
        sys.exit(f"crontab: {error}")
