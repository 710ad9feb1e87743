"""From the files of a harvest's windows to records: the newest version of each, in the plainest form."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.windows import read_window


@dataclass(frozen=True)
class Built:
    """What the windows held: ``versions`` of records in all; ``records`` were given on; ``deleted`` are gone."""

    versions: int
    records: int
    rejects: int
    deleted: int


def build(
    windows: Iterable[Path],
    scratch: Path,
    accept: Callable[[dict[str, Any]], None],
    reject: Callable[[str, dict[str, Any]], None],
) -> Built:
    """Give on the newest version of every record in ``windows`` (files, oldest first) that was not deleted."""
    newest: dict[str, tuple[str, int, bool]] = {}
    paths, versions, records, rejects = list(windows), 0, 0, 0
    for path in paths:
        for record in read_window(path):
            versions += 1
            known = newest.get(record.identifier)
            if known is None or record.datestamp >= known[0]:
                newest[record.identifier] = (record.datestamp, versions, record.deleted)
    number = 0
    for path in paths:
        for record in read_window(path):
            number += 1
            if newest[record.identifier][1:] != (number, False):
                continue
            if not record.identifier:
                rejects += 1
                reject("the record has no identifier", {"_id": "", "datestamp": record.datestamp})
                continue
            records += 1
            accept(convert(record))
    return Built(versions, records, rejects, sum(deleted for _, _, deleted in newest.values()))


def convert(record: OaiRecord) -> dict[str, Any]:
    """The record with the texts of its metadata by element."""
    fields: dict[str, Any] = {"_id": record.identifier, "sdDatePublished": record.datestamp}
    for element in record.metadata.iter(etree.Element) if record.metadata is not None else ():
        if text := (element.text or "").strip():
            fields.setdefault(etree.QName(element).localname, []).append(text)
    fields["name"] = (fields.get("title") or [record.identifier])[0]
    fields["url"] = next((text for text in fields.get("identifier", []) if text.startswith("http")), record.identifier)
    return fields
