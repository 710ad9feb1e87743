"""The second step of a harvest, without the network: from the files of its windows to the records of a release."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from crawlers.runtime.oai.answer import OaiRecord
from crawlers.runtime.oai.convert import ConversionError, convert
from crawlers.runtime.oai.newest import Newest


@dataclass(frozen=True)
class Built:
    """What the windows held. ``versions`` = all records in them, also older ones of the same identifier; ``records`` were given on,
    ``rejects`` could not be converted, ``deleted`` are gone from the repository.
    """

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
    """Convert the newest version of every record in ``windows`` (files, oldest first) that was not deleted.

    :param scratch: a folder for temporary files.
    :param accept: called with each record made.
    :param reject: called with the reason and the record as it came, for each that can't be converted.
    :raises WindowFileError: a window's file can't be read.
    """
    newest = Newest(windows, scratch)
    records = rejects = 0
    for record in newest:
        try:
            made = convert(record)
        except ConversionError as error:
            rejects += 1
            reject(str(error), as_it_came(record))
        else:
            records += 1
            accept(made)
    return Built(newest.versions, records, rejects, newest.deleted)


def as_it_came(record: OaiRecord) -> dict[str, Any]:
    """The record for the rejects, its metadata as XML."""
    metadata = record.metadata
    return {
        "_id": record.identifier,
        "datestamp": record.datestamp,
        "sets": list(record.set_specs),
        "metadata": None if metadata is None else etree.tostring(metadata, encoding="unicode", with_tail=False),
    }
