"""What can be done with a source by a button, when it makes sense, and what is asked before: the actions of ``hub.api``."""

from collections.abc import Callable
from dataclasses import dataclass

from hub.web.overview import SourceView


@dataclass(frozen=True)
class Act:
    """``action``: of the API, with ``fixed`` parameters. ``words``: on the button. ``fields``: what a person is asked for besides,
    ``reason``, ``until`` or ``release``. ``question``: asked before, on a page of its own; empty: it is done at once.
    ``warns``: what it does is hard to take back. ``offered``: whether it makes sense for a source as it stands.
    """

    action: str
    words: str
    offered: Callable[[SourceView], bool]
    question: str = ""
    explained: str = ""
    fields: tuple[str, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    warns: bool = False
    first: bool = False


def _held(it: SourceView) -> bool:
    return bool(it.status["held"])


def _failed(step: str) -> Callable[[SourceView], bool]:
    return lambda it: bool(it.status[step]) and it.status[step]["status"] == "failed"


def _may_crawl(it: SourceView) -> bool:
    return not it.standing or (it.standing.state != "running" and it.standing.ordered != "crawl")


def _ordered(command: str) -> Callable[[SourceView], bool]:
    return lambda it: it.standing is not None and it.standing.ordered == command


def _paused(it: SourceView) -> bool:
    return bool(it.standing and it.standing.paused)


# By the name in a page's address, in the order in which they are offered.
ACTS: dict[str, Act] = {
    "approve": Act(
        "approve",
        "Approve",
        _held,
        "Publish the release that is held?",
        "It becomes the published release as it is, and the hub loads it. Look at what changed first.",
        first=True,
    ),
    "discard": Act(
        "discard",
        "Discard",
        _held,
        "Remove the release that is held?",
        "Its data are gone for good; what is published stays. The next crawl makes a new one.",
        warns=True,
    ),
    "crawl": Act("crawl", "Crawl now", _may_crawl),
    "check": Act("check", "Check records", lambda it: bool(it.manifest and it.manifest.check)),
    "withdraw-crawl": Act("withdraw", "Take back the crawl", _ordered("crawl"), fixed=(("command", "crawl"),)),
    "withdraw-check": Act("withdraw", "Take back the check", _ordered("check"), fixed=(("command", "check"),)),
    "pause": Act(
        "pause",
        "Pause",
        lambda it: not _paused(it),
        "Pause its crawls?",
        "It is crawled by hand and by order only, until it is resumed. A crawl under way goes on.",
        fields=("reason", "until"),
    ),
    "resume": Act("resume", "Resume", _paused, first=True),
    "dump": Act("dump", "Dump", lambda it: bool(it.status["published"])),
    "upload": Act("upload", "Upload", lambda it: bool(it.status["archived"])),
    "force": Act(
        "upload",
        "Upload again",
        lambda it: bool(it.status["archived"]),
        "Load the release again, though it may be live?",
        "All of its documents are loaded into a new collection, which then takes the place of the live one.",
        fixed=(("force", "1"),),
    ),
    "pin": Act(
        "pin",
        "Pin",
        lambda it: bool(it.status["live"]) and not it.status["pinned"],
        "Pin what is live?",
        "It stays live, whatever is crawled: newer releases are archived, and wait.",
        fields=("reason",),
    ),
    "unpin": Act(
        "unpin",
        "Unpin",
        lambda it: bool(it.status["pinned"]),
        "Take the pin back?",
        "The newest archived release goes live.",
    ),
    "rollback": Act(
        "rollback",
        "Roll back",
        lambda it: False,  # it is offered beside each release
        "Make this release live again?",
        "It is loaded, takes the place of what is live, and is pinned: newer releases wait until it is unpinned.",
        fields=("release", "reason"),
        warns=True,
    ),
    "mark-dump": Act(
        "mark",
        "Mark dump as settled",
        _failed("dump"),
        "Count the failed dump as settled?",
        "Its error is no longer shown. Nothing is tried again by that.",
        fixed=(("step", "dump"),),
    ),
    "mark-upload": Act(
        "mark",
        "Mark upload as settled",
        _failed("upload"),
        "Count the failed upload as settled?",
        "Its error is no longer shown. Nothing is tried again by that, and what was live stays live.",
        fixed=(("step", "upload"),),
    ),
}


def offered(view: SourceView) -> dict[str, Act]:
    """What makes sense for ``view`` now."""
    return {name: act for name, act in ACTS.items() if act.offered(view)}
