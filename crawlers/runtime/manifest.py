"""Source manifests: one ``source.toml`` a source, read and checked.

A folder below ``crawlers/sources/`` is a source if and only if it holds ``source.toml``. Each is loaded on its own, so that
a malformed one never hides the others.
"""

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from crawlers.runtime.errors import UsageError
from crawlers.runtime.housekeeping_table import Housekeeping
from crawlers.runtime.schedule import Schedule, check_cron

MANIFEST = "source.toml"
# One name for the folder, the spider, the compose service, the MongoDB collection and the prefix of _id: what all of them allow.
NAME_PATTERN = r"^[a-z][a-z0-9_]{1,39}$"
# It travels in a header: printable ASCII.
CONTACT_PATTERN = r"^[ -~]+\Z"
KINDS = ("scrapy", "jsonld", "api", "oai-pmh", "pages", "browser")
PROFILES = ("nde", "google", "datacite", "none")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
_Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Hosts = tuple[Annotated[str, msgspec.Meta(pattern=r"^[^\s/@]+$", max_length=255)], ...]


class Browsing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[browser]``, for sources of the kind browser.

    ``browsers``: how many at once. One is replaced after so many ``pages``, or as soon as it takes more than ``memory_mb``.
    ``hosts``: hosts beside the site's own that its pages may load scripts and data from; to links they mean nothing.
    """

    browsers: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    pages: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    memory_mb: Annotated[int, msgspec.Meta(ge=100, le=100_000)] = 800
    hosts: _Hosts = ()


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[files]``: images and files of records are kept. docs/files.md explains it.

    ``store``: ``s3://bucket/prefix``; empty: a folder beside the releases.
    ``max_mb``: of one file; ``max_per_record``: how many; ``types``: media types that are taken, empty: any;
    ``max_megapixels``: of one image. ``thumbnails``: by name, the width and height of the box that they fit in.
    ``refetch_days``: for how long a file that is there is not asked for again. ``hosts``: hosts beside the site's that have files.
    """

    store: Annotated[str, msgspec.Meta(pattern=r"^(s3://[^\s/]+(/\S*)?)?$")] = ""
    max_mb: Annotated[float, msgspec.Meta(gt=0, le=1024)] = 20
    max_per_record: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    max_megapixels: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 50
    types: tuple[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$")], ...] = ()
    thumbnails: dict[
        Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,40}$")],
        tuple[Annotated[int, msgspec.Meta(ge=1, le=4000)], ...],
    ] = {}
    refetch_days: Annotated[float, msgspec.Meta(ge=0)] = 30
    hosts: _Hosts = ()

    def __post_init__(self) -> None:
        for name, size in self.thumbnails.items():
            if len(size) != 2:
                raise ValueError(f"thumbnails.{name} is {list(size)}: expected is [width, height]")


class Checking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[check]``: how ``fleet check`` tells that a record was withdrawn. docs/checking.md explains it.

    ``reference_gone``: a URL of the site that must come out as gone; ``reference_alive``: one that must not.
    ``gone_css``, ``gone_xpath``: what a page holds whose record is gone, though its status is 200.
    ``slice``: records visited by one check. ``every_hours``: before that, a record is not visited again.
    ``schedule``: five cron fields in UTC; empty: checks are run by hand.
    """

    reference_gone: _Url
    reference_alive: _Url
    gone_css: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    gone_xpath: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    slice: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100
    every_hours: Annotated[float, msgspec.Meta(ge=0)] = 24
    schedule: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the hub keeps archived releases: the newest ``keep``, and all that are younger than ``keep_days`` days.

    What is live, pinned or the newest is kept whatever they say.
    """

    keep: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 30


class OaiTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table ``[oai]`` of a source of kind ``oai-pmh``.

    ``endpoint``: the base URL of its OAI-PMH server; ``metadata_prefix``: the format to harvest; ``set``: one set only, by its setSpec;
    ``from``, ``until``: dates (``YYYY-MM-DD``), for a part of the history only; ``post``: send requests by POST.
    ``overlap_days``: how late the server may date a record: each harvest begins so much before the end of the last.
    How many windows are harvested at once is the manifest's ``concurrency``.
    """

    endpoint: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]
    metadata_prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.!~*'()-]+$")] = "oai_dc"
    set: str = ""
    from_: str = msgspec.field(default="", name="from")
    until: str = ""
    overlap_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 1.0
    post: bool = False


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a source declares about itself.

    ``kind``: how it is crawled: ``scrapy`` (a Scrapy spider), ``jsonld`` (a spider that reads schema.org JSON-LD from landing
    pages), ``api`` (a generator of records over an HTTP API), ``oai-pmh`` (a harvest of an OAI-PMH endpoint; it needs no code),
    ``pages`` (a site described by ``pages.toml``), ``browser`` (a Scrapy spider with pages that Chromium renders).
    ``url``: the home page of the site; ``license_url``: the terms under which its records may be used.
    ``contact``: e-mail address or URL that the site's operators can turn to about this crawler; sent in the User-Agent.
    ``maintainer``: who keeps this source in the team.
    ``schedule``: five cron fields, in UTC, or the table ``[schedule]``; ``timing`` is either as that table.
    ``rate``: requests per second, at most, to each host; ``concurrency``: requests under way at once, at most, per host.
    The budgets are the publish gate's: a release that exceeds one is held for a person to approve or discard.
    ``error_budget``: share (0 to 1) of pages that may fail for good.
    ``reject_budget``: share of records that may be rejected, in the crawl and again in the hub's upload.
    ``duplicate_budget``: share of records that may have the ``_id`` of another.
    ``shrink_budget``: share of the last release's records that may be missing, by their number.
    ``coverage_budget``: points (0 to 100) by which the coverage of a required field may fall against the last release.
    ``allow_empty``: whether a crawl without a record is a release.
    ``keep_pages``: whether pages are stored and an interrupted crawl is gone on with; of the kind ``pages`` they always are.
    ``resume_hours``: how old an interrupted crawl may be to be gone on with.
    ``stuck_minutes``: a crawl of which nothing moves for so long is ended; 0: none is. Waiting out of politeness doesn't count.
    ``obey_robots``: whether robots.txt is followed; a source that says false says why in its description.
    ``archive``: how long the hub keeps releases; ``housekeeping``: what else is kept, and how long.
    ``profile``: what the records are held against (``docs/records.md``); that one misses it is counted and rejects nothing.
    ``require``: fields without which a record is rejected.
    ``oai``: what a source of kind ``oai-pmh`` harvests, and from where.
    ``hosts``: hosts that belong to the site beside that of ``url`` and those that the code starts from; links and redirects to
    others are not followed. ``private_hosts``: those that may be at a private address, ``host`` or ``host:port``.
    """

    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    kind: Literal["scrapy", "jsonld", "api", "oai-pmh", "pages", "browser"]
    title: _Text
    description: _Text
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]
    license_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]
    contact: Annotated[str, msgspec.Meta(pattern=CONTACT_PATTERN, max_length=2000)]
    maintainer: _Text
    schedule: _Text | Schedule
    rate: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    error_budget: _Share = 0.0
    reject_budget: _Share = 0.05
    duplicate_budget: _Share = 0.05
    shrink_budget: _Share = 0.1
    coverage_budget: Annotated[float, msgspec.Meta(ge=0, le=100)] = 10.0
    allow_empty: bool = False
    keep_pages: bool = False
    resume_hours: Annotated[float, msgspec.Meta(ge=0, le=8760)] = 24.0
    stuck_minutes: Annotated[float, msgspec.Meta(ge=0, le=10_080)] = 30.0
    obey_robots: bool = True
    archive: Retention = Retention()
    housekeeping: Housekeeping = Housekeeping()
    profile: Literal["nde", "google", "datacite", "none"] = "nde"
    require: tuple[_Text, ...] = ()
    oai: OaiTable | None = None
    hosts: _Hosts = ()
    private_hosts: _Hosts = ()
    browser: Browsing = Browsing()
    files: Files | None = None
    check: Checking | None = None

    @property
    def timing(self) -> Schedule:
        return self.schedule if isinstance(self.schedule, Schedule) else Schedule(kind="cron", cron=self.schedule)

    @property
    def keeps_pages(self) -> bool:
        return self.keep_pages or self.kind in ("pages", "browser")


