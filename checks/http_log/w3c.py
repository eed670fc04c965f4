"""The W3C extended format: IIS, CloudFront and others. A `#Fields:` line names the columns.

See https://www.w3.org/TR/WD-logfile and the documentation of IIS. Dates and times are in UTC, and
blanks in values are written `+`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from checks.http_log.json_lines import Entry, plain
from checks.http_log.patterns import GROUPS, Group, request
from checks.http_log.request import NO_REQUEST, Batch, Told
from checks.http_log.times import Times

COLUMNS: Mapping[Group, str] = {
    "method": "cs-method",
    "path": "cs-uri-stem",
    "status": "sc-status",
    "client": "c-ip",
    "key": "cs(Idempotency-Key)",
}
"""Where what is, unless the configuration says otherwise."""

DEFAULT = (
    *("date", "time", "s-ip", "cs-method", "cs-uri-stem", "cs-uri-query", "s-port", "cs-username"),
    *("c-ip", "cs(User-Agent)", "cs(Referer)", "sc-status", "sc-substatus", "sc-win32-status"),
    "time-taken",
)
"""The columns of IIS that nobody has changed: for a file of which the beginning was not read."""

_MOST = 100
"""Columns, and more characters than any of their names has."""


class Columns:
    """What reads such lines, and remembers the columns from one run to the next."""

    def __init__(self, fields: Mapping[Group, str], left: Sequence[str]) -> None:
        self._fields = {**COLUMNS, **fields}
        self._named = list(left)
        self._order = self._places()

    def left(self) -> list[str]:
        """The columns of the lines to come; none as long as no line has named them."""
        return self._named

    def read(self, entries: Iterable[Entry], batch: Batch, times: Times) -> Iterator[Told]:
        """The requests of some lines."""
        latest: int | None = None
        for line, moment in entries:
            bare = plain(line)
            if not bare:
                continue
            batch.lines += 1
            if bare.startswith(b"#"):
                batch.faults[NO_REQUEST] += 1
                self._directive(bare.decode(errors="replace"))
                continue
            values = bare.decode(errors="replace").split("\t" if b"\t" in bare else " ")
            if len(values) != len(self._named or DEFAULT):
                batch.unreadable(line, latest, is_json=False)
                continue
            parts = [None if at is None else values[at] for at in self._order]
            second = times.read(self._time(values)) or times.read(moment)
            told = request(batch, line, latest, self._plain(parts), second)
            if told:
                latest = told[0] or latest
                yield told

    def _directive(self, line: str) -> None:
        name, _, rest = line.partition(":")
        if name.lower() == "#fields":
            self._named = [each[:_MOST] for each in rest.split()[:_MOST]]
            self._order = self._places()

    def _places(self) -> list[int | None]:
        """Where the values of `GROUPS` are."""
        at: dict[str | None, int] = {}
        for number, name in enumerate(self._named or DEFAULT):
            at.setdefault(name.lower(), number)
        self._date, self._clock = at.get("date"), at.get("time")
        wanted = [self._fields.get(group) for group in GROUPS]
        return [at.get(each.lower()) if each else None for each in wanted]

    def _time(self, values: Sequence[str]) -> str | None:
        if self._date is None or self._clock is None:
            return None
        year, _, rest = values[self._date].partition("-")
        month, _, day = rest.partition("-")
        return f"{year}-{month:0>2}-{day:0>2}T{values[self._clock]}Z"

    def _plain(self, parts: list[Any]) -> list[Any]:
        for place in _TEXTS:
            if parts[place]:
                parts[place] = parts[place].replace("+", " ")
        return parts


_TEXTS = [GROUPS.index(each) for each in ("code", "key", "client")]
