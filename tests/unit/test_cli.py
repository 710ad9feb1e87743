"""The ``fleet`` command as a whole."""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fleet.cli import COMMANDS, fleet, main


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a crawler's image."""
    monkeypatch.setitem(COMMANDS, "dump", "fleet.not_installed:dump")


def test_the_help_lists_every_command() -> None:
    listed = CliRunner().invoke(fleet, ["--help"], catch_exceptions=False).output.partition("Commands:")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "} == set(
        COMMANDS
    )


def test_the_help_leaves_out_a_command_whose_packages_are_not_installed(no_hub: None) -> None:
    result = CliRunner().invoke(fleet, ["--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "\n  upload " in result.output
    assert "\n  dump " not in result.output


@pytest.mark.parametrize("arguments", [["dump"], ["dump", "demo", "--json"], ["dump", "--help"], ["crawl", "demo"]])
def test_a_command_whose_packages_are_not_installed_says_which_and_what_to_do(
    no_hub: None,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "crawlers.runtime.scrapy_run", None)  # imported only when a spider is to run
    monkeypatch.setenv("FLEET_SHARED_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["fleet", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert re.search(
        r"can't run here, the package (fleet\.not_installed|crawlers\.runtime\.scrapy_run) .* use the other one",
        capsys.readouterr().err,
    )
    assert not list(tmp_path.glob("*/data.ndjson"))
