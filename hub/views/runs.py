"""The runs of a source's crawler, from its history on the shared volume."""

from crawlers.runtime.errors import UsageError
from crawlers.runtime.history import RunEntry, read_history
from crawlers.runtime.release import release_folder
from hub.settings import HubSettings


def list_runs(settings: HubSettings, name: str, last: int | None = 50) -> list[RunEntry]:
    """The runs, the newest first, one under way included.

    :raises ReleaseError: the history can't be read.
    """
    return read_history(release_folder(settings.runtime.shared_dir, name), last)[::-1]


def find_run(settings: HubSettings, name: str, run: str) -> RunEntry:
    """The run called ``run``, or ``last``.

    :raises UsageError: there is none. :raises ReleaseError: the history can't be read.
    """
    found = list_runs(settings, name, 1 if run == "last" else None)
    entry = next((it for it in found if run in ("last", it.run) and it.run), None)
    if entry is None:
        raise UsageError(f"{name}: the history knows no run {run[:80]!r}. `fleet history {name}` lists its runs.")
    return entry
