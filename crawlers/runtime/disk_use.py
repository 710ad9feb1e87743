"""What a source takes of the disk, by what takes it."""

from pathlib import Path

import msgspec


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
    raise NotImplementedError
