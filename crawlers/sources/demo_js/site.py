"""A demonstration site that shows nothing without JavaScript, served on loopback.

``python crawlers/sources/demo_js/site.py [PORT]`` serves it to a browser.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DATASETS = 12
PAGE_SIZE = 6
# What one click on "More" brings.
PART_SIZE = 4
INSTRUMENTS = ["radiosonde", "tide gauge", "seismometer", "rain gauge", "current meter", "pyranometer"]
PLACES = ["Lake Constance", "the Wadden Sea", "the Black Forest", "the Bay of Kiel", "the Harz", "the Upper Rhine"]

SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Demonstration Catalogue</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
article { border: 1px solid #dde4ea; border-radius: .5rem; padding: .8rem; margin: .6rem 0 }
#cookies { position: fixed; inset: 0; background: #fffe; display: grid; place-content: center; gap: 1rem }
</style>
</head>
<body>
<noscript>This site needs JavaScript.</noscript>
<main></main>
<script src="/app.js"></script>
</body>
</html>
"""

APP = """
const main = document.querySelector("main");
const element = (name, text, attributes = {}) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.textContent = text;
  return made;
};
const get = async (path) => (await fetch(path)).json();

async function catalogue() {
  const page = Number(new URLSearchParams(location.search).get("page") || 1);
  const list = main.appendChild(element("section", ""));
  const more = main.appendChild(element("button", "More", {className: "more", hidden: true}));
  let shown = 0;
  const load = async () => {
    more.hidden = true;
    const part = await get(`/api/catalogue?page=${page}&from=${shown}`);
    for (const dataset of part.datasets) {
      const entry = list.appendChild(element("article", "", {className: "dataset"}));
      entry.appendChild(element("a", dataset.name, {href: `/datasets/${dataset.id}`}));
    }
    shown += part.datasets.length;
    more.hidden = shown >= part.total;
    if (more.hidden && part.next) main.appendChild(element("a", "Next page", {rel: "next", href: `?page=${part.next}`}));
  };
  more.onclick = load;
  if (!localStorage.getItem("cookies")) {
    const banner = document.body.appendChild(element("div", "", {id: "cookies"}));
    const agree = banner.appendChild(element("button", "Accept cookies"));
    agree.onclick = () => { localStorage.setItem("cookies", "yes"); banner.remove(); };
  }
  await load();
}

async function dataset(id) {
  const found = await get(`/api/datasets/${id}`);
  main.append(element("h1", found.name), element("p", found.description, {className: "abstract"}));
  main.append(element("time", found.published, {dateTime: found.published}));
  const keywords = main.appendChild(element("ul", ""));
  for (const word of found.keywords) keywords.append(element("li", word, {className: "keyword"}));
}

const id = location.pathname.match(/^\\/datasets\\/([^/]+)$/);
id ? dataset(id[1]) : catalogue();
"""


@contextlib.contextmanager
def serve(port: int = 0) -> Iterator[str]:
    """Serve the site on a loopback port, by default a free one; gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(path: str) -> tuple[int, str, str]:
    """Status, content type and text of what lies at ``path``, a path with its query."""
    parts = urlsplit(path)
    query = {name: int(values[0]) for name, values in parse_qs(parts.query).items() if values[0].isdecimal()}
    place, _, name = parts.path.rpartition("/")
    if parts.path == "/app.js":
        return 200, "text/javascript; charset=utf-8", APP
    if parts.path == "/api/catalogue":
        return 200, "application/json", json.dumps(_part(query.get("page", 1), query.get("from", 0)))
    if place == "/api/datasets" and name in _DATASETS:
        return 200, "application/json", json.dumps(_DATASETS[name])
    if parts.path in ("/", "/catalogue") or (place == "/datasets" and name in _DATASETS):
        return 200, "text/html; charset=utf-8", SHELL
    if parts.path == "/robots.txt":
        return 200, "text/plain", "User-agent: *\nDisallow: /admin/\n"
    return 404, "text/plain", "There is no such page.\n"


def _dataset(number: int) -> dict:
    instrument, place = INSTRUMENTS[number % 6], PLACES[number * 5 % 7 % 6]
    return {
        "id": f"JS-{number:04}",
        "name": f"Series {number} of a {instrument} at {place}",
        "description": f"Hourly readings of a {instrument} at {place}, with calibration and gaps marked.",
        "published": f"20{10 + number % 15}-{1 + number % 12:02}-{1 + number % 28:02}",
        "keywords": [instrument, place, "time series"],
    }


_DATASETS = {dataset["id"]: dataset for dataset in map(_dataset, range(1, DATASETS + 1))}


def _part(page: int, start: int) -> dict:
    listed = list(_DATASETS.values())[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    entries = [{"id": dataset["id"], "name": dataset["name"]} for dataset in listed[start : start + PART_SIZE]]
    return {
        "total": len(listed),
        "next": page + 1 if page * PAGE_SIZE < DATASETS else None,
        "datasets": entries,
    }


class _Handler(BaseHTTPRequestHandler):
    # 1.0 ends each connection without saying so; Twisted takes it for one to keep, and now and then a request fails.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, kind, text = answer(self.path)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the crawl's own log says what was asked for."""


if __name__ == "__main__":
    with serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as address, contextlib.suppress(KeyboardInterrupt):
        print(f"The demonstration site is at {address}/catalogue — Ctrl-C ends it.", flush=True)
        threading.Event().wait()
