"""What a comparison of two releases costs: beside loading them into memory, which is what one would otherwise write, and in memory.

Usage: python bench/diff.py [RECORDS [RECORDS_LARGE]]    (default: 100000 and 1000000 records of some 800 bytes)

Of the second release 1 % of the records are new, 1 % are gone and 5 % are changed. Each way runs in a process of its own. The
large one is run by ours alone, in order and in no order, and shows that memory stays flat.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TEXT = "The immune response to a vaccine was measured in whole blood before and after. " * 5


def write_releases(folder: Path, count: int, in_order: bool) -> None:
    """``old.ndjson`` and ``new.ndjson``."""
    numbers = list(range(count))
    if not in_order:
        random.Random(1).shuffle(numbers)
    for name in ("old", "new"):
        with (folder / f"{name}.ndjson").open("wb") as file:
            for number in numbers:
                if number % 100 == (0 if name == "old" else 1):
                    continue
                changed = name == "new" and number % 20 == 3
                record = {
                    "_id": f"bench_{number:09}",
                    "name": f"Dataset {number}",
                    "description": TEXT,
                    "author": [{"name": f"Author {n}", "affiliation": {"name": "Institute"}} for n in range(5)],
                    "version": "2" if changed else "1",
                }
                file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def ours(folder: Path) -> dict[str, int]:
    """The streaming merge."""
    from hub.dataload.diff import diff_files

    found = diff_files(folder / "old.ndjson", folder / "new.ndjson", folder)
    return {"added": found.added, "removed": found.removed, "changed": found.changed}


def in_memory(folder: Path) -> dict[str, int]:
    """Two dictionaries."""
    old, new = (_read(folder / f"{name}.ndjson") for name in ("old", "new"))
    both = old.keys() & new.keys()
    changed = sum(old[key] != new[key] for key in both)
    return {"added": len(new) - len(both), "removed": len(old) - len(both), "changed": changed}


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {(record := orjson.loads(line))["_id"]: record for line in file}


def _run(way: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, way, str(folder)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    """Run it."""
    if len(sys.argv) > 2 and sys.argv[1] in ("ours", "in_memory"):
        way = {"ours": ours, "in_memory": in_memory}[sys.argv[1]]
        import hub.dataload.diff  # noqa: F401 - not measured

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        counts = way(Path(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"seconds": time.perf_counter() - started, "grown_mb": (peak - before) / 1024, **counts}))
        return
    small, large = (int(text) for text in (*sys.argv[1:], *("100000", "1000000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        write_releases(folder, small, in_order=True)
        rounds = [(_run("in_memory", folder), _run("ours", folder)) for _ in range(3)]
        assert all(theirs[key] == mine[key] for theirs, mine in rounds for key in ("added", "removed", "changed"))
        ratio = sorted(theirs["seconds"] / mine["seconds"] for theirs, mine in rounds)[1]
        theirs, mine = rounds[0]
        print(f"diff of {small} records: ours is {ratio:.2f} times as fast as two dictionaries, the median of three,")
        print(f"  and takes {mine['grown_mb']:.0f} MB of memory where they take {theirs['grown_mb']:.0f} MB")
        for in_order in (True, False):
            write_releases(folder, large, in_order)
            found = _run("ours", folder)
            order = "in order" if in_order else "in no order"
            print(
                f"diff of {large} records {order}: {large / found['seconds']:.0f} records/s, {found['grown_mb']:.0f} MB of memory"
            )


if __name__ == "__main__":
    main()
