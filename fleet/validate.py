"""``fleet validate``: holds the records of a release, or of any NDJSON file, against the profiles."""

from collections import Counter
from pathlib import Path

import click
import msgspec
import orjson
from rich.console import Console
from rich.table import Table

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import find_source
from crawlers.runtime.release import DATA, release_folder
from crawlers.runtime.schema.profiles import PROFILES
from crawlers.runtime.schema.summary import Fault, ProfileResult, Validation
from crawlers.runtime.schema.unparsable import kind_of
from crawlers.runtime.schema.validation import Validator
from crawlers.runtime.settings import RuntimeSettings

_WIDTH = 160
_RECOMMENDED_SHOWN = 10
_FAULTS_SHOWN = 20


@click.command(epilog="Example: fleet validate demo --profile nde")
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--profile", "profiles", multiple=True, type=click.Choice(list(PROFILES)), help="Only this one; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def validate(name: str, profiles: tuple[str, ...], as_json: bool) -> None:
    """Report what share of the records of a source's published release, or of an NDJSON file, meets each profile, and why the
    rest does not.

    Nothing is changed. Exits with 1 if a line is no record.
    """
    path, require = _data_file(name)
    validator = Validator(profiles or PROFILES, require)
    unreadable = _check(path, validator)
    found = validator.summary()
    if as_json:
        shown = {"file": str(path), "validation": found, "unreadable": unreadable}
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    else:
        _print(path, found)
    if unreadable:
        reasons = "\n".join(f"  {reason} × {count}" for reason, count in unreadable.items())
        raise FleetError(f"{path}: {sum(unreadable.values())} lines are no records:\n{reasons}")


def _data_file(name: str) -> tuple[Path, tuple[str, ...]]:
    """The file, and the fields that its source demands."""
    settings = RuntimeSettings.from_environment()
    path = Path(name)
    if path.is_file():
        return path, ()
    if path.suffix or len(path.parts) > 1:
        raise UsageError(
            f"{name} is no file. Give the path of an NDJSON file, or the name of a source: `fleet sources` lists them"
        )
    source = find_source(settings.sources_dir, name)
    path = release_folder(settings.shared_dir, name) / DATA
    if not path.is_file():
        raise FleetError(f"{name} has published nothing yet: {path} is not there. Crawl it: fleet crawl {name}")
    return path, source.manifest.require


def _check(path: Path, validator: Validator) -> dict[str, int]:
    """Check each line; how many are no records, by reason."""
    unreadable: Counter[str] = Counter()
    with path.open("rb") as file:
        for line in file:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                unreadable[f"not JSON: {error.msg}"] += 1
                continue
            if isinstance(record, dict):
                validator.check(record)
            else:
                unreadable[f"is {kind_of(record)}, expected is an object"] += 1
    return dict(unreadable)


def _print(path: Path, found: Validation) -> None:
    classes = ", ".join(f"{count} {name}" for name, count in found.classes.items())
    click.echo(f"{path}: {found.records} records ({classes}), {found.completeness:.0%} complete on average")
    if found.refused:
        click.echo(f"{found.refused} of them lack what the manifest demands (`require`)")
    for name, result in found.profiles.items():
        click.echo()
        _print_profile(name, result)
    for heading, faults in (
        ("Values that can't stand in their field", found.impossible),
        ("Values that could not be parsed; they are kept in _meta.unparsed", found.unparsed),
    ):
        if faults:
            click.echo(f"\n{heading}:")
            _print_faults(faults)


def _print_profile(name: str, result: ProfileResult) -> None:
    profile = PROFILES[name]
    if not result.records:
        click.echo(f"{name}: {profile.title} says nothing of records of these classes ({profile.page})")
        return
    share = result.valid / result.records
    click.echo(
        f"{name}: {result.valid} of {result.records} records are valid, {share:.1%} ({profile.title}, {profile.page})"
    )
    rows = [("lacks, required", field, count) for field, count in result.missing_required.items()]
    rows += [("breaks", rule, count) for rule, count in result.broken.items()]
    recommended = list(result.missing_recommended.items())
    rows += [("lacks, recommended", field, count) for field, count in recommended[:_RECOMMENDED_SHOWN]]
    table = _table("", "", "records", "share")
    for kind, field, count in rows:
        table.add_row(kind, field, str(count), f"{count / result.records:.1%}")
    if rows:
        _show(table)
    if len(recommended) > _RECOMMENDED_SHOWN:
        click.echo(f"  and {len(recommended) - _RECOMMENDED_SHOWN} more recommended fields (--json shows all)")


def _print_faults(faults: list[Fault]) -> None:
    table = _table("field", "why", "values", "example", "in")
    for fault in faults[:_FAULTS_SHOWN]:
        table.add_row(fault.field, fault.reason, str(fault.count), fault.example, fault.record)
    _show(table)
    if len(faults) > _FAULTS_SHOWN:
        click.echo(f"  and {len(faults) - _FAULTS_SHOWN} more kinds (--json shows all)")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=any(headings[:2]))
    for heading in headings:
        number = heading in ("records", "share", "values")
        width = {"example": 50, "in": 30}.get(heading)
        table.add_column(
            heading, justify="right" if number else "left", overflow="ellipsis", no_wrap=True, max_width=width
        )
    return table


def _show(table: Table) -> None:
    Console(width=_WIDTH).print(table, highlight=False, markup=False)
