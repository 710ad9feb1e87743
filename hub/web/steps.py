"""The steps of a source's newest release: crawl, dump, upload, and how far the one under way is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crawlers.runtime.heartbeat import Heartbeat
from crawlers.runtime.history import RunEntry
from hub.web.formats import number, parse_moment, plain, span, url_part
from hub.web.overview import SourceView
from hub.web.states import outcome_tone


@dataclass(frozen=True)
class Step:
    """``tone``: as of states, empty where it has not begun. ``words``: how it went; ``at``: when it began, ISO 8601 or empty.

    ``link``, ``link_words``: where more is told of it, below the source's page; empty: nowhere.
    """

    name: str
    tone: str
    words: str
    release: str = ""
    at: str = ""
    took_seconds: float | None = None
    told: str = ""
    link: str = ""
    link_words: str = ""


@dataclass(frozen=True)
class Progress:
    """How far the crawl under way is. ``part``: 0 to 1, None where nobody knows how much there is; ``rate``: records a second."""

    heartbeat: Heartbeat
    part: float | None
    rate: float
    left_seconds: float | None
    silent_seconds: float


def find_steps(view: SourceView, run: RunEntry | None, now: datetime) -> list[Step]:
    """The steps in their order."""
    return [_crawl(run, now), _dump(view), _upload(view)]


def find_progress(heartbeat: Heartbeat | None, now: datetime) -> Progress | None:
    """How far the crawl is that ``heartbeat`` tells of; None where none is under way."""
    started = parse_moment(heartbeat.started) if heartbeat else None
    if heartbeat is None or started is None:
        return None
    at = parse_moment(heartbeat.at) or now
    spent = max((at - started).total_seconds(), 0.001)
    part = heartbeat.share
    left = spent / part - spent if part else None
    moved = parse_moment(heartbeat.moved) or at
    return Progress(heartbeat, part, heartbeat.came / spent, left, max((now - moved).total_seconds(), 0))


def _crawl(run: RunEntry | None, now: datetime) -> Step:
    if run is None:
        return Step("Crawl", "", "never")
    started, ended = parse_moment(run.started), parse_moment(run.ended)
    took = ((ended or now) - started).total_seconds() if started and (ended or run.outcome == "running") else None
    counts = run.counts
    told = f"{number(counts.records)} records, {number(counts.rejects)} rejects" if run.ended else ""
    link = f"/runs/{url_part(run.run)}" if run.run else ""
    return Step(
        "Crawl",
        outcome_tone(run.outcome),
        plain(run.outcome, 20),
        run.release,
        run.started,
        took,
        told,
        link,
        "run and log",
    )


def _dump(view: SourceView) -> Step:
    status = view.status
    if status["state"] == "dumping":
        return Step("Dump", "busy", "under way", status["published"] or "")
    if status["published"] and status["published"] != status["archived"] and not _failed(status["dump"]):
        return Step("Dump", "", "waits", status["published"])
    return _ended("Dump", status["dump"], "archived", status["archived"])


def _upload(view: SourceView) -> Step:
    status = view.status
    upload = status["upload"]
    if status["state"] == "uploading":
        return Step("Upload", "busy", "under way", (upload or {}).get("release") or "", (upload or {}).get("at") or "")
    waits = status["archived"] and status["archived"] != status["live"]
    if waits and not _failed(upload):
        pinned = status["pinned"]
        return Step(
            "Upload", "warn" if pinned else "", "waits: another is pinned" if pinned else "waits", status["archived"]
        )
    return _ended("Upload", upload, "live", status["live"])


def _ended(name: str, entry: dict[str, Any] | None, done: str, release: str | None) -> Step:
    if not entry:
        return Step(name, "good" if release else "", done if release else "never", release or "")
    failed = _failed(entry)
    return Step(
        name,
        "bad" if failed else "good",
        "failed" if failed else done,
        entry["release"] or release or "",
        entry["at"] or "",
        entry.get("seconds"),
        link=f"/releases/{url_part(entry['release'])}/rejects"
        if failed and name == "Upload" and entry["release"]
        else "",
        link_words="rejects",
    )


def _failed(entry: dict[str, Any] | None) -> bool:
    return bool(entry) and entry["status"] == "failed"  # type: ignore[index]


def remaining(progress: Progress) -> str:
    """``about 4 min left``; empty where nobody knows."""
    return f"about {span(progress.left_seconds)} left" if progress.left_seconds is not None else ""
