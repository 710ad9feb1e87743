"""Old log files of the hub's SDK go, but none that is in use."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.housekeeping import tidy_logs
from hub.settings import HubSettings

NOW = datetime.now(UTC)


def log(folder: Path, name: str, age_days: float) -> Path:
    path = folder / "logs" / "hub" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 100)
    seconds = (NOW - timedelta(days=age_days)).timestamp()
    os.utime(path, (seconds, seconds))
    return path


def test_logs_that_nobody_wrote_to_for_long_and_nobody_holds_open_are_removed(tmp_path: Path) -> None:
    settings = HubSettings.from_environment({"FLEET_DATA_DIR": str(tmp_path), "FLEET_HUB_LOG_DAYS": "10"})
    old, rotated = log(tmp_path, "dump_demo.log", 11), log(tmp_path, "dataload/upload_demo.log.2026-11-01.gz", 12)
    new, used = log(tmp_path, "dump_other.log", 9), log(tmp_path, "hub.log", 20)
    (tmp_path / "logs" / "hub" / "link.log").symlink_to(tmp_path / "elsewhere")
    with used.open("rb"):
        listed = tidy_logs(settings, NOW, dry_run=True)
        assert [it.path for it in listed] == [rotated, old]
        assert [it.bytes for it in listed] == [100, 100]
        assert old.exists()
        assert tidy_logs(settings, NOW) == listed
        assert tidy_logs(settings, NOW) == []
    assert new.exists() and used.exists()
    assert [it.path for it in tidy_logs(settings, NOW)] == [used]


def test_without_a_limit_none_is_removed(tmp_path: Path) -> None:
    settings = HubSettings.from_environment({"FLEET_DATA_DIR": str(tmp_path), "FLEET_HUB_LOG_DAYS": "0"})
    log(tmp_path, "dump_demo.log", 999)
    assert tidy_logs(settings, NOW) == []