@dataclass(frozen=True)
class Source:
    """A source: its folder and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest.name


class ManifestError(UsageError):
    """A manifest can't be used. ``path``, ``line`` (1-based) and ``reason`` say where and why."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def load_source(folder: Path) -> Source:
    """Read and check the manifest in ``folder``.

    :raises ManifestError: it can't be read, isn't TOML, or breaks a rule; says the line and what to write instead.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(path, 1, f"can't be read: {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else len(text.splitlines()) or 1
        raise ManifestError(path, line, f"not TOML: {error}") from error
    manifest = _convert(table, path, text)
    if manifest.name != folder.name:
        raise ManifestError(
            path,
            _line_of(text, "name"),
            f"name is {manifest.name!r}, but the folder is {folder.name!r}: they must be the same",
        )
    if manifest.keep_pages and manifest.kind == "api":
        raise ManifestError(path, _line_of(text, "keep_pages"), "keep_pages is for spiders; an api source has none")
    try:
        if isinstance(manifest.schedule, str):
            check_cron(manifest.schedule)
        if manifest.check and manifest.check.schedule:
            check_cron(manifest.check.schedule)
    except ValueError as error:
        raise ManifestError(path, _line_of(text, "schedule"), str(error)) from error
    if (manifest.kind == "oai-pmh") != (manifest.oai is not None):
        raise ManifestError(
            path,
            _line_of(text, "oai" if manifest.oai else "kind"),
            "a source of kind oai-pmh, and no other, has a table [oai] with its endpoint, e.g.\n[oai]\nendpoint = "
            '"https://repository.example.org/oai"',
        )
    return Source(folder, manifest)


def load_sources(sources_dir: Path) -> tuple[list[Source], list[ManifestError]]:
    """All sources below ``sources_dir``, sorted by name, and the errors of those that can't be used.

    :raises UsageError: ``sources_dir`` is no folder.
    """
    if not sources_dir.is_dir():
        raise UsageError(f"{sources_dir} is not a folder: set FLEET_SOURCES_DIR to the folder of the sources")
    sources: list[Source] = []
    errors: list[ManifestError] = []
    for path in sorted(sources_dir.glob(f"*/{MANIFEST}")):
        try:
            sources.append(load_source(path.parent))
        except ManifestError as error:
            errors.append(error)
    return sources, errors


def find_source(sources_dir: Path, name: str) -> Source:
    """The source called ``name``.

    :raises UsageError: there is none of that name (the message names the nearest), or its manifest is bad.
    """
    if re.match(NAME_PATTERN, name) and (sources_dir / name / MANIFEST).is_file():
        return load_source(sources_dir / name)
    names = [path.parent.name for path in sources_dir.glob(f"*/{MANIFEST}")]
    raise UsageError(
        f"no source is called {name!r} in {sources_dir}.{nearest(name, names)} `fleet sources` lists them."
    )


def nearest(got: str, allowed: list[str] | tuple[str, ...]) -> str:
    """`` Did you mean 'x'?`` for the name in ``allowed`` that is most like ``got``; empty where none is."""
    close = difflib.get_close_matches(got, allowed, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _convert(table: dict, path: Path, text: str) -> Manifest:
    fields = Manifest.__struct_fields__
    for key in table:
        if key not in fields:
            raise ManifestError(
                path, _line_of(text, key), f"unknown field {key!r}.{nearest(key, fields)} Known: {', '.join(fields)}"
            )
    missing = [field.name for field in msgspec.structs.fields(Manifest) if field.required and field.name not in table]
    if missing:
        raise ManifestError(path, 1, f"missing: {', '.join(missing)}. Add a line `{missing[0]} = …`")
    try:
        return msgspec.convert(table, Manifest)
    except msgspec.ValidationError as error:
        found = re.search(r"at `\$\.(\w+)", str(error))
        key = found[1] if found else ""
        got = f", got {table[key]!r}" if key in table else ""
        choices = {"kind": KINDS, "profile": PROFILES}.get(key, ())
        known = f". {key.title()}s: {', '.join(choices)}.{nearest(str(table.get(key)), choices)}" if choices else ""
        raise ManifestError(path, _line_of(text, key), f"{error}{got}{known}") from error


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), start=1):
        if key and re.match(rf"\s*[\"'\[]?{re.escape(key)}[\"'\]]?\s*(=|\.|$)", line):
            return number
    return 1
