"""Two OAI-PMH servers that others wrote, run in processes of their own on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict


class Entry(TypedDict, total=False):
    """A record that a server has. ``datestamp``: ``YYYY-MM-DDThh:mm:ssZ``; ``sets``: their setSpecs; ``title``: in its Dublin Core."""

    identifier: str
    datestamp: str
    deleted: bool
    sets: list[str]
    title: str


@contextmanager
def serving(name: str, entries: list[Entry], folder: Path, page_size: int = 100) -> Iterator[str]:
    """Run ``oaipmh`` or ``django_oai_pmh`` with these records; gives the URL of its endpoint.

    :param folder: for what it keeps, and its log.
    """
    (folder / "entries.json").write_text(json.dumps({"entries": entries, "page_size": page_size}))
    script = Path(__file__).with_name(f"run_{name}.py")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(),
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, (folder / "server.log").read_text()
            yield url
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def run(application: Any, prepare: Any) -> None:
    """Serve a WSGI application on a free port until the process is ended; says its URL on standard output."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            print(self.path, *arguments, file=sys.stderr)

    server = Server(("127.0.0.1", 0), Handler)
    server.set_app(application)
    url = f"http://127.0.0.1:{server.server_port}/oai"
    prepare(url)
    print(url, flush=True)
    server.serve_forever()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONWARNINGS": "ignore"}
