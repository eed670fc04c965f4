"""A TCP proxy that goes wrong on request: what a network does to a connection, made repeatable."""

import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from tests.support.servers import HOST

DELAY = 0.7
"""Seconds by which a slow proxy holds each block back: there and back is more than connecting, or
asking whether a connection still lives, may take."""

TRICKLE = 0.3
"""Seconds between two bytes of one that trickles."""

FETCHED = 2048
"""Bytes; of an answer that is longer than this, the rest is the middle of a result."""

GARBAGE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"\x05\x00\x00\x00\x0aab\xff\xfe",
    b"\x01\x00\x00\x00\x0a",
    b"\x20\x00\x00\x00\xff" + bytes(31),
    b"\x00" * 64,
    b"\x4a\x00\x00\x00\x0a" + b"\xff" * 74,
)
"""What others say in place of a greeting, or of a result; some of it begins like one."""


class Fault(StrEnum):
    """What the proxy does to connections, those that are open and those to come."""

    NONE = "none"
    REFUSED = "refused"
    CUT = "cut"
    SILENT = "silent"
    GARBAGE = "garbage"
    SLOW = "slow"
    TRICKLE = "trickle"


_ESTABLISHED = 1
"""The state of a connection, as Linux has it in `tcp_info`."""

_TAKES_NONE = {Fault.REFUSED, Fault.CUT, Fault.GARBAGE}


@dataclass(eq=False)
class Link:
    """A client's connection, and the one to the server that it is passed on by."""

    client: socket.socket
    server: socket.socket
    answered: int = 0
    """Bytes of the answer to what the client sent last."""


class Proxy:
    """Passes connections on to a port of this machine; `fault` may change at any time."""

    def __init__(self, target: int, garbage: Iterator[bytes] | None = None) -> None:
        self.fault = Fault.NONE
        self.spoilt = 0
        """How many blocks have met a fault on their way."""
        self.accepted = 0
        """How many connections have come."""
        self.most_open = 0
        """The most that clients held open at a time; each counts, however soon it ends."""
        self._intact: int | None = None
        """Bytes of each answer that a fault lets through; None where it spoils everything."""
        self._target = target
        self._garbage = garbage or itertools.cycle(GARBAGE)
        self._links: set[Link] = set()
        self._clients: list[socket.socket] = []
        self._ended = False
        self._listener = _listener(0)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_with(self, fault: Fault, *, intact: int | None = None) -> None:
        """Let a fault begin; with `intact`, only after so many bytes of each answer."""
        self.fault, self._intact, self.spoilt = fault, intact, 0
        if fault is Fault.REFUSED:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        if self._takes_none:
            self._drop()

    def mend(self) -> None:
        """Let the fault end. What lost a part of what it said is closed."""
        before, self.fault = self.fault, Fault.NONE
        if before is Fault.REFUSED:
            self._listener = _listener(self.port)
            threading.Thread(target=self._accept, daemon=True).start()
        if before is Fault.GARBAGE:
            self._drop()

    def close(self) -> None:
        """End everything."""
        self._ended = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop()

    @property
    def _takes_none(self) -> bool:
        return self.fault in _TAKES_NONE and self._intact is None

    def _drop(self) -> None:
        for link in tuple(self._links):
            _reset(link.client)
            _reset(link.server)

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._clients = [each for each in self._clients if _is_open(each)] + [client]
            self.most_open = max(self.most_open, len(self._clients))
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.fault is Fault.GARBAGE and self._takes_none:
            with suppress(OSError):
                client.sendall(next(self._garbage))
                time.sleep(DELAY)
        if self._takes_none:
            _reset(client)
            client.close()
            return
        if self._intact is None:
            self._hold()
        try:
            server = socket.create_connection((HOST, self._target))
        except OSError:
            client.close()
            return
        link = Link(client, server)
        self._links.add(link)
        asks = threading.Thread(target=self._pump, args=[link, client, server], daemon=True)
        asks.start()
        self._pump(link, server, client)
        asks.join()
        self._links.discard(link)
        for each in (client, server):
            each.close()

    def _pump(self, link: Link, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                self._pass_on(link, block, sink)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, link: Link, block: bytes, sink: socket.socket) -> None:
        answers, intact = sink is link.client, 0
        if self._intact is not None:
            intact = max(0, self._intact - link.answered) if answers else len(block)
        link.answered = link.answered + len(block) if answers else 0
        if intact:
            sink.sendall(block[:intact])
        if rest := block[intact:]:
            self.spoilt += self.fault is not Fault.NONE
            self._spoil(link, rest, sink)

    def _spoil(self, link: Link, block: bytes, sink: socket.socket) -> None:
        answers = sink is link.client
        self._hold()
        if self._is(Fault.CUT):
            _reset(link.client)
            _reset(link.server)
        if self._is(Fault.SLOW):
            time.sleep(DELAY)
        if self._is(Fault.GARBAGE) and answers:
            while self._is(Fault.GARBAGE):  # until the client has had enough of it
                sink.sendall(next(self._garbage))
        elif self._is(Fault.TRICKLE) and answers:
            for byte in block:
                time.sleep(TRICKLE if self._is(Fault.TRICKLE) else 0)
                sink.sendall(bytes([byte]))
        else:
            sink.sendall(block)

    def _hold(self) -> None:
        while self._is(Fault.SILENT):
            time.sleep(0.05)

    def _is(self, fault: Fault) -> bool:
        return self.fault is fault and not self._ended


@contextmanager
def proxy(target: int, garbage: Iterator[bytes] | None = None) -> Iterator[Proxy]:
    """A proxy that listens meanwhile."""
    made = Proxy(target, garbage)
    try:
        yield made
    finally:
        made.close()


def _is_open(connection: socket.socket) -> bool:
    """Whether neither side has ended it: the kernel knows at once, and whoever reads it later."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
    except OSError:  # it is closed
        return False


def _listener(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((HOST, port))
    made.listen(64)
    return made


def _reset(connection: socket.socket) -> None:
    """End it without a farewell; with RST, once it is closed."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
