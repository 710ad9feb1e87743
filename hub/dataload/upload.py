"""One upload, from an archived release to the live collection. Runs in a worker process of the hub; needs nothing of BioThings."""

import logging
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError, ReleaseError
from hub.dataload.archive import Archived, books_of, find_archived
from hub.dataload.changes import note_changes
from hub.dataload.documents import Transform
from hub.dataload.live import LiveBook, LiveRelease, temporary_name
from hub.dataload.loading import UPLOAD_REJECTS, Loaded, load_file
from hub.dataload.ordering import OutOfOrder
from hub.dataload.pin import read_pin
from hub.dataload.provenance import stamping
from hub.progress import stop_if_asked

logger = logging.getLogger(__name__)


class DatabaseError(FleetError):
    """The database failed; the same upload may work later."""


@dataclass(frozen=True)
class UploadOrder:
    """What to upload, and where to. ``database``: where the live collections lie; ``books``: the hub's own.

    ``reject_budget`` and ``allow_empty`` are the manifest's; ``transform`` is the hub's code of the source, if it has any.
    """

    uri: str
    database: str
    books: str
    source: str
    archived: Archived
    reject_budget: float
    allow_empty: bool
    transform: Transform | None = None


def upload(order: UploadOrder) -> LiveRelease | FleetError:
    """Load the release into a collection of its own, check it, and make it the live one in one step.

    Errors that a person can act on are returned, not raised: the hub's job manager writes a traceback for what is raised.
    On any of them the live collection stays as it was.
    """
    client: MongoClient
    try:
        with MongoClient(order.uri, tz_aware=True) as client:
            return _upload(order, client)
    except ReleaseError as error:
        return error
    except (PyMongoError, OSError) as error:
        return DatabaseError(
            f"{order.source}: {order.archived.release} could not be loaded: {type(error).__name__}: {str(error)[:500]}. The live "
            "collection stays as it was; it will be tried again within the hour, and when the hub starts."
        )


def _upload(order: UploadOrder, client: MongoClient) -> LiveRelease:
    stop_if_asked()
    database = client[order.database]
    book = LiveBook(client[order.books], database)
    book.drop_temporary(order.source)
    name = temporary_name(order.source, uuid4().hex[:12])
    rejects_path = order.archived.folder / UPLOAD_REJECTS
    archive = order.archived.folder.parent
    # When records were seen in other releases. The latest itself is compared once it is live, which so is not delayed.
    note_changes(archive, but_latest=find_archived(archive) == order.archived)
    try:
        collection = database.create_collection(name)  # a release without a document must be a collection too
        loaded = _load(order, collection, rejects_path)
        loaded.check(order.source, rejects_path, order.reject_budget, order.allow_empty)
        stored = collection.count_documents({})
        if stored != loaded.documents:
            raise ReleaseError(
                f"{order.source}: {loaded.documents} documents were loaded into {name}, but the database counts {stored}. "
                "The live collection stays as it was; try again with `fleet upload`."
            )
        _check_pin(order)
        stop_if_asked()
        release = LiveRelease(order.archived.release.text, loaded.documents, loaded.rejects)
        book.switch(order.source, name, release)
    except BaseException:
        _drop(book, order.source)
        raise
    return release


def _load(order: UploadOrder, collection: Collection, rejects_path: Path) -> Loaded:
    books = books_of(order.archived.folder.parent)
    try:
        with stamping(order.source, order.archived, books, in_order=True) as stamp:
            return load_file(order.archived.data, rejects_path, collection, order.transform, stamp)
    except OutOfOrder:  # seen in the first few lines, as a rule
        collection.delete_many({})
    with stamping(order.source, order.archived, books, in_order=False) as stamp:
        return load_file(order.archived.data, rejects_path, collection, order.transform, stamp)


def _check_pin(order: UploadOrder) -> None:
    """:raises ReleaseError: another release was pinned while this one was loaded."""
    pin = read_pin(order.archived.folder.parent)
    if pin and pin.release != order.archived.release.text:
        raise ReleaseError(
            f"{order.source}: {order.archived.release} was loaded, but does not go live: meanwhile {pin.release} was pinned by "
            f"{pin.by}. `fleet unpin {order.source}` lets newer releases go live again."
        )


def _drop(book: LiveBook, source: str) -> None:
    try:
        book.drop_temporary(source)
    except PyMongoError as error:
        logger.warning("%s: the cut-off upload was left behind, until the next one: %s", source, error)
