"""Connections of urllib3 that lead to no private address: each address is looked at, and then that very one is connected to.

Where a proxy of the environment stands between, it resolves the names: then only URLs that hold an address are refused.
"""

import socket
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from crawlers.runtime.addresses import Addresses


def guarded_pools(addresses: Addresses) -> dict[str, type[HTTPConnectionPool]]:
    """The pool classes by scheme, for a ``PoolManager``; their requests raise ``ForbiddenAddressError``."""

    class Guard(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            host = self._dns_host
            try:
                allowed = addresses.resolve(host, self.port)
            except socket.gaierror as error:
                raise NameResolutionError(host, self, error) from error
            failure: Exception = NewConnectionError(self, f"{host} has no address")
            try:
                for self._dns_host in allowed:
                    try:
                        return super()._new_conn()
                    except NewConnectionError as error:
                        failure = error
            finally:
                self._dns_host = host  # what certificates and the Host header are about
            raise failure

    class Connection(Guard):
        pass

    class SecureConnection(Guard, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls: Any = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls: Any = SecureConnection

    return {"http": Pool, "https": SecurePool}
