"""The watchdog's word that a run is stuck: ``stuck.json`` in the source's release folder, written before the run is ended.

So whoever looks at the run later, the run itself, the next one or a reader, knows what became of it, however it ended.
"""

import json
import os
import socket
from pathlib import Path

STUCK = "stuck.json"


def write_verdict(folder: Path, run: str, message: str) -> None:
    """Say that ``run`` is stuck, and where it hangs."""
    temporary = folder / f".{STUCK}.{socket.gethostname()}-{os.getpid()}.tmp"
    temporary.write_text(json.dumps({"run": run, "message": message}), encoding="utf-8")
    temporary.replace(folder / STUCK)


def read_verdict(folder: Path, run: str) -> str:
    """Where ``run`` hung when it was ended as stuck; empty where it wasn't."""
    from crawlers.runtime.json_files import read_plain  # the watchdog, which writes, has no package but Python's own

    try:
        verdict = json.loads(read_plain(folder / STUCK))
        return str(verdict["message"]) if verdict["run"] == run else ""
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""


def remove_verdict(folder: Path) -> None:
    """Forget it: what became of the run is in the history now."""
    (folder / STUCK).unlink(missing_ok=True)
