"""``fleet gaps``: what is known to be missing."""

from pathlib import Path

import click
import orjson

from crawlers.runtime.errors import UsageError
from crawlers.runtime.oai.ledger import LEDGER, PLAN, Ledger
from crawlers.runtime.oai.to_folder import LEDGER as LEDGER_IN_FOLDER
from crawlers.runtime.release import state_folder
from crawlers.runtime.settings import RuntimeSettings


@click.command(epilog="Example: fleet gaps zenodo")
@click.argument("where", metavar="NAME|DIR")
@click.option("--shared", type=click.Path(path_type=Path), help="The shared volume. Default: FLEET_SHARED_DIR.", metavar="DIR")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def gaps(where: str, shared: Path | None, as_json: bool) -> None:
    """List what the harvest of the source NAME, or in the folder DIR, is known to miss. The next run asks for it first."""
    ledger = _find(where, shared or RuntimeSettings.from_environment().shared_dir)
    found = [gap.describe() for gap in ledger.gaps()]
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), nl=False)
        return
    for gap in found:
        click.echo(f"{gap['from']} – {gap['until']}: {gap['reason']} (tried {gap['tries']} times, last {gap['last']})")
        identifiers = gap["identifiers"]
        assert isinstance(identifiers, list)
        for identifier in identifiers:
            click.echo(f"  {identifier}")
        if not identifiers:
            click.echo("  all that is dated so, or those of it that came in no other way")
    click.echo(f"{len(found)} gaps in {ledger.folder}", err=True)


def _find(where: str, shared: Path) -> Ledger:
    folders = [state_folder(shared, where) / LEDGER] if "/" not in where else []
    folders += [Path(where) / LEDGER_IN_FOLDER, Path(where) / LEDGER, Path(where)]
    for folder in folders:
        if (folder / PLAN).is_file():
            return Ledger(folder.absolute())
    looked = ", ".join(str(folder) for folder in folders)
    raise UsageError(
        f"{where!r} is neither a source that was harvested nor a folder of `fleet harvest`. Looked in: {looked}"
    )
