"""How lines of access logs are read: what the configuration says of it, and what does it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import repeat
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from checks.http_log import combined, json_lines
from checks.http_log.combined import COMBINED, Combined
from checks.http_log.envelopes import Envelope, Wrapped, Wrapping
from checks.http_log.json_lines import Entry, Field
from checks.http_log.request import Batch, Told
from checks.http_log.times import Times

DEFAULT_FIELDS: Mapping[Field, str] = {
    "time": "time",
    "method": "method",
    "path": "path",
    "status": "status",
    "code": "code",
    "key": "idempotency_key",
    "client": "client",
}

_Read = Callable[[Iterable[Entry], Batch], Iterator[Told]]


class LineFormat(BaseModel):
    """How a line tells of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["json"] | Combined = "json"
    fields: Mapping[Field, str] = DEFAULT_FIELDS
    """Where a JSON line has what; dots lead into objects: `req.method`."""
    wrapped: Wrapped = ()
    """What a container engine or a collector has put around each line."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format != "json" and "fields" in self.model_fields_set:
            raise ValueError(
                f"fields are those of JSON lines; the {self.format} format has its own"
            )
        if "request" in self.fields:
            if twice := [name for name in ("method", "path") if name in self.fields]:
                raise ValueError(f"fields has request, and {' and '.join(twice)} as well")
        elif self.fields.get("method") and self.fields.get("method") == self.fields.get("path"):
            raise ValueError("method and path are in one field: name it as request")
        needed: tuple[Field, ...] = ("method", "path", "status")
        if "request" in self.fields:
            needed = ("request", "status")
        if missing := [name for name in needed if not self.fields.get(name)]:
            raise ValueError(f"fields does not say where {' and '.join(missing)} is")
        return self

    def reader(self, zone: tzinfo = UTC, left: Mapping[str, Any] | None = None) -> "Reader":
        """What reads whole lines; `zone` is that of times without one.

        `left` is what `Reader.left` of the run before gave.
        """
        has_times = self.format != "json" or bool(self.wrapped or self.fields.get("time"))
        return Reader(self._read(Times(zone)), self.wrapped, left or {}, has_times=has_times)

    def _read(self, times: Times) -> _Read:
        if self.format in COMBINED:
            form: Any = self.format
            return lambda entries, batch: combined.read(entries, batch, times, form)
        find = json_lines.finder(self.fields)
        return lambda entries, batch: json_lines.read(entries, batch, find, times)


class Reader:
    """What reads the lines of a log, block after block."""

    def __init__(
        self,
        read: _Read,
        wrapped: Sequence[Wrapping],
        left: Mapping[str, Any],
        *,
        has_times: bool,
    ) -> None:
        self._read = read
        self._has_times = has_times
        self._names = [str(each) for each in wrapped]
        begun = left.get("begun", ()) if left.get("wrapped") == self._names else ()
        self._envelopes = [
            Envelope(wrapping, begun[number] if begun else {})
            for number, wrapping in enumerate(wrapped)
        ]

    def __call__(self, text: bytes) -> Batch:
        """What some whole lines tell."""
        batch = Batch((), has_times=self._has_times)
        entries: Iterable[Entry] = zip(text.split(b"\n"), repeat(None), strict=False)
        for envelope in self._envelopes:
            entries = envelope.lines(entries, batch)
        batch.requests = self._read(entries, batch)
        return batch

    def left(self) -> Mapping[str, Any]:
        """What the next run has to know to go on, as JSON takes it: lines that are begun."""
        begun = [envelope.left() for envelope in self._envelopes]
        return {"wrapped": self._names, "begun": begun} if any(begun) else {}
