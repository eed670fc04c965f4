"""Strangers that flood a port: as a process of its own, so that it keeps its pace.

    python -m tests.support.flood PORT RATE SECONDS ADDRESS

opens RATE connections a second from an address of this machine, and holds the newest of them. In
turn they send half a request, nothing, a byte now and then, a question whose answer they do not
read, or are closed at once.
"""

import resource
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HELD = 1500
MOST_BEHIND = 0.1
"""Seconds that are made up for where the machine let it wait: a burst is no rate."""
HALF, DROP = b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"x"


@contextmanager
def flooding(
    port: int, rate: float, seconds: float, address: str = "127.0.0.7"
) -> Iterator[subprocess.Popen[str]]:
    """A flood while the block runs, of so many seconds at most."""
    command = [
        sys.executable,
        "-m",
        "tests.support.flood",
        *map(str, (port, rate, seconds, address)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def main(port: int, rate: float, seconds: float, address: str) -> None:
    """Flood, and print how many connections were opened."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    held, opened = deque[socket.socket](), 0
    due = time.monotonic()
    end = due + seconds
    while (now := time.monotonic()) < end:
        if now < due:
            time.sleep(0.001)
            continue
        due = max(due + 1 / rate, now - MOST_BEHIND)
        opened += 1
        held.append(_begin(port, opened % 5, address))
        if len(held) > HELD:
            held.popleft().close()
        if opened % 50 == 0:
            for each in list(held)[::20]:  # those that send a byte now and then
                with suppress(OSError):
                    each.send(DROP)
    sys.stdout.write(f"{opened}\n")


def _begin(port: int, kind: int, address: str) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)  # noqa: FBT003 - the library's way
    with suppress(OSError):
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", port))
    with suppress(OSError):
        if kind == 0:
            connection.send(HALF)
        elif kind == 1:
            connection.send(HALF + b"\r\n")
        elif kind == 2:
            connection.send(b"G")
        elif kind == 3:
            connection.close()
            connection = socket.socket()
    return connection


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
