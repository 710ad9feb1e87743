"""What the crash tests run: publishers whose content follows from the release's name, and the hub's taking up."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import crawlers.runtime.api  # imported here, so that runs don't import it under fault injection
import crawlers.runtime.replay
import fleet.crawl  # noqa: F401
from crawlers.runtime import approval
from crawlers.runtime.manifest import Manifest, find_source
from crawlers.runtime.release import format_release
from crawlers.runtime.writer import ReleaseWriter
from fleet.cli import main
from hub.dataload.archive import take_up
from tests.command import MANIFEST

RECORDS = 20


def content(release: str) -> bytes:
    """The ``data.ndjson`` of a release."""
    return b"".join(b'{"_id":"little_%02d","release":"%s"}\n' % (number, release.encode()) for number in range(RECORDS))


def release_at(second: int) -> str:
    """The release of a crawl that starts at ``second``, a Unix time."""
    return format_release(datetime.fromtimestamp(second, UTC))


def publish(shared: str, second: int) -> str:
    """Publish as the runtime does; a record is rejected."""
    manifest = Manifest(name="little", kind="api", **MANIFEST)
    with ReleaseWriter(Path(shared), manifest, datetime.fromtimestamp(second, UTC)) as writer:
        for number in range(RECORDS):
            writer.write({"_id": f"little_{number:02}", "release": writer.release})
        writer.write({"_id": "little_00"})
        writer.publish()
    return writer.release


def hold(shared: str, second: int) -> str:
    """Make a release as the runtime does, but hold it."""
    manifest = Manifest(name="little", kind="api", **MANIFEST)
    with ReleaseWriter(Path(shared), manifest, datetime.fromtimestamp(second, UTC)) as writer:
        for number in range(RECORDS):
            writer.write({"_id": f"little_{number:02}", "release": writer.release})
        writer.hold(writer.describe())
    return writer.release


def approve(shared: str) -> str:
    """Publish what is held."""
    return approval.approve(Path(shared), "little").release


def publish_foreign(shared: str, second: int) -> str:
    """Publish as a crawler may that isn't ours: the pair and nothing else, each renamed into place, data first."""
    release = release_at(second)
    folder = Path(shared) / "little_crawled"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("data.ndjson", content(release)), ("release.txt", release.encode() + b"\n")):
        temporary = folder / f"{name}.part"
        temporary.write_bytes(text)
        temporary.replace(folder / name)
    return release


def crawl(shared: str, sources: str) -> int:
    """The whole command ``fleet crawl little``; its exit code."""
    os.environ["FLEET_SOURCES_DIR"] = sources
    sys.argv = ["fleet", "crawl", "little", "--shared", shared]
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def replay(shared: str, sources: str) -> int:
    """Run the rejects of the source ``little`` again; how many records passed."""
    return crawlers.runtime.replay.replay(find_source(Path(sources), "little"), Path(shared)).passed


def dump(shared: str, archive: str) -> str | None:
    """What the hub takes up; None where there is nothing new."""
    taken = take_up(Path(shared) / "little_crawled", Path(archive) / "little", settle_seconds=0.001)
    return taken.release.text if taken else None
