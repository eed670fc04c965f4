"""What a line of an access log says of a request, and what it can fail to say."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from checks.http_log.doubts import Doubt, doubt_of_record, doubt_of_text

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OTHER_METHOD = "OTHER"

LONGEST_VALUE = 256
"""Characters of a key, a client or a code that count; the rest is cut."""

UNREADABLE = "unreadable"
"""The line does not have the format at all: what it says is lost."""
NO_REQUEST = "no_request"
"""The line has the format and is about something else: an application's other messages."""
WITHOUT_STATUS = "without_status"
"""A request whose status is no status: it is left out, and lost for every ratio."""
UNANSWERED = "unanswered"
"""A request that was never answered (`-`, `""`, 0, -1), as after a client that hung up. Not a
fault of the log; it is left out, since no answer can be a conflict."""
WITHOUT_TIME = "without_time"
"""A request that is counted, but as of when it is read."""
WITHOUT_METHOD = "without_method"
"""A request that is counted as `OTHER`: where a method should be is something that is none."""

FAULTS = (UNREADABLE, NO_REQUEST, WITHOUT_STATUS, UNANSWERED, WITHOUT_TIME, WITHOUT_METHOD)
"""Each line is a request, or has exactly one of the first four; a request may have the others."""

LACKING = {
    UNREADABLE: "not in this format",
    NO_REQUEST: "without a method, path and status where it has them",
    WITHOUT_STATUS: "without a status",
    UNANSWERED: "without an answer",
}
"""What a line with each of the first four lacks, for people."""


class Request(NamedTuple):
    """A request as a line tells it."""

    second: int | None
    """When, in seconds since 1970; None where the line does not say."""
    method: str
    path: str
    """Without its query; empty where the line has none that can be read."""
    status: int
    code: str | None = None
    """The application's reason for an error."""
    key: str | None = None
    """The idempotency key; "" where the line says that there was none, None where it is silent."""
    client: str | None = None


Told = tuple[int | None, str, str, int, str | None, str | None, str | None]
"""A request as a bare tuple, which takes half the time to make."""


@dataclass(slots=True)
class Batch:
    """What some lines tell."""

    requests: Iterable[Told]
    """One after the other as they are asked for, so that a line is gone when the next one comes:
    to keep thousands of them makes the garbage collector take as long as a fifth of the rest."""
    lines: int = 0
    """All of them but the empty ones; known, as the faults are, when all requests were had."""
    faults: Counter[str] = field(default_factory=Counter)
    """How many lines have each of `FAULTS`."""
    has_times: bool = True
    """Whether the format says where a line has its time."""
    doubts: Counter[tuple[int | None, Doubt]] = field(default_factory=Counter)
    """Those of them that let doubt that all requests are seen, by the second of the request before
    them; None where there was none in this batch."""

    def unreadable(self, line: bytes, second: int | None, *, is_json: bool) -> None:
        """Count a line that is not written in this format."""
        self.faults[UNREADABLE] += 1
        if doubt := doubt_of_text(line, is_json=is_json):
            self.doubts[second, doubt] += 1

    def no_request(self, line: bytes, second: int | None, parts: Iterable[object]) -> None:
        """Count a line that is no request; `parts` are its method, its path and its status."""
        self.faults[NO_REQUEST] += 1
        if doubt := doubt_of_record(line, *parts):
            self.doubts[second, doubt] += 1

    def without_status(self, line: bytes, second: int | None, parts: Iterable[object]) -> None:
        """Count a line with a method, a path and a status that is none, as messages have, too."""
        doubt = doubt_of_record(line, *parts)
        self.faults[WITHOUT_STATUS if doubt else NO_REQUEST] += 1
        if doubt:
            self.doubts[second, doubt] += 1

    def without_method(self, second: int | None) -> None:
        """Count a request whose method can be none: the wrong field may have been named."""
        self.faults[WITHOUT_METHOD] += 1
        self.doubts[second, Doubt.NO_REQUEST] += 1

    def without_time(self, second: int | None, time: object) -> None:
        """Count a request whose time is missing or cannot be read."""
        self.faults[WITHOUT_TIME] += 1
        if self.has_times:
            doubt = Doubt.NO_TIME if time is None else Doubt.WITHOUT_TIME
            self.doubts[second, doubt] += 1
