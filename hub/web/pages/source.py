"""``GET /sources/NAME``: all of one source, and what can be done with it; ``…/ask/ACTION`` asks before what is not easily undone."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from crawlers.runtime.disk_use import DiskUse, find_disk_use
from crawlers.runtime.errors import FleetError
from crawlers.runtime.heartbeat import read_heartbeat
from crawlers.runtime.history import RunEntry, read_history
from crawlers.runtime.manifest import MANIFEST, nearest
from crawlers.runtime.release import format_release, release_folder
from hub.releases import list_releases
from hub.status import reasons
from hub.web.acts import ACTS, offered
from hub.web.formats import number, parse_moment, plain, short_span
from hub.web.overview import SourceView
from hub.web.pages.page import PageHandler
from hub.web.pictures import bar, columns
from hub.web.states import outcome_tone, tone_of
from hub.web.steps import find_progress, find_steps, remaining

_RUNS = 60
_RUNS_LISTED = 6
_RELEASES_LISTED = 12
_MANIFEST_BYTES = 64_000
_BEGINNING = 80
_UNTIL = {
    f"in {words}": timedelta(hours=hours)
    for words, hours in (("an hour", 1), ("a day", 24), ("a week", 168), ("four weeks", 672))
}
# They are no runs: what a person made of one that was held.
_JUDGED = ("approved", "discarded")


class _OneSource(PageHandler):
    async def find(self, name: str) -> SourceView | None:
        """How the source ``name`` stands; None where there is none, which is answered then."""
        overview = await asyncio.to_thread(self.server.overviews.read)
        names = [it.name for it in overview.sources]
        view = next((it for it in overview.sources if it.name == name), None)
        if view is None:
            self.tell(404, f"No source is called {name!r}.{nearest(name, names)}")
        elif view.manifest is None:
            self.redirect(self.url(f"/add#fault-{name}"))
            return None
        self.database = overview.database
        return view


class SourcePage(_OneSource):
    """``GET /sources/NAME``"""

    async def get(self, name: str) -> None:
        view = await self.find(name)
        if view is None:
            return
        found = await asyncio.to_thread(_read, self.server.settings, view)
        now = datetime.now(UTC)
        notice = self.server.notices.find(self.get_query_argument("notice", ""), self.who, name)
        live = view.status["live"]
        self.render_page(
            "source.html",
            view=view,
            manifest=view.manifest,
            standing=view.standing,
            status=view.status,
            database=self.database,
            notice=notice,
            told=_told(view),
            steps=find_steps(view, found["run"], now),
            progress=find_progress(found["heartbeat"], now),
            remaining=remaining,
            pictures=_pictures(found["runs"]),
            runs=found["runs"],
            listed=list(reversed(found["runs"]))[
                : None if self.get_query_argument("runs", "") == "all" else _RUNS_LISTED
            ],
            releases=[{**it, "live": it["release"] == live} for it in found["releases"][:_RELEASES_LISTED]],
            releases_in_all=len(found["releases"]),
            manifest_text=found["manifest"],
            acts=offered(view) if self.may_act else {},
            may_act=self.may_act,
            outcome_tone=outcome_tone,
            tone_of=tone_of,
            bar=bar,
            took=_took,
            disk=found["disk"],
            parts_of=_parts_of,
        )

    @property
    def may_act(self) -> bool:
        user = self.current_user
        return bool(user and user.can("operator")) and not self.server.settings.access.read_only


class AskPage(_OneSource):
    """``GET /sources/NAME/ask/ACT``"""

    needs = "operator"

    async def get(self, name: str, act: str) -> None:
        if act not in ACTS or not ACTS[act].question:
            self.tell(404, f"Nothing called {act!r} can be done with a source.")
            return
        view = await self.find(name)
        if view is not None:
            release = str(self.get_query_argument("release", ""))[:64]
            now = datetime.now(UTC)
            untils = [(words, format_release(now + after)) for words, after in _UNTIL.items()]
            self.render_page("ask.html", view=view, act=ACTS[act], release=release, status=view.status, untils=untils)


def _read(settings: Any, view: SourceView) -> dict[str, Any]:
    """What only this page shows."""
    folder = release_folder(settings.runtime.shared_dir, view.name)
    try:
        runs = _judged(read_history(folder, last=2 * _RUNS))[-_RUNS:]
    except FleetError:  # its reason is shown: the standing tells it
        runs = []
    return {
        "runs": runs,
        "run": runs[-1] if runs else None,
        "heartbeat": read_heartbeat(folder),
        "disk": find_disk_use(settings.runtime.shared_dir, view.name, settings.archive_dir),
        "releases": list_releases(settings, view.name),
        "manifest": _manifest_text(settings.runtime.sources_dir / view.name / MANIFEST),
    }


def _judged(entries: list[RunEntry]) -> list[RunEntry]:
    """The runs, those that were held with what a person made of them."""
    words = {entry.release: entry.outcome for entry in entries if entry.outcome in _JUDGED}
    runs = [entry for entry in entries if entry.outcome not in _JUDGED]
    return [
        msgspec.structs.replace(run, outcome=words.get(run.release, "held")) if run.outcome == "held" else run
        for run in runs
    ]


def _manifest_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MANIFEST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"# {error}"


def _parts_of(disk: DiskUse) -> list[tuple[str, int]]:
    """What takes of the disk, and how much, the most first."""
    parts = msgspec.to_builtins(disk)
    taken = [(name, parts[name]) for name in parts if name not in ("total", "complete") and parts[name]]
    return sorted(taken, key=lambda part: -part[1])


def _told(view: SourceView) -> list[str]:
    """What a person should know, each once."""
    told = [view.reason]
    held = view.status["held"]["reasons"] if view.state == "held" and view.status["held"] else []
    for reason in reasons(view.status):
        # What the crawl said for a terminal says no more of a held release, unless it tells of errors and what to do.
        if held and "→" not in reason and all(why in view.reason and why in reason for why in held):
            continue
        # The standing gives the beginning of a long reason: the whole of it says more.
        beginning = reason[:_BEGINNING]
        told = [it for it in told if beginning not in it]
        told.append(reason)
    return told


def _took(run: RunEntry) -> float | None:
    """Seconds from the start of ``run`` to its end."""
    started, ended = parse_moment(run.started), parse_moment(run.ended)
    return (ended - started).total_seconds() if started and ended else None


def _spent(run: RunEntry) -> float:
    """The same; of one that is under way, until now."""
    started = parse_moment(run.started)
    if run.outcome == "running" and started:
        return (datetime.now(UTC) - started).total_seconds()
    return _took(run) or 0


def _pictures(runs: list[RunEntry]) -> list[tuple[str, str, str]]:
    """What the runs made, one picture below the other with one column a run: its name, its greatest value, and the picture."""
    rows: list[tuple[str, str, str]] = []
    if not runs:
        return rows
    names = [f"{plain(run.started, 20)}, {plain(run.outcome, 20)}" for run in runs]
    tones = [outcome_tone(run.outcome) for run in runs]
    spans = [_spent(run) for run in runs]
    for name, values, words in (
        ("Records", [float(run.counts.records) for run in runs], number),
        ("Rejects", [float(run.counts.rejects) for run in runs], number),
        ("Duration", spans, short_span),
    ):
        drawn = [
            (value, tone, f"{told}: {words(value)}") for value, tone, told in zip(values, tones, names, strict=True)
        ]
        high = words(max(values))
        rows.append((name, high, columns(drawn, f"{name} of the last {len(runs)} runs, up to {high}")))
    return rows
