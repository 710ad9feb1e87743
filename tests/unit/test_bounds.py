"""The bounds of what many clients at once may take of the hub: connections, and threads."""

import asyncio
import threading
from contextlib import suppress

import pytest
import tornado.web
from tornado.netutil import bind_sockets

from crawlers.runtime.errors import FleetError
from hub import looks
from hub.api.bounded import BoundedServer


async def _is_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the server answers on this connection."""
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        return bool(await reader.readline())
    except ConnectionError:
        return False


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def test_what_comes_beyond_the_bound_of_connections_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        server = BoundedServer(tornado.web.Application(), most=6)
        (socket,) = bind_sockets(0, "127.0.0.1")
        server.add_sockets([socket])
        port = socket.getsockname()[1]
        here = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        assert [await _is_open(*it) for it in here] == [True] * 3 + [False] * 2
        there = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(4)]
        assert [await _is_open(*it) for it in there] == [True] * 3 + [False]
        for _, writer in here[:1]:
            await _close(writer)
        while len(server._connections) > 5:  # until the server has noticed
            await asyncio.sleep(0.01)
        again = await asyncio.open_connection("127.0.0.1", port)
        assert await _is_open(*again)
        for _, writer in [*here[1:], *there, again]:
            await _close(writer)
        server.stop()
        await server.close_all_connections()

    asyncio.run(run())
    assert len([it for it in caplog.records if "was closed" in it.message]) == 1


def test_those_who_look_wait_and_beyond_a_number_are_told_to_come_again() -> None:
    async def run() -> None:
        go_on = threading.Event()
        most = looks._THREADS + looks._MOST_WAITING
        waiting = [asyncio.create_task(looks.take_look(go_on.wait)) for _ in range(most)]
        await asyncio.sleep(0)
        with pytest.raises(FleetError, match="try again"):
            await looks.take_look(int)
        go_on.set()
        assert await asyncio.gather(*waiting) == [True] * most
        assert await looks.take_look(int, "7") == 7

    asyncio.run(run())
