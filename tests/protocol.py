"""The five statements of the release protocol, checked on a shared volume and an archive, whatever happened to them."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crawlers.runtime.release import DATA, RELEASE
from hub.dataload.archive import find_archived
from tests import publishers
from tests.crash import Crasher, Outcome

MEMORY = Path("/dev/shm")  # where fsync costs nothing; what a killed process leaves behind is the same there


@contextmanager
def memory_folder(instead: Path) -> Iterator[Path]:
    """A folder in memory; where there is none, ``instead``."""
    if os.access(MEMORY, os.W_OK):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield instead


class Volume:
    """A shared volume and an archive with the source ``little``, and what is known of them.

    Each crawl starts a second after the one before, from ``second`` on.
    """

    def __init__(self, crasher: Crasher, shared: Path, archive: Path, publisher: str = "publish") -> None:
        self.crasher = crasher
        self.shared = shared
        self.archive = archive
        self.folder = shared / "little_crawled"
        self.publisher = f"tests.publishers:{publisher}"
        self.dumper = "tests.publishers:dump"
        self.second = 1_800_000_000
        self._seen: dict[Path, tuple[int, str]] = {}

    def next_crawl(self) -> tuple[str, int]:
        """The arguments of the next run of the publisher."""
        self.second += 1
        return str(self.shared), self.second

    def release(self) -> str:
        """The release of the crawl that ran last."""
        return publishers.release_at(self.second)

    def dump_arguments(self) -> tuple[str, str]:
        return str(self.shared), str(self.archive)

    def published(self) -> str | None:
        """What release.txt says."""
        path = self.folder / RELEASE
        return path.read_text().strip() if path.exists() else None

    def whole(self) -> bool:
        """Whether the published data is that of the published release."""
        release, path = self.published(), self.folder / DATA
        return release is not None and path.exists() and path.read_bytes() == publishers.content(release)

    def temporaries(self) -> list[str]:
        """Files in the release folder that are neither published nor the lock."""
        known = {
            "data.ndjson",
            "release.txt",
            "release.json",
            "rejects.ndjson",
            ".lock",
            "history.ndjson",
            "held",
            "unpublished",
        }
        return sorted(path.name for path in self.folder.glob("*") if path.name not in known)

    def staging(self) -> list[str]:
        """What lies in the archive and is no release."""
        return sorted(path.name for path in (self.archive / "little").glob(".*"))

    def check_archive(self) -> None:
        """An archived data file is what was published under its very release, read-only, and never changes."""
        for folder in sorted((self.archive / "little").glob("[!.]*")):
            content = (folder / DATA).read_bytes()
            assert content == publishers.content(folder.name), f"{folder} holds another release"
            assert (folder / RELEASE).read_text().strip() == folder.name
            for path in folder.iterdir():
                status = path.stat()
                assert not stat.S_IMODE(status.st_mode) & 0o222, f"{path} can be written"
                seen = (status.st_ino, hashlib.sha256(path.read_bytes()).hexdigest())
                assert self._seen.setdefault(path, seen) == seen, f"{path} changed"
        assert all(path.exists() for path in self._seen), "an archived file is gone"

    def _forget(self) -> None:
        """Remove all releases but the last two from the archive: what is checked again and again takes time."""
        for folder in sorted((self.archive / "little").glob("[!.]*"))[:-2]:
            shutil.rmtree(folder)
            self._seen = {path: seen for path, seen in self._seen.items() if path.parent != folder}

    def archived(self) -> str | None:
        """The latest release in the archive."""
        latest = find_archived(self.archive / "little")
        return latest.release.text if latest else None

    def publish(self) -> str:
        """A crawl that nothing disturbs: it has to publish, and to leave no temporary file."""
        outcome = self.crasher.run(self.publisher, *self.next_crawl())
        assert outcome.well, outcome.raised
        assert self.whole()
        assert self.published() == outcome.value
        assert self.temporaries() == []
        return outcome.value

    def take_up(self) -> Outcome:
        """A dump that nothing disturbs, and what must be true of it."""
        before = self.archived()
        outcome = self.crasher.run(self.dumper, *self.dump_arguments())
        self.check_archive()
        assert self.staging() == []
        self._forget()
        after = self.archived()
        release = self.published()
        if outcome.raised:
            assert "ReleaseError" in outcome.kinds, outcome
            assert after == before
        else:
            # Nothing that was published is passed over in silence.
            assert after == release
            assert release is None or self.whole()
            assert outcome.value == (None if after == before else after)
        return outcome
