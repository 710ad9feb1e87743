"""The server of ``oaipmh`` (once pyoai), which is strict about arguments. Usage: run_oaipmh.py FOLDER"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from oaipmh import error, server
from oaipmh.common import Header, Identify, Metadata
from oaipmh.metadata import MetadataRegistry

from tests.oai_servers import run

FORMAT = ("oai_dc", "http://www.openarchives.org/OAI/2.0/oai_dc.xsd", "http://www.openarchives.org/OAI/2.0/oai_dc/")


class Repository:
    """What the package asks its user to write: the records, without paging."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.entries = sorted(entries, key=lambda entry: (entry["datestamp"], entry["identifier"]))
        self.url = ""

    def identify(self) -> Identify:
        return Identify("Tests", self.url, "2.0", ["a@example.org"], datetime(2020, 1, 1), "transient", "YYYY-MM-DDThh:mm:ssZ", ["identity"])  # fmt: skip

    def listMetadataFormats(self, identifier: str | None = None) -> list[tuple[str, str, str]]:
        return [FORMAT]

    def listSets(self) -> list[tuple[str, str, str]]:
        return [(name, name, "") for name in sorted({name for entry in self.entries for name in entry["sets"]})]

    def getRecord(self, metadataPrefix: str, identifier: str) -> tuple[Header, Metadata, None]:
        self._check(metadataPrefix)
        for entry in self.entries:
            if entry["identifier"] == identifier:
                return self._record(entry)
        raise error.IdDoesNotExistError(identifier)

    def listIdentifiers(self, **arguments: Any) -> list[Header]:
        return [record[0] for record in self.listRecords(**arguments)]

    def listRecords(
        self, metadataPrefix: str, set: str = "", from_: datetime | None = None, until: datetime | None = None
    ) -> list[tuple[Header, Metadata, None]]:
        self._check(metadataPrefix)
        return [
            self._record(entry)
            for entry in self.entries
            if (not set or set in entry["sets"])
            and (from_ is None or self._date(entry) >= from_)
            and (until is None or self._date(entry) <= until)
        ]

    def _check(self, prefix: str) -> None:
        if prefix != FORMAT[0]:
            raise error.CannotDisseminateFormatError(prefix)

    def _date(self, entry: dict[str, Any]) -> datetime:
        return datetime.strptime(entry["datestamp"], "%Y-%m-%dT%H:%M:%SZ")

    def _record(self, entry: dict[str, Any]) -> tuple[Header, Metadata, None]:
        header = Header(None, entry["identifier"], self._date(entry), entry["sets"], entry["deleted"])
        return (
            header,
            Metadata(None, {"title": [entry["title"]], "identifier": [f"http://x.invalid/{entry['title']}"]}),
            None,
        )


def main(folder: Path) -> None:
    given = json.loads((folder / "entries.json").read_text())
    repository = Repository(given["entries"])
    registry = MetadataRegistry()
    registry.registerWriter("oai_dc", server.oai_dc_writer)
    answering = server.Server(repository, registry, resumption_batch_size=given["page_size"])

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if not environ["PATH_INFO"].startswith("/oai"):
            start_response("404 Not Found", [])
            return []
        query = environ["QUERY_STRING"]
        if environ["REQUEST_METHOD"] == "POST":
            query = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        body = answering.handleRequest(dict(parse_qsl(query)))
        start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
        return [body]

    run(application, lambda url: setattr(repository, "url", url))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
