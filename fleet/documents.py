"""``fleet documents``: a look at the live documents of a source, by the running hub."""

import json
from typing import Any
from urllib.parse import quote

import click

from crawlers.runtime.errors import UsageError
from crawlers.runtime.terminal import safe
from hub.client import HubClient
from hub.settings import HubSettings

_WIDTH = 120
_READ_SECONDS = 60.0
_VALUE = 300


@click.command(epilog="Example: fleet documents demo --field author.name --equals 'Ana Muster'")
@click.argument("name")
@click.option("--id", "identifier", default="", help="The one with this _id.", metavar="ID")
@click.option("--history", is_flag=True, help="With --id: what each archived release did to it.")
@click.option("--field", default="", help="By a field, or a path as author.name: those that have it, or as the next options say.", metavar="F")  # fmt: skip
@click.option("--equals", help="Those whose field is V: text, a number, true, false or null.", metavar="V")
@click.option("--prefix", help="Those whose field begins with V.", metavar="V")
@click.option("--missing", is_flag=True, help="Those without the field.")
@click.option("--sample", is_flag=True, help="Some at random.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="So many.", metavar="N")
@click.option("--values", is_flag=True, help="Count the values of the field instead.")
@click.option("--fields", is_flag=True, help="Tell which fields there are, and of which types, instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one document a line.")
def documents(name: str, identifier: str, history: bool, fields: bool, as_json: bool, **asked: Any) -> None:
    """Look at the live documents of source NAME: in the order of their _id, one, those of a field's value, or some at random."""
    client, base = HubClient(HubSettings.from_environment()), f"/fleet/sources/{quote(name, safe='')}"
    if history and not identifier:
        raise UsageError("--history tells what became of one record: --id says which")
    if asked["values"] and not asked["field"]:
        raise UsageError("--values counts those of a field: --field says which")
    if fields:
        _tell(client.ask("GET", f"{base}/fields"), _print_fields, as_json)
    elif asked["values"]:
        _tell(client.ask("GET", f"{base}/fields/{quote(asked['field'], safe='')}"), _print_values, as_json)
    elif history:
        _tell(client.ask("GET", f"{base}/documents/{quote(identifier, safe='')}/history"), _print_history, as_json)
    else:
        path = f"{base}/documents/{quote(identifier, safe='')}" if identifier else f"{base}/documents"
        found = client.ask("GET", path, _READ_SECONDS, **({} if identifier else _query(**asked)))
        _print_documents([found] if identifier else found["documents"], as_json)


def _query(
    field: str, equals: str | None, prefix: str | None, missing: bool, sample: bool, limit: int, values: bool
) -> dict[str, str]:
    if sample:
        return {"sample": "true", "limit": str(limit)}
    chosen = [
        it for it in (("equals", equals), ("prefix", prefix), ("missing", "" if missing else None)) if it[1] is not None
    ]
    if len(chosen) > 1 or (chosen and not field):
        raise UsageError("one of --equals, --prefix and --missing goes with --field")
    operator, value = chosen[0] if chosen else ("exists", "")
    return {"limit": str(limit), **({"field": field, "operator": operator, "value": str(value)} if field else {})}


def _tell(found: dict[str, Any], show: Any, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        show(found)


def _print_documents(found: list[dict[str, Any]], as_json: bool) -> None:
    for document in found:
        if as_json:
            click.echo(json.dumps(document, ensure_ascii=False))
            continue
        click.echo(click.style(safe(str(document.get("_id"))), bold=True))
        for key, value in document.items():
            if key != "_id":
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                click.echo(f"  {safe(key)}: {safe(text[:_VALUE])}{'…' if len(text) > _VALUE else ''}")
    if not found and not as_json:
        click.echo("no document is like that")


def _print_values(found: dict[str, Any]) -> None:
    click.echo(
        f"{safe(found['field'])}: {found['distinct']} different values in {_basis(found['basis'])}; {found['missing']} have none"
    )
    for value in found["values"]:
        click.echo(f"{value['count']:>10}  {safe(value['value'])[:_WIDTH]}  ({value['type']})")


def _print_fields(found: dict[str, Any]) -> None:
    click.echo(f"in {_basis(found['basis'])}:")
    for field in found["fields"]:
        types = ", ".join(field["types"])
        click.echo(f"{field['documents']:>10}  {safe(field['path'])}  {types}  {safe(field['example'])[:60]}".rstrip())
    if found["more"]:
        click.echo("            and more")


def _print_history(found: dict[str, Any]) -> None:
    if all(step["became"] == "absent" for step in found["steps"]):
        raise UsageError(f"no archived release holds a record whose _id is {found['id']!r}")
    for step in found["steps"]:
        click.echo(f"{step['release']}  {step['became']}")
        for change in step["changes"]:
            before, after = (
                "nothing" if it is None else safe(it)[:_WIDTH] for it in (change["before"], change["after"])
            )
            click.echo(f"    {safe(change['path'])}: {before} → {after}")


def _basis(basis: dict[str, Any]) -> str:
    whole = f"{basis['looked_at']} documents"
    if basis["sampled"]:
        whole += f", a random sample of {basis['documents']}"
    return whole + (" (the time was up)" if basis["cut_off"] else "")
