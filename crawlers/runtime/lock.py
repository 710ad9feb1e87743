"""The lock of a source: who holds it changes what lies in the source's release folder and state folder, nobody else does.

It is a ``flock``, which the kernel drops with the process, however that ends, in whatever container: so a crawl that was killed
never blocks the next one, and one that lives is never interfered with.
"""

import fcntl
import os
from pathlib import Path

import filelock

from crawlers.runtime.errors import ReleaseError

LOCK = ".lock"
# Not at once: the hub looks at the lock now and then, for a moment.
_SECONDS = 1.0


def source_lock(folder: Path) -> filelock.BaseFileLock:
    """The lock of the source whose release folder is ``folder``; it raises ``filelock.Timeout`` where another holds it."""
    return filelock.FileLock(folder / LOCK, timeout=_SECONDS, mode=0o660, fallback_to_soft=False)


def is_locked(folder: Path) -> bool:
    """Whether somebody holds the lock of the release folder ``folder`` now.

    :raises ReleaseError: what lies there under its name can't be looked at.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ReleaseError(
            f"{folder / LOCK}: {error}. It is the source's lock; remove it, the next crawl makes it anew."
        ) from error
    try:
        # Held for a moment only; a crawl that starts just then tries more than once.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
