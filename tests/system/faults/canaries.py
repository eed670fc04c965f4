"""Canaries: a password and a customer's data, which must get out of the worker by no way.

Whatever is broken, somebody looks at all that the worker shows, again and again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.support import asking
from tests.support.workers import Worker

PASSWORD = "canary@pass:w/rd"
KEY = "canary-key-of-13800138000"
"""Of a request; it names a person, as the applications' keys do."""

CANARIES = (PASSWORD, quote(PASSWORD, safe=""), KEY)

EVERY = 2.0
"""Seconds between two looks."""

CHECKS_A_LOOK = 3
"""Of how many checks a look reads the pages: the next time it is the next ones' turn."""

PAGES = (
    *("/", "/metrics", "/livez", "/readyz", f"/?key={KEY}"),
    *("/api/v1/status", "/api/v1/checks", "/api/v1/findings"),
)


class Lookout:
    """Looks at what a worker shows, and says where there was a canary."""

    def __init__(self, worker: Worker, *canaries: str) -> None:
        self._worker, self._canaries = worker, (*CANARIES, *canaries)
        self._leaks: set[tuple[str, str]] = set()
        """Where, and what was to be read there."""
        self.looks = 0
        self._turn = 0
        self._ended = threading.Event()
        self._client = asking.client(base_url=worker.address)
        self._thread = threading.Thread(target=self._watch, name="lookout", daemon=True)
        self._thread.start()

    def note(self, where: str, text: str) -> None:
        """Look at something else that goes out."""
        for canary in self._canaries:
            if (place := text.find(canary)) >= 0:
                self._leaks.add((where, text[max(0, place - 80) : place + 80]))

    def look(self, checks: int | None = None) -> None:
        """Look at all pages, and at those of so many checks that do not pass: the next, or all."""
        for page in PAGES:
            self._read(page)
        known = self._client.get("/api/v1/checks").json()["checks"]
        names = [each["name"] for each in known if each["status"] != "pass"]
        for _ in range(min(checks or len(names), len(names))):
            self._turn += 1
            name = names[self._turn % len(names)]
            self._read(f"/checks/{name}")
            self._read(f"/api/v1/checks/{name}")
        self.looks += 1

    def last(self, others: str) -> None:
        """Look everywhere for the last time, also at what others were told."""
        self._ended.set()
        self._thread.join()
        process = self._worker.process
        if process.poll() is None:
            self.look()
            self.note("arguments", Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8"))
        self.note("log", self._worker.text)
        self.note("others", others)
        assert not self._leaks, self._leaks
        assert self.looks, "nobody looked"

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()
        self._client.close()

    def _read(self, page: str) -> None:
        answer = self._client.get(page)
        assert answer.status_code != 404, page
        self.note(page, answer.text)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY):
            with suppress(httpx.TransportError):  # who is stopped, or ends, shows nothing
                self.look(CHECKS_A_LOOK)


@contextmanager
def watched(worker: Worker, *canaries: str, others: Callable[[], str] = str) -> Iterator[Worker]:
    """A worker, which ends with the block and has let no canary out; `others` is what it told."""
    lookout = Lookout(worker, *canaries)
    try:
        yield worker
        lookout.last(others())
    finally:
        lookout.close()
        worker.process.kill()
        worker.process.wait()
