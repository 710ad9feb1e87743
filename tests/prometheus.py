"""Prometheus out of Debian's package, on the project's own configuration, for tests."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import requests
import yaml

from tests.debian import package_root
from tests.running_hub import free_port, wait_for

CHECKOUT = Path(__file__).resolve().parents[1]
MONITORING = CHECKOUT / "deploy/monitoring"
RULES = sorted((MONITORING / "prometheus/rules").glob("*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana/dashboards").glob("*.json"))


def command(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``; skips the test where there is none."""
    return str(package_root("prometheus") / "usr/bin" / name)


def promtool(*arguments: str, given: bytes | None = None) -> str:
    """What ``promtool`` says, which must find all well. ``given``: its standard input."""
    done = subprocess.run([command("promtool"), *arguments], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout.decode()}\n{done.stderr.decode()}"
    return done.stdout.decode() + done.stderr.decode()


def rules() -> list[dict[str, Any]]:
    """All recording and alert rules."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> dict[str, str]:
    """Every expression of rules and dashboards, by where it stands. A dashboard's variable stands for the source ``site``."""
    found = {f"rule {rule.get('alert') or rule['record']}": rule["expr"] for rule in rules()}
    for path in DASHBOARDS:
        for panel in orjson.loads(path.read_bytes())["panels"]:
            for target in panel.get("targets", []):
                place = f"{path.name}: {panel['title']} {target['refId']}"
                found[place] = target["expr"].replace("$source", "site")
    return found


def named(expression: str) -> set[str]:
    """The metrics that an expression names, without what its selectors and strings hold."""
    without = re.sub(r'\{[^}]*\}|"[^"]*"|\b(?:by|on|without|ignoring)\s*\([^)]*\)', " ", expression)
    return set(re.findall(r"\b(?:fleet|process)_[a-z_]+\b(?!:)|\b[a-z]+:[a-z_]+:[a-z0-9]+\b", without))


class RunningPrometheus:
    """A Prometheus that scrapes each second, with its API at ``url``."""

    def __init__(self, folder: Path, hub_port: int, token_file: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        configuration = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
        configuration["rule_files"] = [str(folder / "rules/*.yml")]
        (fleet,) = [it for it in configuration["scrape_configs"] if it["job_name"] == "fleet"]
        fleet["static_configs"] = [{"targets": [f"127.0.0.1:{hub_port}"]}]
        fleet["authorization"] = {"credentials_file": str(token_file)}
        configuration["scrape_configs"] = [fleet]
        (folder / "rules").mkdir(parents=True)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        for path in RULES:  # as they are, but without the wait
            groups = yaml.safe_load(path.read_text())
            for rule in [rule for group in groups["groups"] for rule in group["rules"]]:
                rule.pop("for", None)
            (folder / "rules" / path.name).write_text(yaml.safe_dump(groups))

    @contextmanager
    def run(self) -> Iterator["RunningPrometheus"]:
        """Run it within the block."""
        with (self._folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    command("prometheus"),
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(self._is_ready, "Prometheus to be ready")
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", (path, parameters, answer)
        return answer["data"]

    def value(self, expression: str) -> float | None:
        """The number that an expression gives now; None where it gives none."""
        found = self.ask("query", query=expression)["result"]
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """The alerts that fire, as ``NAME`` or ``NAME source``."""
        labels = [it["labels"] for it in self.ask("alerts")["alerts"] if it["state"] == "firing"]
        return {" ".join(filter(None, (it["alertname"], it.get("source")))) for it in labels}

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False
