"""The database module of the hub (``HUB_DB_BACKEND``): the SDK's own for MongoDB, but with one URI for everything.

The SDK puts together the address of the source database from server, port, user and password, which leaves no room for
options such as ``replicaSet``, ``authSource`` or TLS.
"""

import biothings.utils.mongo as sdk
from biothings.utils.mongo import *  # noqa: F403
from biothings.utils.mongo import Database, DatabaseClient, get_hub_db_conn, requires_config

__all__ = ["Database", "DatabaseClient", "get_hub_db_conn", "get_src_conn", "get_src_db"]


@requires_config
def get_src_conn() -> DatabaseClient:
    return get_hub_db_conn()


@requires_config
def get_src_db(conn: DatabaseClient | None = None) -> Database:
    return (conn or get_src_conn())[sdk.config.DATA_SRC_DATABASE]


# The SDK's own modules that import sdk directly get the same.
sdk.get_src_conn = sdk.get_target_conn = get_src_conn
