"""A TCP proxy that goes wrong on request: what a network does to a connection, made repeatable."""

import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from tests.servers import HOST

DELAY = 0.4
"""Seconds by which a slow proxy holds each block back."""

TRICKLE = 0.3
"""Seconds between two bytes of one that trickles."""

BIG = 200
"""Bytes; a longer block of the server is a part of a result, no greeting and no acknowledgement."""

GARBAGE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"\x05\x00\x00\x00\x0aab\xff\xfe",
    b"\x01\x00\x00\x00\x0a",
    b"\x20\x00\x00\x00\xff" + bytes(31),
    b"\x00" * 64,
    b"\x4a\x00\x00\x00\x0a" + b"\xff" * 74,
)
"""What others say in place of a greeting; some of it begins like one."""


class Fault(StrEnum):
    """What the proxy does to connections, those that are open and those to come."""

    NONE = "none"
    REFUSED = "refused"
    CUT = "cut"
    SILENT = "silent"
    GARBAGE = "garbage"
    SLOW = "slow"
    TRICKLE = "trickle"
    HALF_RESULT = "half_result"


_TAKES_NONE = {Fault.REFUSED, Fault.CUT, Fault.GARBAGE}


class Proxy:
    """Passes connections on to a port of this machine; `fault` may change at any time."""

    def __init__(self, target: int) -> None:
        self.fault = Fault.NONE
        self._target = target
        self._garbage = itertools.cycle(GARBAGE)
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._ended = False
        self._listener = _listener(0)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_with(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.fault = fault
        if fault is Fault.REFUSED:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        if fault in _TAKES_NONE:
            self._drop()

    def mend(self) -> None:
        """Let the fault end. What lost a part of what it said is closed."""
        before, self.fault = self.fault, Fault.NONE
        if before is Fault.REFUSED:
            self._listener = _listener(self.port)
            threading.Thread(target=self._accept, daemon=True).start()
        if before is Fault.HALF_RESULT:
            self._drop()

    def close(self) -> None:
        """End everything."""
        self._ended = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop()

    def _drop(self) -> None:
        for pair in tuple(self._pairs):
            for each in pair:
                _reset(each)

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.fault is Fault.GARBAGE:
            with suppress(OSError):
                client.sendall(next(self._garbage))
                time.sleep(DELAY)
        if self.fault in _TAKES_NONE:
            _reset(client)
            client.close()
            return
        self._hold()
        try:
            server = socket.create_connection((HOST, self._target))
        except OSError:
            client.close()
            return
        pair = (client, server)
        self._pairs.add(pair)
        asks = threading.Thread(target=self._pump, args=[client, server], daemon=True)
        asks.start()
        self._pump(server, client)
        asks.join()
        self._pairs.discard(pair)
        for each in pair:
            each.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            answers = source.getpeername()[1] == self._target
            while block := source.recv(65536):
                self._hold()
                self._pass_on(block, sink, answers=answers)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, block: bytes, sink: socket.socket, *, answers: bool) -> None:
        if self._is(Fault.SLOW):
            time.sleep(DELAY)
        if self._is(Fault.TRICKLE) and answers:
            for byte in block:
                time.sleep(TRICKLE if self._is(Fault.TRICKLE) else 0)
                sink.sendall(bytes([byte]))
        elif self._is(Fault.HALF_RESULT) and answers and len(block) > BIG:
            sink.sendall(block[: BIG // 2])
            while self._is(Fault.HALF_RESULT):
                time.sleep(0.05)
        else:
            sink.sendall(block)

    def _hold(self) -> None:
        while self._is(Fault.SILENT):
            time.sleep(0.05)

    def _is(self, fault: Fault) -> bool:
        return self.fault is fault and not self._ended


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A proxy that listens meanwhile."""
    made = Proxy(target)
    try:
        yield made
    finally:
        made.close()


def connections_to(port: int) -> int:
    """How many connections this machine holds open, or is opening, to one of its own ports."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    # Remote address and state, in hexadecimal: 01 is established, 02 wants to be.
    return sum(each[2].endswith(f":{port:04X}") and each[3] in ("01", "02") for each in fields)


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
