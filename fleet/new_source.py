"""``fleet new-source``: a source that works, to be made the site's own."""

import os
import re
import shutil
import tempfile
import zlib
from pathlib import Path

import click

from crawlers.runtime.case_run import run_case
from crawlers.runtime.cases import FIXTURES, Case, write_case
from crawlers.runtime.errors import UsageError
from crawlers.runtime.http import is_http_url
from crawlers.runtime.loading import CODE_FILES
from crawlers.runtime.manifest import MANIFEST, NAME_PATTERN, load_source, nearest
from crawlers.runtime.settings import PROJECT_URL, RuntimeSettings
from fleet.templates import TEMPLATES, manifest

COMPOSE = "docker-compose.yml"
FIRST_CASE = "example"


@click.command(
    "new-source", epilog="Example: fleet new-source my_archive --kind jsonld --url https://data.example.org/"
)
@click.argument("name")
@click.option("--kind", required=True, help=f"How the site is crawled: {', '.join(TEMPLATES)}.", metavar="KIND")
@click.option("--url", required=True, help="Where the crawl starts: a listing, a sitemap, or an API.", metavar="URL")
def new_source(name: str, kind: str, url: str) -> None:
    """Write a new source NAME: folder, manifest, code, a first case, and its service in docker-compose.yml.

    It passes `fleet test NAME` as it is written; what is left is to make it fit the site.
    """
    settings = RuntimeSettings.from_environment()
    sources_dir = settings.sources_dir
    _check(name, kind, url, sources_dir)
    compose, note = _compose(sources_dir, name, kind)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=sources_dir) as temporary:
        folder = Path(temporary) / name
        _write_source(folder, kind, url, settings.contact or f"{PROJECT_URL}/issues")
        _put_in_place(folder, sources_dir / name, compose, sources_dir)
    _say_next(sources_dir / name, kind, note)


def _check(name: str, kind: str, url: str, sources_dir: Path) -> None:
    if not re.fullmatch(NAME_PATTERN.strip("^$"), name):
        raise UsageError(
            f"{name!r} can't be a source's name: it needs 2 to 40 lower-case letters, digits and _, a letter first, because it "
            "also names a folder, a compose service and a MongoDB collection. E.g. my_archive"
        )
    if kind not in TEMPLATES:
        raise UsageError(f"--kind is {kind!r}: the kinds are {', '.join(TEMPLATES)}.{nearest(kind, list(TEMPLATES))}")
    if not is_http_url(url) or not re.fullmatch(r"[!#-\[\]^_a-z~]+", url):
        raise UsageError(f"--url is {url!r}: expected is http(s)://host/path, escaped, e.g. https://data.example.org/")
    if not sources_dir.is_dir():
        raise UsageError(f"{sources_dir} is not a folder: set FLEET_SOURCES_DIR to the folder of the sources")
    if (sources_dir / name).exists():
        raise UsageError(f"{sources_dir / name} is there already. Give another name, or change that source")


def _write_source(folder: Path, kind: str, url: str, contact: str) -> None:
    template = TEMPLATES[kind]
    folder.mkdir()
    text = manifest(folder.name, kind, url, contact, _schedule(folder.name))
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    if template.code:
        (folder / CODE_FILES[kind]).write_text(template.code(folder.name, url), encoding="utf-8")
    source = load_source(folder)
    case = Case(folder / FIXTURES / FIRST_CASE, tuple(template.pages(url)))
    outcome = run_case(source, case)
    if not outcome["records"] or outcome.keys() - {"records", "follows"}:
        raise UsageError(
            f"--url is {url!r}: the first case, made up from it, gives {outcome!r}; expected is a record. Give the URL of the "
            "site's home page instead, and correct the code afterwards"
        )
    write_case(case, outcome)


def _schedule(name: str) -> str:
    """Once a week at a moment of the name's own, so that not all sources are crawled at once."""
    moment = zlib.crc32(name.encode())
    return f"{moment % 60} {moment // 60 % 24} * * {moment // 1440 % 7}"


def _compose(sources_dir: Path, name: str, kind: str) -> tuple[str | None, str]:
    """The new text of docker-compose.yml, or None and why it is left alone."""
    block = (
        f"  {name}:\n"
        f"    extends: {{ file: crawlers/images/services.yml, service: {kind} }}\n"
        f"    build: {{ args: {{ SOURCE: {name} }} }}\n"
    )
    path = _compose_path(sources_dir)
    if path is None or not path.is_file():
        return None, f"No {COMPOSE} belongs to {sources_dir}: the source has no service there."
    text = path.read_text(encoding="utf-8")
    top_level = re.findall(r"^([\w-]+):", text, re.MULTILINE)
    if re.search(rf"^  {name}:", text, re.MULTILINE):
        return (
            None,
            f"{path} has a service {name} already: it was left as it is. See that it fits; if not, the source needs another name.",
        )
    if not top_level or top_level[-1] != "services":
        return None, f"{path} does not end with its services: it was left as it is. Add below `services:`\n{block}"
    return f"{text.rstrip()}\n{block}", f"{path} has the service {name}."


def _compose_path(sources_dir: Path) -> Path | None:
    """Only the sources of a checkout have one: its services build from ``crawlers/sources``."""
    return sources_dir.parents[1] / COMPOSE if sources_dir.parts[-2:] == ("crawlers", "sources") else None


def _put_in_place(written: Path, folder: Path, compose: str | None, sources_dir: Path) -> None:
    """Move the source to its place and add its service: both or none."""
    path = _compose_path(sources_dir)
    written.rename(folder)
    if compose is None or path is None:
        return
    temporary = path.with_name(f".{COMPOSE}.{os.getpid()}")
    try:
        temporary.write_text(compose, encoding="utf-8")
        shutil.copymode(path, temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        shutil.rmtree(folder)
        raise


def _say_next(folder: Path, kind: str, note: str) -> None:
    name = folder.name
    code = folder / CODE_FILES.get(kind, MANIFEST)
    click.echo(f"The source {name} is in {folder}. {note}")
    click.echo("Next:")
    steps = (
        f"In {folder / MANIFEST}: title, description, license_url, maintainer; schedule and rate as the site can bear.",
        f"In {code}: {TEMPLATES[kind].peculiar}.",
        f"Record a real page: fleet record {name} URL, and read the expected.json it writes. Remove the made-up case: "
        f"rm -r {folder / FIXTURES / FIRST_CASE}",
        f"Try: fleet test {name}, then fleet crawl {name} --limit 10",
        f"Publish: fleet crawl {name}; the hub takes it up. docs/adding-a-source.md says more.",
    )
    for number, step in enumerate(steps, start=1):
        click.echo(f"{number}. {step}")
