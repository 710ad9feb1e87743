"""Prints the crontab of a crawler's container: each minute a look whether the source ``FLEET_SOURCE`` is due.

A container whose schedule is ``continuous`` has no such line: its supervisor looks. Where the manifest's ``[check]`` has a schedule, a
line of its own runs ``fleet check``.
"""

import os
import sys
from collections.abc import Mapping

from crawlers.runtime.container import find_schedule, read_setting
from crawlers.runtime.errors import FleetError
from crawlers.runtime.manifest import find_source
from crawlers.runtime.settings import RuntimeSettings

# The lines are root's, since no other user can open what the init writes to, /proc/1/fd/*. `exec` leaves no shell of root's
# behind; the scripts drop to the user biothings.
SHELL = "SHELL=/bin/sh\n"
_LINE = "{when} root . /run/fleet/environment; cd /app; {what} {name} >/proc/1/fd/1 2>/proc/1/fd/2\n"


def crontab(environment: Mapping[str, str]) -> str:
    """The crontab's text.

    :raises UsageError: there is no such source, its manifest is bad, or ``FLEET_SCHEDULE`` is no schedule.
    """
    source = find_source(RuntimeSettings.from_environment(environment).sources_dir, environment.get("FLEET_SOURCE", ""))
    text = SHELL
    if find_schedule(source.manifest, read_setting(environment)).kind != "continuous":
        text += _LINE.format(when="* * * * *", what="exec scripts/tick.sh", name=source.name)
    checking = source.manifest.check
    if checking and checking.schedule:
        what = "COMMAND=check FLEET_TRIGGER=schedule exec scripts/run-spider.sh"
        text += _LINE.format(when=checking.schedule, what=what, name=source.name)
    return text


if __name__ == "__main__":
    try:
        sys.stdout.write(crontab(os.environ))
    except FleetError as error:
        sys.exit(f"crontab: {error}")
