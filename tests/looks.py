"""What the tests of releases, runs, documents and jobs look at: a hub on which real crawls, failures and hostile records have left traces."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import requests

from crawlers.runtime.history import read_history
from crawlers.runtime.run_log import LogLine
from hub.access.passwords import hash_password
from tests.command import Fleet
from tests.morning import Morning
from tests.running_hub import RunningHub, wait_for
from tests.xss import ALL, LONG, PAYLOADS

PASSWORD = "correct horse battery"
ROLES = {"rita": "reader", "otto": "operator", "ada": "admin"}


@dataclass
class Looks:
    """A hub with the source ``cells``: two releases archived, a third held; ``hostile``, whose records hold every payload."""

    hub: RunningHub
    first: str
    second: str
    held: str

    def get(self, path: str, name: str = "rita", **headers: str) -> requests.Response:
        return requests.get(self.hub.url + path, headers={**headers, **bearer(name)}, timeout=30, allow_redirects=False)

    def stop(self, job: str, name: str) -> requests.Response:
        return requests.post(f"{self.hub.url}/fleet/jobs/{job}/stop", headers=bearer(name), timeout=30)

    def json(self, path: str, name: str = "rita") -> Any:
        answer = self.get(path, name)
        assert answer.status_code == 200, answer.text
        return answer.json()


def bearer(name: str) -> dict[str, str]:
    """The header by which a program of that user is known; none for a stranger."""
    return {"Authorization": f"Bearer fleet_{name}"} if name else {}


def _write_users(hub: RunningHub) -> None:
    """Each may log in, and has a token."""
    hashed = hash_password(PASSWORD)
    lines = []
    for name, role in ROLES.items():
        token = hashlib.sha256(f"fleet_{name}".encode()).hexdigest()
        lines += [f"[users.{name}]", f'role = "{role}"', f'password = "{hashed}"']
        lines += [f"[tokens.{name}]", f'role = "{role}"', f'sha256 = "{token}"']
    (hub.data / "users.toml").write_text("\n".join(lines))


def _write_cells(fleet: Fleet, records: int, bare: int = 0, revised: int = 0) -> None:
    code = f"""
        def parse(api):
            for number in range({records}):
                yield {{
                    "_id": f"{{number:03}}",
                    "@type": "Dataset",
                    "name": f"Dataset {{number}}" if number >= {bare} else "",
                    "url": f"http://site.invalid/{{number}}",
                    "description": "How it was collected. " * 9 + ("Revised." if number < {revised} else ""),
                    "author": [{{"name": f"Ana {{number % 7}}"}}],
                    **({{"size": number}} if number % 5 == 0 else {{}}),
                }}
    """
    fleet.write_source("cells", "api", code, require=["name"], reject_budget=0.5, coverage_budget=1)


def write_log(hub: RunningHub, name: str, message: str, run: str = "") -> None:
    """Two lines in the log of each run of the source, or of one, as its crawler keeps it."""
    folder = hub.shared / f"{name}_state" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for it in [run] if run else [entry.run for entry in read_history(hub.shared / f"{name}_crawled")]:
        line = {"at": "2026-11-22T01:02:03.123Z", "logger": "crawlers.test", "source": name, "run": it}
        lines = [
            LogLine(level="INFO", message="begins", **line),
            LogLine(level="ERROR", message=message, trace=f"Traceback: {message}", **line),
        ]
        with (folder / f"{it}.ndjson").open("ab") as file:
            file.write(b"".join(msgspec.json.encode(it) + b"\n" for it in lines))


def _crawl_cells(hub: RunningHub) -> list[str]:
    """Two releases that go live one after the other, and a third that is held: their release strings."""
    fleet = Fleet(hub.sources, hub.shared)
    releases: list[str] = []
    for records, bare, revised, code in ((30, 0, 0, 0), (32, 2, 4, 0), (12, 3, 0, 4)):
        _write_cells(fleet, records, bare, revised)
        assert fleet.run("crawl", "cells").returncode == code
        releases.append(read_history(fleet.folder("cells"))[-1].release)
        if code == 0:
            wait_for(lambda: hub.status("cells")["live"] == releases[-1], f"{releases[-1]} to be live")
    hub.wait_for_changes("cells", releases[1])
    return releases


def make_looks(hub: RunningHub) -> Looks:
    """Start the hub, and have all that happen."""
    _write_users(hub)
    hub.add_source("hostile", title=ALL[:1900])
    hub.add_source("refused")
    _write_cells(Fleet(hub.sources, hub.shared), 30)
    hub.start()  # with all sources: it would find later ones only after a while
    releases = _crawl_cells(hub)
    morning = Morning(hub)
    hostile = [{"_id": f"hostile_{at:02}", "name": it, it[:30]: [it], "url": it} for at, it in enumerate(PAYLOADS)]
    morning.runs("hostile", [("failed", 0, timedelta(hours=2))], message=ALL)
    morning.publish("hostile", timedelta(days=1), [*hostile, {"_id": f"hostile_{ALL}", "name": LONG}])
    morning.publish("refused", timedelta(hours=7), [b'{"_id": "refused_1"}\n', f"{ALL!r}\n".encode(), b"nor this\n"])
    hub.wait_for_state("refused", "upload failed")
    wait_for(lambda: hub.status("hostile")["live"] and hub.status("hostile")["changes"], "hostile to be live")
    write_log(hub, "cells", "it failed: password=s3cret")
    write_log(hub, "hostile", ALL)
    return Looks(hub, *releases)
