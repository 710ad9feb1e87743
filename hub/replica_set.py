"""Initiates the single-node replica set that production runs on, at the first start.

https://www.mongodb.com/docs/manual/reference/command/replSetInitiate/
"""

import logging
import time

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from crawlers.runtime.errors import UnreachableError, UsageError

logger = logging.getLogger(__name__)

_COMMAND_NOT_FOUND = 59
_ALREADY_INITIALIZED = 23
_NOT_YET_INITIALIZED = 94
_PRIMARY_SECONDS = 60.0


def initiate(uri: str) -> None:
    """Wait until the database that ``uri`` names can be written to; initiate its replica set if that was never done.

    A server that doesn't know replica sets is left as it is, as is a URI with more than one host or none of a set.

    :raises UnreachableError: it doesn't answer, or the login is wrong.
    :raises UsageError: the URI is wrong.
    """
    try:
        parsed = parse_uri(uri)
        name = parsed["options"].get("replicaSet")
        if name and len(parsed["nodelist"]) == 1:
            _initiate(uri, name, parsed["nodelist"][0])
        client: MongoClient
        with MongoClient(uri, serverSelectionTimeoutMS=int(_PRIMARY_SECONDS * 1000)) as client:
            client.admin.command("ping")
    except (InvalidURI, ConfigurationError, ValueError, OSError) as error:  # OSError: a file that it names
        raise UsageError(f"FLEET_MONGO_URI: {error}") from error
    except PyMongoError as error:
        raise UnreachableError(
            f"the database that FLEET_MONGO_URI names can't be used: {str(error)[:500]}. Check that it runs, and the login in "
            "FLEET_MONGO_URI and FLEET_MONGO_PASSWORD_FILE."
        ) from error


def _initiate(uri: str, name: str, host: tuple[str, int]) -> None:
    client: MongoClient
    with MongoClient(
        uri, directConnection=True, replicaSet=None, serverSelectionTimeoutMS=int(_PRIMARY_SECONDS * 1000)
    ) as client:
        try:
            client.admin.command("replSetGetStatus")
            return
        except OperationFailure as error:
            if error.code == _COMMAND_NOT_FOUND:
                return
            if error.code != _NOT_YET_INITIALIZED:
                raise
        member = {"_id": 0, "host": f"{host[0]}:{host[1]}"}
        logger.info("initiating the replica set %s with %s", name, member["host"])
        try:
            client.admin.command("replSetInitiate", {"_id": name, "members": [member]})
        except OperationFailure as error:
            if error.code not in (_ALREADY_INITIALIZED, _COMMAND_NOT_FOUND):
                raise
        deadline = time.monotonic() + _PRIMARY_SECONDS
        while not client.admin.command("hello").get("isWritablePrimary"):
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"the replica set {name} has no primary after {_PRIMARY_SECONDS:.0f} s: see the log of the database"
                )
            time.sleep(0.2)
