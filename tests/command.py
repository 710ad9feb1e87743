"""The real ``fleet`` command in a process of its own, on sources written for a test."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

MANIFEST = {
    "title": "A source of the tests",
    "description": "Written for one test.",
    "url": "http://site.invalid/",
    "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
    "contact": "tests@example.org",
    "maintainer": "The tests",
    "schedule": "0 4 * * 6",
    "rate": 1000,
}
CODE_FILES = {
    "scrapy": "spider.py",
    "jsonld": "spider.py",
    "api": "harvester.py",
    "pages": "pages.toml",
    "browser": "spider.py",
}


def toml_value(value: Any) -> str:
    """A value as TOML writes it, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


@dataclass
class Fleet:
    """Runs the command. ``sources``: the folder of its sources; ``shared``: the shared volume."""

    sources: Path
    shared: Path

    def write_source(self, name: str, kind: str, code: str, **manifest: Any) -> Path:
        """A source; ``manifest``: fields other than usual."""
        folder = self.sources / name
        folder.mkdir(parents=True, exist_ok=True)
        fields = {"name": name, "kind": kind, **MANIFEST, **manifest}
        (folder / "source.toml").write_text("".join(f"{key} = {toml_value(value)}\n" for key, value in fields.items()))
        (folder / CODE_FILES[kind]).write_text(dedent(code))
        return folder

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``fleet`` with the arguments; what it prints can be read from the pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "fleet", *arguments],
            env={**self.environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: str, timeout_seconds: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``fleet`` with the arguments to its end."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=timeout_seconds)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def environment(self) -> dict[str, str]:
        """No setting of the machine that the tests run on; retries without long pauses."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")}
        return kept | {
            "FLEET_SOURCES_DIR": str(self.sources),
            "FLEET_SHARED_DIR": str(self.shared),
            "FLEET_CODE_VERSION": "tests",
            "FLEET_RETRY_PAUSE_SECONDS": "0.01",
        }

    def folder(self, name: str) -> Path:
        return self.shared / f"{name}_crawled"

    def files(self, name: str) -> list[str]:
        """The names of all files in the release folder, hidden ones too, but for the lock, what tells of runs, and rejects kept apart."""
        folder = self.folder(name)
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        return sorted(
            names - {".lock", "last-run.json", "history.ndjson", "heartbeat.json", "stuck.json", "unpublished"}
        )

    def records(self, name: str) -> list[dict[str, Any]]:
        return read_ndjson(self.folder(name) / "data.ndjson")

    def rejects(self, name: str) -> list[dict[str, Any]]:
        return read_ndjson(self.folder(name) / "rejects.ndjson")

    def description(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder(name) / "release.json").read_bytes())


def read_ndjson(path: Path) -> list[dict[str, Any]]:
    """The objects in a file of newline-delimited JSON, each line ended."""
    content = path.read_bytes()
    assert not content or content.endswith(b"\n"), f"{path}: the last line is not ended"
    return [json.loads(line) for line in content.split(b"\n")[:-1]]
