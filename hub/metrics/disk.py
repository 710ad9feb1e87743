"""What each source takes of the disk. To look at all files of all sources takes a while: it is done in turns."""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric

from crawlers.runtime.disk_use import DiskUse, find_disk_use
from crawlers.runtime.errors import FleetError

logger = logging.getLogger(__name__)

# How long one collection may look at files, and for how long what it found is good.
_TURN_SECONDS = 0.2
_GOOD_SECONDS = 300.0
_PARTS = tuple(name for name in DiskUse.__struct_fields__ if name not in ("total", "complete"))


class DiskCollector:
    """Of the sources that ``list_names`` names. One that had no turn yet is left out."""

    def __init__(self, shared_dir: Path, archive_dir: Path, list_names: Callable[[], list[str]]) -> None:
        self._shared_dir = shared_dir
        self._archive_dir = archive_dir
        self._list_names = list_names
        self._found: dict[str, tuple[float, dict[str, int]]] = {}

    def describe(self) -> Iterable[Metric]:
        """None: else the registry would collect, just to know the names."""
        return []

    def collect(self) -> Iterable[Metric]:
        names = self._list_names()
        self._found = {name: self._found[name] for name in names if name in self._found}
        self._measure(names)
        help = "What the source takes of the disk, by what takes it; measured every few minutes."
        family = GaugeMetricFamily("fleet_source_disk_bytes", help, labels=["source", "part"])
        for name, (_, parts) in self._found.items():
            for part in _PARTS:
                family.add_metric([name, part], parts[part])
        yield family

    def _measure(self, names: list[str]) -> None:
        """Look at those whose turn is the longest ago."""
        started = time.monotonic()
        for name in sorted(names, key=lambda it: self._found[it][0] if it in self._found else float("-inf")):
            if name in self._found and started - self._found[name][0] < _GOOD_SECONDS:
                return
            try:
                found = msgspec.to_builtins(find_disk_use(self._shared_dir, name, self._archive_dir))
                self._found[name] = (time.monotonic(), found)
            except (FleetError, OSError) as error:
                logger.warning("metrics: what %s takes of the disk can't be found: %s", name, error)
            if time.monotonic() - started > _TURN_SECONDS:
                return
