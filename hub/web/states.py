"""The states of sources as the pages show them: in which order, how they look, and what they mean."""

from crawlers.runtime.standing import ATTENTION

FAILED_IN_HUB = ("faulty", "dump failed", "upload failed")
# What needs attention first: what the hub can't use, then as crawlers stand.
ORDER = (*FAILED_IN_HUB, *ATTENTION)
CALLING = (*FAILED_IN_HUB, "failing", "stale", "held")
_TONES = {
    **dict.fromkeys((*FAILED_IN_HUB, "failing", "stale"), "bad"),
    **dict.fromkeys(("held", "due"), "warn"),
    "running": "busy",
    "fresh": "good",
}
_OUTCOME_TONES = {
    **dict.fromkeys(("failed", "empty", "partial", "killed", "interrupted", "stuck", "unknown"), "bad"),
    **dict.fromkeys(("published", "unchanged", "approved"), "good"),
    "held": "warn",
    "running": "busy",
}
MEANINGS = {
    "faulty": "The manifest, or what lies in the release folder, can’t be used. The reason names file and line.",
    "dump failed": "The hub refused the published release; the one before it stays live.",
    "upload failed": "The hub could not load the release: too many bad records, or the database. The one before it stays live.",
    "failing": "The last crawl failed, was partial, found nothing, was killed or hung. What was published before stays.",
    "stale": "No crawl saw the whole source for longer than is expected of it.",
    "held": "The publish gate holds a release back: look at it, then approve or discard it.",
    "never": "It was never crawled.",
    "due": "Its turn has come, and it was not crawled yet.",
    "paused": "A person paused it.",
    "running": "A crawl is under way.",
    "fresh": "All is well.",
}


def tone_of(state: str) -> str:
    """``bad``, ``warn``, ``busy``, ``good``, or empty: how a state looks."""
    return _TONES.get(state, "")


def outcome_tone(outcome: str) -> str:
    """The same of how a crawl ended."""
    return _OUTCOME_TONES.get(outcome, "")
