"""The crontab of a crawler's container."""

import pytest

from crawlers.images.crontab import crontab
from crawlers.runtime.errors import UsageError
from tests.command import Fleet


def line(fleet: Fleet, **environment: str) -> str:
    text = crontab({"FLEET_SOURCES_DIR": str(fleet.sources), "FLEET_SOURCE": "little", **environment})
    assert text.endswith("\n")
    return text.splitlines()[-1]


@pytest.mark.parametrize("schedule", ["5 4 * * mon", {"kind": "adaptive"}])
def test_each_minute_it_is_looked_whether_the_source_is_due(fleet: Fleet, schedule: str | dict[str, str]) -> None:
    fleet.write_source("little", "api", "", schedule=schedule)
    assert line(fleet).startswith("* * * * * root ")
    assert " exec scripts/tick.sh little " in line(fleet)


def test_a_continuous_source_has_no_line(fleet: Fleet) -> None:
    fleet.write_source("little", "api", "", schedule={"kind": "continuous"})
    assert line(fleet) == "SHELL=/bin/sh"
    assert " exec scripts/tick.sh little " in line(fleet, FLEET_SCHEDULE="*/5 * * * *")


def test_a_source_that_is_checked_has_a_line_for_that_too(fleet: Fleet) -> None:
    folder = fleet.write_source("little", "api", "")
    with (folder / "source.toml").open("a") as file:
        file.write("[check]\nreference_gone = 'http://site.invalid/x'\nreference_alive = 'http://site.invalid/'\n")
        file.write("schedule = '30 5 * * *'\n")
    assert line(fleet).startswith("30 5 * * * root ")
    assert " COMMAND=check FLEET_TRIGGER=schedule exec scripts/run-spider.sh little " in line(fleet)


@pytest.mark.parametrize(
    "schedule", ["* * * *", "0 0 L * *", "0 0 * * 5#2", "@daily", "* * * * *\n* * * * * root id", "60 * * * *"]
)
def test_what_cron_does_not_read_is_refused_by_name(fleet: Fleet, schedule: str) -> None:
    fleet.write_source("little", "api", "")
    with pytest.raises(
        UsageError, match=r"FLEET_SCHEDULE of little: schedule .* Write minute, hour, day, month, weekday in UTC"
    ):
        line(fleet, FLEET_SCHEDULE=schedule)


def test_a_source_that_is_not_there_is_told(fleet: Fleet) -> None:
    with pytest.raises(UsageError, match="no source is called 'little'"):
        line(fleet)
