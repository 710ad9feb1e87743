"""``[housekeeping]`` in a source's manifest."""

from typing import Annotated

import msgspec

_Days = Annotated[float, msgspec.Meta(ge=0, le=36_500)]


class Housekeeping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a source's crawls, and for how long. docs/logs-and-housekeeping.md explains it.

    ``logs``: of so many runs, the newest; ``log_mb``: of a run's log, at most: its head and its tail.
    ``held_days``: how long a release waits for a person who approves or discards it; ``rejects_days``: how long the rejects of a run that
    published nothing are kept. 0: for ever.
    """

    logs: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    log_mb: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 4.0
    held_days: _Days = 90.0
    rejects_days: _Days = 90.0
