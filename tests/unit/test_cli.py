"""The ``fleet`` command as a whole."""

import pytest
from click.testing import CliRunner

from crawlers.runtime.errors import UsageError
from fleet.cli import COMMANDS, fleet


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


@pytest.mark.parametrize("arguments", [[], ["demo", "--json"], ["--help"]])
def test_a_command_whose_packages_are_not_installed_says_which_and_what_to_do(
    no_hub: None, arguments: list[str]
) -> None:
    with pytest.raises(
        UsageError, match=r"`fleet dump` can't run here, the package fleet\.not_installed .* use the other one"
    ):
        CliRunner().invoke(fleet, ["dump", *arguments], catch_exceptions=False, standalone_mode=False)
