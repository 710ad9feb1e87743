"""By what the hub knows that something of a source changed."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from crawlers.runtime.orders import order, pause
from hub.dataload.pin import Pin, write_pin
from hub.settings import HubSettings
from hub.signatures import sign


@pytest.fixture
def settings(tmp_path: Path) -> HubSettings:
    settings = HubSettings.from_environment({"FLEET_DATA_DIR": str(tmp_path)})
    (settings.runtime.shared_dir / "little_crawled" / "held").mkdir(parents=True)
    (settings.runtime.shared_dir / "little_crawled" / "release.txt").write_text("")
    (settings.archive_dir / "little" / "books" / "changes").mkdir(parents=True)
    return settings


def _replace(path: Path) -> None:
    path.with_suffix(".new").write_text("x")
    path.with_suffix(".new").replace(path)


CHANGES: dict[str, Callable[[HubSettings], object]] = {
    "a run ended": lambda it: _replace(it.runtime.shared_dir / "little_crawled" / "last-run.json"),
    "a release was held": lambda it: _replace(it.runtime.shared_dir / "little_crawled" / "held" / "release.txt"),
    "a release was written in place": lambda it: (it.runtime.shared_dir / "little_crawled" / "release.txt").write_text(
        "x"
    ),
    "an order": lambda it: order(it.runtime.shared_dir / "little_state", "crawl", "erika"),
    "a pause": lambda it: pause(it.runtime.shared_dir / "little_state", "erika", "why not"),
    "a release was archived": lambda it: (it.archive_dir / "little" / "2026-11-22T01:02:03Z").mkdir(),
    "a pin": lambda it: write_pin(it.archive_dir / "little", Pin(release="r", since="s")),
    "a comparison": lambda it: _replace(it.archive_dir / "little" / "books" / "changes" / "r.json"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_seen_and_nothing_else(
    settings: HubSettings, change: Callable[[HubSettings], object]
) -> None:
    with time_machine.travel(timedelta(hours=1)):
        before = sign(settings, "little")
        assert sign(settings, "little") == before
        change(settings)
        assert sign(settings, "little") != before


def test_two_changes_within_one_step_of_the_clock_are_not_taken_for_one(settings: HubSettings) -> None:
    folder = settings.runtime.shared_dir / "little_crawled"
    _replace(folder / "last-run.json")
    stamp = folder.stat().st_mtime_ns
    first = sign(settings, "little")
    _replace(folder / "last-run.json")
    os.utime(folder, ns=(stamp, stamp))
    with time_machine.travel(timedelta(seconds=3)):
        later = sign(settings, "little")
        assert later != first
        assert sign(settings, "little") == later
