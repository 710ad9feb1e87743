"""Which release is live: one document a source in the hub's books, kept right through any crash.

The live collection is replaced by one ``renameCollection`` with ``dropTarget``. Before it, an intent is written that names the
collection about to be renamed. As long as that collection exists, the rename has not happened; once it is gone, it has.
So what is live follows from the intent and the list of collections, whenever the hub was killed.

The document: ``{"_id": source, "live": {…} or null, "next": {…, "collection": name} or null}``, where ``{…}`` is ``LiveRelease``.
"""

from dataclasses import asdict, dataclass
from typing import Any

from pymongo import WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database

BOOK = "live"


@dataclass(frozen=True)
class LiveRelease:
    """A release as it was loaded. ``rejects``: those of the upload."""

    release: str
    documents: int
    rejects: int


class LiveBook:
    """``books``: the hub's own database; ``collections``: the database where the live collections lie."""

    def __init__(self, books: Database, collections: Database) -> None:
        majority = WriteConcern("majority")
        self._book: Collection = books.get_collection(BOOK, write_concern=majority)
        self._collections = collections.with_options(write_concern=majority)

    def find(self, source: str) -> LiveRelease | None:
        """The release that is live; None where there is none, or none that we loaded."""
        entry = self._book.find_one({"_id": source}) or {}
        # Quick where nothing is under way: a list of all collections takes long where there are hundreds.
        if not entry.get("next") and self._collections[source].find_one({}, {"_id": 1}):
            return _read(entry.get("live"))
        names = set(self._collections.list_collection_names())
        return _read(_settle(entry, names)) if source in names else None

    def find_all(self) -> dict[str, LiveRelease]:
        """What is live of every source, by name."""
        entries = list(self._book.find())
        names = set(self._collections.list_collection_names())
        found = {entry["_id"]: _read(_settle(entry, names)) for entry in entries if entry["_id"] in names}
        return {source: live for source, live in found.items() if live}

    def switch(self, source: str, temporary: str, release: LiveRelease) -> None:
        """Make the collection ``temporary`` the live one of ``source``, in one atomic step."""
        intent = {**asdict(release), "collection": temporary}
        self._book.update_one({"_id": source}, {"$set": {"next": intent}}, upsert=True)
        self._collections[temporary].rename(source, dropTarget=True)
        self.settle(source)

    def settle(self, source: str) -> None:
        """Turn an intent that a crash may have left into what became of it. To be called before collections are dropped."""
        entry = self._book.find_one({"_id": source})
        if entry and entry.get("next"):
            live = _settle(entry, set(self._collections.list_collection_names()))
            self._book.update_one({"_id": source}, {"$set": {"live": live, "next": None}})

    def drop_temporary(self, source: str) -> list[str]:
        """Drop what cut-off uploads of ``source`` left behind; the names of what was dropped."""
        self.settle(source)
        prefix = temporary_name(source, "")
        names = [name for name in self._collections.list_collection_names() if name.startswith(prefix)]
        for name in names:
            self._collections.drop_collection(name)
        return names


def temporary_name(source: str, suffix: str) -> str:
    """The name of a collection that is being loaded. No source has a dot in its name, so none can be meant by it."""
    return f"{source}.loading.{suffix}"


def _settle(entry: dict[str, Any], names: set[str]) -> dict[str, Any] | None:
    intent = entry.get("next")
    if intent and intent["collection"] not in names:
        return {key: value for key, value in intent.items() if key != "collection"}
    return entry.get("live")


def _read(entry: dict[str, Any] | None) -> LiveRelease | None:
    return LiveRelease(**entry) if entry else None
