"""A server that speaks as much of MongoDB's wire protocol as an upload needs, and stores nothing.

It shows what the client side costs, whatever the database. OP_MSG only:
https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

import multiprocessing
import socketserver
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import bson

_HEADER = struct.Struct("<iiii")
_LENGTH = struct.Struct("<i")
_OP_MSG, _OP_QUERY, _OP_REPLY = 2013, 2004, 1
_HELLO = {
    "ok": 1.0,
    "helloOk": True,
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 25,
    "readOnly": False,
}


class _Handler(socketserver.StreamRequestHandler):
    rbufsize = 1 << 20

    def handle(self) -> None:
        while header := self.rfile.read(_HEADER.size):
            length, request, _, opcode = _HEADER.unpack(header)
            body = self.rfile.read(length - _HEADER.size)
            if opcode == _OP_MSG:
                reply = bytes(5) + bson.encode(_answer(body))
                self.wfile.write(_HEADER.pack(_HEADER.size + len(reply), 0, request, _OP_MSG) + reply)
            elif opcode == _OP_QUERY:  # the driver's first greeting
                reply = struct.pack("<iqii", 0, 0, 0, 1) + bson.encode(_HELLO)
                self.wfile.write(_HEADER.pack(_HEADER.size + len(reply), 0, request, _OP_REPLY) + reply)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _answer(body: bytes) -> dict:
    command_bytes = _LENGTH.unpack_from(body, 5)[0]
    command = bson.decode(body[5 : 5 + command_bytes])
    if "hello" in command or "ismaster" in command or "isMaster" in command:
        return _HELLO
    if "insert" not in command:
        return {"ok": 1.0, "n": 0}
    return {"ok": 1.0, "n": _count(body, 5 + command_bytes) or len(command.get("documents", ()))}


def _count(body: bytes, at: int) -> int:
    """Documents in the section of kind 1 that starts at ``at``."""
    if at >= len(body) or body[at] != 1:
        return 0
    end = at + 1 + _LENGTH.unpack_from(body, at + 1)[0]
    at = body.index(b"\0", at + 5) + 1
    documents = 0
    while at < end:
        at += _LENGTH.unpack_from(body, at)[0]
        documents += 1
    return documents


def _serve(connection: Connection) -> None:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        connection.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def sink() -> Iterator[str]:
    """Run the server in a process of its own; gives its MongoDB URI."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"mongodb://127.0.0.1:{ours.recv()}/?directConnection=true&retryWrites=false"
    finally:
        process.terminate()
        process.join()
