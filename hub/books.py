"""The hub's books: what it notes down in a database of its own, for people, for the SDK's endpoints, and to know what is live.

Written with a client of our own: the SDK's retries for a quarter of an hour when the database is away, and holds up the hub.
"""

import functools
from typing import Any

import pymongo
from biothings.hub import config
from biothings.utils.hub_db import ChangeWatcher
from pymongo import DESCENDING, MongoClient
from pymongo.collection import Collection

from hub.dataload.live import LiveBook, LiveRelease

# How long a database that is away is waited for, unless the URI says otherwise.
_TIMEOUT_MS = 5_000
JOBS_KEPT = 5_000


class Books:
    """``live``: which release is live. The rest tells how dumps and uploads went, in the SDK's collections and form."""

    def __init__(self, uri: str, books: str, collections: str) -> None:
        patience: dict[str, Any] = (
            {} if "serverselectiontimeoutms" in uri.lower() else {"serverSelectionTimeoutMS": _TIMEOUT_MS}
        )
        client: MongoClient = MongoClient(uri, tz_aware=True, **patience)
        self.live = LiveBook(client[books], client[collections])
        self._src_dump = client[books][config.DATA_SRC_DUMP_COLLECTION]
        self._src_master = client[books][config.DATA_SRC_MASTER_COLLECTION]
        self._jobs = client[books]["fleet_jobs"]
        self._collections = client[collections]

    def find(self, source: str) -> dict[str, Any]:
        """How the last dump (``download``) and upload (``upload.jobs.<source>``) of ``source`` went; empty before the first."""
        return self._src_dump.find_one({"_id": source}) or {}

    def find_all(self) -> dict[str, dict[str, Any]]:
        """The same of every source, by name."""
        return {entry["_id"]: entry for entry in self._src_dump.find()}

    def read_all(self, seconds: float) -> tuple[dict[str, LiveRelease], dict[str, dict[str, Any]]]:
        """Which release is live, and what ``find`` gives, of every source, by name; within ``seconds``.

        :raises PyMongoError: the database is away, or slower.
        """
        with pymongo.timeout(seconds):
            return self.live.find_all(), self.find_all()

    def documents(self, source: str) -> Collection[dict[str, Any]]:
        """The live collection of ``source``, to look at."""
        return self._collections[source]

    def note_dump(self, source: str, entry: dict[str, Any]) -> None:
        # Only this key: an upload may be noting its own in the same document.
        self._src_dump.update_one({"_id": source}, {"$set": {"download": entry}}, upsert=True)

    def note_upload(self, source: str, entry: dict[str, Any]) -> None:
        """What ``entry`` doesn't name stays as it was."""
        changes = {f"upload.jobs.{source}.{key}": value for key, value in entry.items()}
        self._src_dump.update_one({"_id": source}, {"$set": changes}, upsert=True)

    def note_master(self, source: str, entry: dict[str, Any]) -> None:
        self._src_master.replace_one({"_id": source}, entry, upsert=True)

    def note_job(self, entry: dict[str, Any]) -> None:
        """A job of the hub that ended (see ``hub.worklist.Job``); ``job``, its name, tells the order."""
        self._jobs.replace_one({"_id": entry["job"]}, entry, upsert=True)

    def find_jobs(self, source: str = "", last: int = 100) -> list[dict[str, Any]]:
        """The jobs that ended, of ``source`` or of all, the latest first."""
        query = {"source": source} if source else {}
        return list(self._jobs.find(query, {"_id": 0}).sort("_id", DESCENDING).limit(last))

    def find_job(self, job: str) -> dict[str, Any] | None:
        """The job of that name, if it ended and is not forgotten."""
        return self._jobs.find_one({"_id": {"$eq": job}}, {"_id": 0})

    def forget_jobs(self, keep: int = JOBS_KEPT) -> None:
        """Forget all but the latest ``keep`` jobs."""
        oldest = list(self._jobs.find({}, {"_id": 1}).sort("_id", DESCENDING).skip(keep).limit(1))
        if oldest:
            self._jobs.delete_many({"_id": {"$lte": oldest[0]["_id"]}})

    def is_whole(self, source: str, documents: int) -> bool:
        """Whether the live collection of ``source`` holds as many documents as were loaded.

        A database that lost its last writes, as the embedded one may when it is killed, is found out so.
        """
        collection = self._collections[source]
        return collection.estimated_document_count() == documents or collection.count_documents({}) == documents


@functools.cache
def open_books() -> Books:
    """The books of this hub. Not for its workers: a client must not be used across a fork."""
    return Books(config.HUB_DB_BACKEND["uri"], config.DATA_HUB_DB_DATABASE, config.DATA_SRC_DATABASE)


def announce(source: str) -> None:
    """Tell those who listen on the websocket that something was noted of ``source``. To be called in the event loop's thread."""
    if ChangeWatcher.listeners:
        ChangeWatcher.event_queue.put_nowait({"_id": source, "obj": "source", "op": "update_one"})
