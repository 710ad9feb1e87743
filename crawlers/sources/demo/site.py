"""The demonstration site, served on loopback: 200 datasets, the same ones every time.

``python crawlers/sources/demo/site.py [PORT]`` serves it to a browser.
"""

import contextlib
import random
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DATASETS = 200
PAGE_SIZE = 20

SPECIES = [
    "Homo sapiens",
    "Mus musculus",
    "Macaca mulatta",
    "Mycobacterium tuberculosis",
    "Plasmodium falciparum",
    "Staphylococcus aureus",
    "Influenza A virus",
    "Aedes aegypti",
]
TECHNIQUES = [
    "RNA sequencing",
    "Single-cell RNA sequencing",
    "Flow cytometry",
    "Mass spectrometry",
    "Whole genome sequencing",
    "Enzyme-linked immunosorbent assay",
    "Multiplex bead assay",
    "Confocal microscopy",
]
TOPICS = [
    ("tuberculosis", "latent infection"),
    ("malaria", "naturally acquired immunity"),
    ("influenza", "seasonal vaccination"),
    ("asthma", "allergen exposure in childhood"),
    ("sepsis", "antibiotic treatment"),
    ("dengue", "secondary infection"),
    ("type 1 diabetes", "onset of autoimmunity"),
    ("hospital-acquired infection", "skin colonisation"),
    ("food allergy", "oral immunotherapy"),
    ("COVID-19", "booster vaccination"),
]
SAMPLES = ["whole blood", "peripheral blood mononuclear cells", "nasal swabs", "serum", "lung tissue", "bone marrow"]
GIVEN_NAMES = [
    "Amara",
    "Benedikt",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farah",
    "Gustavo",
    "Hana",
    "Ingrid",
    "Jun",
    "Kofi",
    "Łucja",
]
FAMILY_NAMES = [
    "Adeyemi",
    "Brandt",
    "Castellanos",
    "Dvořák",
    "Eriksen",
    "Fontaine",
    "Gupta",
    "Hoang",
    "Ivanova",
    "Ñáñez",
]
INSTITUTES = [
    "Institute of Example Medicine",
    "University of Placeholder",
    "Sample Valley Research Hospital",
    "Centre for Imaginary Pathogens",
]
LICENCES = [
    ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Demonstration Repository</title>
<style>
:root {{ --ink: #1d2a35; --soft: #5c6b78; --line: #dde4ea; --leaf: #0b6e5f; color-scheme: light }}
body {{ font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: #f6f8fa; margin: 0 }}
header {{ background: var(--leaf); padding: 1rem max(1rem, calc(50% - 24rem)) }}
header a {{ color: #fff; font-weight: 600; text-decoration: none }}
main {{ max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
a {{ color: var(--leaf) }}
h1 {{ line-height: 1.25 }} h2 {{ font-size: 1.05rem; margin: 0 }}
article {{ background: #fff; border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1.1rem; margin: .8rem 0 }}
article p {{ color: var(--soft); margin: .3rem 0 0 }}
dl {{ display: grid; grid-template-columns: 10rem 1fr; gap: .4rem 1rem }} dt {{ color: var(--soft) }} dd {{ margin: 0 }}
ul.keywords {{ list-style: none; padding: 0; display: flex; gap: .5rem; flex-wrap: wrap }}
ul.keywords li {{ background: #e3f1ee; border-radius: 1rem; padding: .1rem .8rem }}
nav.pager {{ display: flex; justify-content: space-between; margin: 1.5rem 0 }}
.affiliation {{ color: var(--soft) }}
</style>
</head>
<body>
<header><a href="/datasets?page=1">Demonstration Repository</a></header>
<main>
{body}
</main>
</body>
</html>
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


def page(path: str) -> str | None:
    """The HTML page at ``path``, a path with its query; None where there is none."""
    parts = urlsplit(path)
    if parts.path in ("/", "/datasets"):
        number = parse_qs(parts.query).get("page", ["1"])[0]
        return _listing(int(number)) if number.isdecimal() and 1 <= int(number) <= DATASETS // PAGE_SIZE else None
    found = [dataset for dataset in datasets() if parts.path == f"/datasets/{dataset['id']}"]
    return _detail(found[0]) if found else None


@cache
def datasets() -> list[dict]:
    """The datasets, made from a fixed seed."""
    return [_dataset(number, random.Random(number)) for number in range(1, DATASETS + 1)]  # noqa: S311


def _dataset(number: int, chance: random.Random) -> dict:
    species, technique, sample = chance.choice(SPECIES), chance.choice(TECHNIQUES), chance.choice(SAMPLES)
    disease, aspect = chance.choice(TOPICS)
    people = chance.randint(12, 480)
    published = date(2015, 1, 1) + timedelta(days=chance.randrange(3900))
    return {
        "id": f"DEMO-{number:04}",
        "name": f"{technique} of {sample} in {disease}: {aspect}",
        "description": (
            f"{technique} data of {sample} from {people} participants of a study on {disease} & {aspect}. "
            f"Raw and processed files, a data dictionary and the analysis protocol are included."
        ),
        "doi": f"10.5072/demo.{number:04}",
        "published": published,
        "modified": published + timedelta(days=chance.randrange(900)),
        "authors": [
            (f"{chance.choice(GIVEN_NAMES)} {chance.choice(FAMILY_NAMES)}", chance.choice(INSTITUTES))
            for _ in range(chance.randint(1, 5))
        ],
        "keywords": [disease, *chance.sample([aspect, sample, "immunology", "open data", "longitudinal"], 3)],
        "species": species,
        "technique": technique,
        "licence": chance.choice(LICENCES),
    }


def _listing(number: int) -> str:
    last = DATASETS // PAGE_SIZE
    entries = "".join(
        f'<article class="dataset"><h2><a href="/datasets/{dataset["id"]}">{escape(dataset["name"])}</a></h2>'
        f"<p>{dataset['id']} · {dataset['published']} · <i>{dataset['species']}</i></p></article>\n"
        for dataset in datasets()[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    )
    before = f'<a rel="prev" href="/datasets?page={number - 1}">← Newer</a>' if number > 1 else "<span></span>"
    after = f'<a rel="next" href="/datasets?page={number + 1}">Older →</a>' if number < last else "<span></span>"
    body = (
        f"<h1>Datasets</h1>\n<p>{DATASETS} datasets, page {number} of {last}</p>\n{entries}"
        f'<nav class="pager">{before}{after}</nav>'
    )
    return PAGE.format(title="Datasets", body=body)


def _detail(dataset: dict) -> str:
    licence, licence_url = dataset["licence"]
    authors = "".join(
        f'<li><span class="name">{escape(name)}</span>, <span class="affiliation">{escape(institute)}</span></li>\n'
        for name, institute in dataset["authors"]
    )
    keywords = "".join(f"<li>{escape(keyword)}</li>" for keyword in dataset["keywords"])
    body = f"""<h1>{escape(dataset["name"])}</h1>
<p class="abstract">{escape(dataset["description"])}</p>
<ul class="keywords">{keywords}</ul>
<dl>
<dt>Identifier</dt><dd>{dataset["id"]}</dd>
<dt>DOI</dt><dd class="doi"><a href="https://doi.org/{dataset["doi"]}">{dataset["doi"]}</a></dd>
<dt>Published</dt><dd class="published"><time datetime="{dataset["published"]}">{dataset["published"]:%d %B %Y}</time></dd>
<dt>Updated</dt><dd class="modified"><time datetime="{dataset["modified"]}">{dataset["modified"]:%d %B %Y}</time></dd>
<dt>Species</dt><dd class="species"><i>{dataset["species"]}</i></dd>
<dt>Technique</dt><dd class="technique">{dataset["technique"]}</dd>
<dt>Licence</dt><dd class="licence"><a href="{licence_url}">{licence}</a></dd>
<dt>Authors</dt><dd><ul class="authors">
{authors}</ul></dd>
</dl>"""
    return PAGE.format(title=escape(dataset["name"]), body=body)


class _Handler(BaseHTTPRequestHandler):
    # 1.0 ends each connection without saying so; Twisted takes it for one to keep, and now and then a request fails.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self._answer(200, "text/plain", "User-agent: *\nDisallow: /admin/\n")
        elif (text := page(self.path)) is not None:
            self._answer(200, "text/html; charset=utf-8", text)
        else:
            self._answer(404, "text/plain", "There is no such page.\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
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
        print(f"The demonstration site is at {address}/datasets — Ctrl-C ends it.", flush=True)
        threading.Event().wait()
