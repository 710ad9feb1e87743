"""A fleet of its own in containers, by the project's own compose file."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

CHECKOUT = Path(__file__).resolve().parents[2]
_PATIENCE_SECONDS = 180

T = TypeVar("T")


class Compose:
    """``docker compose`` on the project's file and ``override``, with ``environment`` instead of the machine's FLEET_* settings."""

    def __init__(self, project: str, override: Path, environment: dict[str, str]) -> None:
        self.project = project
        self._files = ["-f", str(CHECKOUT / "docker-compose.yml"), "-f", str(override)]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FLEET_", "COMPOSE_"))}
        network = {key: value for key, value in os.environ.items() if key == "FLEET_BUILD_NETWORK"}
        self._environment = kept | network | environment

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """``docker compose`` with the arguments, whatever comes of it."""
        return self._docker(
            "compose", "-p", self.project, "--env-file", os.devnull, *self._files, *arguments, timeout=timeout
        )

    def up(self, *services: str) -> None:
        """What an operator types, for the named services and what they depend on."""
        checked(self.run("up", "-d", "--build", "--wait", *services, timeout=900))

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the service's container."""
        return self.run("exec", "-T", service, *command)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``docker compose`` with the arguments, in the background."""
        command = ["docker", "compose", "-p", self.project, "--env-file", os.devnull, *self._files, *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=self._environment, cwd=CHECKOUT, text=True, **pipes)

    def containers(self, service: str) -> list[str]:
        """The ids of the service's containers."""
        return checked(self.run("ps", "-a", "-q", service)).split()

    def container(self, service: str) -> str:
        """The id of the service's container."""
        return self.containers(service)[0]

    def kill(self, container: str) -> subprocess.CompletedProcess[str]:
        """Kill one container, by its id."""
        return self._docker("kill", container)

    def inspect(self, service: str) -> dict[str, Any]:
        return json.loads(checked(self._docker("inspect", self.container(service))))[0]

    def image(self, service: str) -> str:
        """The name of the service's image."""
        described = json.loads(checked(self.run("--profile", "*", "config", "--format", "json")))
        return described["services"][service]["image"]

    def has_image(self, name: str) -> bool:
        """Whether the engine has that image."""
        return self._docker("image", "inspect", name).returncode == 0

    def logs(self, service: str) -> str:
        """What the container wrote to stdout and stderr, by ``docker logs``."""
        result = self._docker("logs", self.container(service))
        return checked(result) + result.stderr

    def processes(self, service: str) -> list[tuple[int, str]]:
        """The uid and the command line of each process in the container."""
        lines = checked(self._docker("top", self.container(service), "-eo", "pid,uid,args")).splitlines()[1:]
        return [(int(uid), args) for _, uid, args in (line.split(maxsplit=2) for line in lines)]

    def status(self, source: str) -> dict[str, Any]:
        """How the source stands, by ``fleet status`` in the hub's container, which logs in."""
        sources = json.loads(checked(self.execute("hub", "fleet", "status", "--json")))
        return next(entry for entry in sources if entry["name"] == source)

    def remove(self, folder: Path) -> None:
        """Remove containers, networks, volumes and images, and what the containers wrote below ``folder``."""
        # Their files belong to uid 454: only a container may delete them.
        every = ("--profile", "*")
        self.run(*every, "kill")
        find = ("run", "--rm", "--no-deps", "-v", f"{folder}:/folder", "--entrypoint", "find", "prepare")
        self.run(*find, "/folder", "-mindepth", "2", "-delete")
        self.run(*every, "down", "-v", "--rmi", "local", "--remove-orphans", "-t", "5")

    def _docker(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *arguments],
            env=self._environment,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


def checked(result: subprocess.CompletedProcess[str]) -> str:
    """What the command printed; fails with all that it said where it failed."""
    assert result.returncode == 0, f"{' '.join(result.args)}: {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {_PATIENCE_SECONDS} s for {what}")
