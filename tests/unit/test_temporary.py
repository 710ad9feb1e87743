"""Temporary files, and whether their owner lives."""

import subprocess
import sys
from pathlib import Path

from crawlers.runtime.temporary import create_temporary, remove_abandoned, temporary_path

HOLD = """
import sys
from pathlib import Path
from crawlers.runtime.temporary import create_temporary
file = create_temporary(Path(sys.argv[1]), "data.ndjson")
print("made", flush=True)
sys.stdin.read()
"""


def test_a_temporary_file_of_a_living_process_is_left_alone_and_of_a_killed_one_removed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "made\n"
        [path] = tmp_path.iterdir()
        assert path.name.endswith(f"-{process.pid}.tmp")
        assert remove_abandoned(tmp_path) == []
        process.kill()
        process.wait()
    assert remove_abandoned(tmp_path) == [path]
    assert list(tmp_path.iterdir()) == []


def test_one_of_a_former_process_with_our_number_is_replaced(tmp_path: Path) -> None:
    path = temporary_path(tmp_path, "data.ndjson")
    path.write_text("old")
    with create_temporary(tmp_path, "data.ndjson") as file:
        file.write(b"new")
        assert remove_abandoned(tmp_path) == []
    assert path.read_bytes() == b"new"


def test_only_plain_files_of_the_name_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").mkdir()
    (tmp_path / ".b.tmp").symlink_to(tmp_path / "data.ndjson")
    (tmp_path / "c.tmp").write_text("")
    (tmp_path / "data.ndjson").write_text("")
    (tmp_path / ".d.tmp").write_text("")
    assert remove_abandoned(tmp_path) == [tmp_path / ".d.tmp"]
    assert len(list(tmp_path.iterdir())) == 4
