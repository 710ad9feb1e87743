"""Images that stand in for public ones where those can't be had: the same programs, from Debian's packages."""

import os
import subprocess

_BASE = "FROM python:3.12-slim-bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends {packages}\n"
_DOCKERFILES = {
    "redis:7": _BASE.format(packages="redis-server")
    + 'ENTRYPOINT ["/bin/sh", "-c", "shift; exec redis-server --protected-mode no \\"$@\\"", "sh"]\n',
    "prom/prometheus:v3": _BASE.format(packages="prometheus wget")
    + "RUN mkdir -p /prometheus && chown 65534:65534 /prometheus\nWORKDIR /prometheus\nUSER 65534\n"
    + 'ENTRYPOINT ["/usr/bin/prometheus"]\n',
}


def provide(image: str) -> None:
    """Have ``image`` on this machine: the public one, or else its stand-in, if there is one."""
    for have in (["docker", "image", "inspect", image], ["docker", "pull", image]):
        if subprocess.run(have, capture_output=True, timeout=600).returncode == 0:
            return
    if image not in _DOCKERFILES:
        return
    network = ["--network", os.environ.get("FLEET_BUILD_NETWORK", "default")]
    built = subprocess.run(
        ["docker", "build", *network, "-t", image, "-"],
        input=_DOCKERFILES[image],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert built.returncode == 0, built.stderr
