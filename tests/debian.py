"""Real static sites out of Debian packages, and nginx to serve them on loopback.

A package that is not installed is downloaded by apt and unpacked beside the checkout's other leavings: no root is needed for that,
and nothing is installed. Where apt can't, the test is skipped with the reason.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import pytest

from tests.running_hub import free_port

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "debian"
_TIMEOUT_SECONDS = 300


def package_root(package: str) -> Path:
    """The folder below which the files of the package lie: ``/`` where it is installed."""
    if Path(f"/usr/share/doc/{package}").is_dir() and Path(f"/var/lib/dpkg/info/{package}.list").is_file():
        return Path("/")
    root = CACHE / package
    CACHE.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(CACHE / f"{package}.lock"):
        if not root.is_dir():
            _unpack(package, root)
    return root


def _unpack(package: str, root: Path) -> None:
    download = CACHE / f"{package}.download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir()
    done = _run("apt-get", "download", package, cwd=download)
    if done.returncode and os.geteuid() == 0:  # a new machine has no lists of packages
        _run("apt-get", "update", cwd=download)
        done = _run("apt-get", "download", package, cwd=download)
    archives = list(download.glob("*.deb"))
    if not archives:
        pytest.skip(f"apt can't get the package {package}: {done.stderr.strip()[-300:] or done.returncode}")
    unpacked = download / "root"
    subprocess.run(["dpkg-deb", "--extract", archives[0], unpacked], check=True)
    unpacked.rename(root)
    shutil.rmtree(download)


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


@dataclass(frozen=True)
class Nginx:
    """A running server. ``log``: a line a request, ``STATUS PATH``."""

    url: str
    log: Path

    def requests(self) -> list[tuple[int, str]]:
        """Status and path of each request, robots.txt left out."""
        lines = [line.split(" ", 1) for line in self.log.read_text().splitlines()]
        return [(int(status), path) for status, path in lines if path != "/robots.txt"]


@contextmanager
def serve_nginx(root: Path, folder: Path) -> Iterator[Nginx]:
    """Serve the files below ``root`` on a free loopback port; logs and temporary files go to ``folder``."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or str(package_root("nginx") / "usr/sbin/nginx")
    port = free_port()
    log = folder / "access.log"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{}}
        http {{
          types {{ text/html html htm; text/css css; image/png png; }}
          log_format short "$status $request_uri"; access_log {log} short; {temporary}
          server {{ listen 127.0.0.1:{port}; root {root}; }}
        }}
        """
    )
    command: list[Any] = [nginx, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for(process, port)
            yield Nginx(f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
            process.wait()


def _wait_for(process: subprocess.Popen[str], port: int) -> None:
    while process.poll() is None:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    assert process.stderr
    pytest.skip(f"nginx does not run here: {process.stderr.read()[-300:]}")
