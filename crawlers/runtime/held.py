"""Releases that the publish gate holds back.

A held release lies whole in ``<source>_crawled/held/``, in the same files as a published one. It is held as long as it is later
than the published one: what a crash left of one that was approved or superseded counts for nothing.
"""

from pathlib import Path

from crawlers.runtime import release as protocol
from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import Description


def find_held(folder: Path) -> Description | None:
    """What is held in the release folder ``folder``; None where nothing is.

    :raises ReleaseError: something is, but not in the form of a release.
    """
    held = protocol.read_release(folder / protocol.HELD)
    if held is None:
        return None
    try:
        published = protocol.read_release(folder)
    except ReleaseError:
        published = None
    if published is not None and published.at >= held.at:
        return None
    description = protocol.read_description(folder / protocol.HELD)
    if description is None or description.release != held.text:
        raise ReleaseError(f"{folder / protocol.HELD} holds no whole release: remove it, and crawl the source again.")
    return description
