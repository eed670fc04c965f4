"""A proxy that greets in a server's place, as connection pools do, and may drop what it is sent."""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.servers import HOST

_OK = b"\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"
"""An answer: done, autocommit."""


@contextmanager
def greeting(target: int, version: str, forgets: str = "") -> Iterator[int]:
    """The port of one that greets with a version; what a pattern matches it answers by itself."""
    pool = _Pool(target, version, re.compile(forgets.encode()) if forgets else None)
    with socket.create_server((HOST, 0)) as listener:
        accepting = threading.Thread(target=pool.accept, args=[listener], daemon=True)
        accepting.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join()
    pool.close()


class _Pool:
    def __init__(self, target: int, version: str, forgets: re.Pattern[bytes] | None) -> None:
        self._target = target
        self._version = version
        self._forgets = forgets
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((HOST, self._target))
                self._sockets += (client, server)
                for carry in (self._ask, self._answer):
                    thread = threading.Thread(target=carry, args=[client, server], daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def close(self) -> None:
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, EOFError):
            while True:
                head, packet = _packet(client)
                if self._forgets and packet[:1] == b"\x03" and self._forgets.search(packet):
                    client.sendall(_OK)
                else:
                    server.sendall(head + packet)
        _end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, EOFError):
            client.sendall(_greeted(server, self._version))
            while part := server.recv(65536):
                client.sendall(part)
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _greeted(server: socket.socket, version: str) -> bytes:
    _, packet = _packet(server)
    packet = packet[:1] + version.encode() + packet[packet.index(b"\0", 1) :]
    return struct.pack("<I", len(packet))[:3] + b"\0" + packet


def _packet(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 4)
    return head, _exactly(source, int.from_bytes(head[:3], "little"))


def _exactly(source: socket.socket, number: int) -> bytes:
    read = b""
    while len(read) < number:
        if not (part := source.recv(number - len(read))):
            raise EOFError
        read += part
    return read
