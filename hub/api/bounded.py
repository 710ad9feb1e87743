"""The HTTP server, with a bound of connections: each takes a file descriptor, of which the hub needs some for its own work."""

import logging
import resource
import time
from collections import Counter
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS = 1_000
# Of one address, so that one client that holds all that it can get locks nobody out who comes from another.
_SHARE_OF_ADDRESS = 0.5
_TOLD_SECONDS = 60.0


class BoundedServer(HTTPServer):
    """Closes at once what comes beyond ``most`` connections, or beyond half of them from one address; None: as many as there is room for."""

    def initialize(self, *arguments: Any, most: int | None = None, **options: Any) -> None:
        super().initialize(*arguments, **options)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, soft // 2)
        self._most = room if most is None else most
        self._of_address: Counter[str] = Counter()
        self._told = float("-inf")

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        peer = str(address[0])
        if self._of_address.total() >= self._most or self._of_address[peer] >= self._most * _SHARE_OF_ADDRESS:
            stream.close()
            self._tell(peer)
            return
        self._of_address[peer] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        super().on_close(server_conn)
        peer = str(server_conn.context.address[0])
        self._of_address[peer] -= 1
        if self._of_address[peer] <= 0:
            del self._of_address[peer]

    def _tell(self, peer: str) -> None:
        if time.monotonic() - self._told > _TOLD_SECONDS:
            self._told = time.monotonic()
            logger.warning(
                "a connection from %s was closed: %d are open, %d of them from there; up to %d are taken, half of them from one address",
                peer,
                self._of_address.total(),
                self._of_address[peer],
                self._most,
            )
