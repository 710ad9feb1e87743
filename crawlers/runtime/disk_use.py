"""What a source takes of the disk, by what takes it."""

import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from crawlers.runtime.reject_files import UNPUBLISHED
from crawlers.runtime.release import HELD, PUBLISH_ORDER, release_folder, state_folder
from crawlers.runtime.run_log import LOGS
from crawlers.runtime.temporary import REPLAY_FOLDER, is_temporary

_FRESH_SECONDS = 60.0
_MAX_FILES = 20_000
_MAX_FOLDERS = 20_000
# By the first folder below the state folder.
_STATE = {LOGS: "logs", "pages": "pages", "files": "files", "oai": "windows"}
_found: dict[tuple[Path, str, Path | None], tuple[float, "DiskUse"]] = {}


class DiskUse(msgspec.Struct, kw_only=True):
    """Bytes on disk. A file that two places share by hard link counts once, where it is named first here.

    ``release``: what is published; ``held``: a held release; ``rejects``: those of runs that published nothing; ``pages``: the page
    store; ``files``: images and files of records; ``windows``: harvested OAI-PMH windows; ``logs``: of runs; ``archive``: archived
    releases, beyond what is published; ``temporary``: of crawls under way or killed; ``other``: the rest.
    ``complete``: False where there were too many files to look at each: then there is more than it says.
    """

    release: int = 0
    held: int = 0
    rejects: int = 0
    pages: int = 0
    files: int = 0
    windows: int = 0
    logs: int = 0
    archive: int = 0
    temporary: int = 0
    other: int = 0
    total: int = 0
    complete: bool = True


def find_disk_use(shared_dir: Path, source: str, archive_dir: Path | None = None) -> DiskUse:
    """What ``source`` takes; ``archive_dir``: the hub's archive of all sources, None: without it.

    Quick: what was found within the last minute is given again, and not more than some thousands of files are looked at.
    """
    key, now = (shared_dir, source, archive_dir), time.monotonic()
    if (known := _found.get(key)) and now - known[0] < _FRESH_SECONDS:
        return known[1]
    use = _look(shared_dir, source, archive_dir)
    _found[key] = now, use
    return use


def _look(shared_dir: Path, source: str, archive_dir: Path | None) -> DiskUse:
    places = [
        (release_folder(shared_dir, source), _kind_of_release),
        (state_folder(shared_dir, source), _kind_of_state),
        *([(archive_dir / source, lambda parts: "archive")] if archive_dir else []),
    ]
    use = DiskUse()
    linked: set[tuple[int, int]] = set()
    looked = 0
    for folder, kind_of in places:
        for path, status in _files(str(folder)):
            looked += 1
            if looked > _MAX_FILES:
                use.complete = False
                return use
            inode = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and inode in linked:
                continue
            linked.add(inode)
            kind = kind_of(path[len(str(folder)) + 1 :].split("/"))
            setattr(use, kind, getattr(use, kind) + status.st_size)
            use.total += status.st_size
    return use


def size_of(path: Path) -> int:
    """The bytes that would be free if ``path``, a file or a folder, were removed: those of files that have no other name."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    found = _files(str(path)) if stat.S_ISDIR(status.st_mode) else [(str(path), status)]
    return sum(it.st_size for _, it in found if it.st_nlink == 1)


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """The files below ``folder``, those next to it first; what vanishes meanwhile, and symbolic links, are passed over.

    Of folders without end, which may hold no file, so many are looked into.
    """
    waiting = deque([folder])
    for _ in range(_MAX_FOLDERS):
        if not waiting:
            return
        try:
            with os.scandir(waiting.popleft()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield entry.path, entry.stat(follow_symlinks=False)
        except OSError:
            continue


def _kind_of_release(parts: list[str]) -> str:
    if is_temporary(parts[-1]):
        return "temporary"
    if len(parts) == 1:
        return "release" if parts[0] in PUBLISH_ORDER else "other"
    return {HELD: "held", UNPUBLISHED: "rejects"}.get(parts[0], "other")


def _kind_of_state(parts: list[str]) -> str:
    if is_temporary(parts[-1]) or parts[0].startswith(REPLAY_FOLDER):
        return "temporary"
    return _STATE.get(parts[0], "other") if len(parts) > 1 else "other"
