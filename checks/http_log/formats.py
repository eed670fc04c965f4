"""How lines of access logs are read: what the configuration says of it, and what does it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import repeat
from typing import Any, Literal, Self

import pydantic
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from checks.http_log import combined, json_lines, patterns
from checks.http_log.combined import COMBINED, Combined
from checks.http_log.envelopes import Envelope, Wrapped, Wrapping
from checks.http_log.json_lines import Entry, Field
from checks.http_log.patterns import PRESETS, Pattern, Preset
from checks.http_log.request import Batch, Told
from checks.http_log.times import Times
from checks.http_log.w3c import Columns

DEFAULT_FIELDS: Mapping[Field, str] = {
    "time": "time",
    "method": "method",
    "path": "path",
    "status": "status",
    "code": "code",
    "key": "idempotency_key",
    "client": "client",
}

JsonPreset = Literal["caddy", "traefik_json"]
JSON_PRESETS: Mapping[JsonPreset, Mapping[Field, str]] = {
    # https://caddyserver.com/docs/logging
    "caddy": {
        "time": "ts",
        "method": "request.method",
        "path": "request.uri",
        "status": "status",
        "key": "request.headers.Idempotency-Key",
        "client": "request.client_ip",
    },
    # https://doc.traefik.io/traefik/observability/access-logs/, with this header kept
    "traefik_json": {
        "time": "StartUTC",
        "method": "RequestMethod",
        "path": "RequestPath",
        "status": "DownstreamStatus",
        "key": "request_Idempotency-Key",
        "client": "ClientHost",
    },
}

Format = Literal["json", "iis", "pattern"] | Combined | JsonPreset | Preset

_Read = Callable[[Iterable[Entry], Batch], Iterator[Told]]


class LineFormat(BaseModel):
    """How a line tells of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format = "json"
    fields: Mapping[Field, str] = DEFAULT_FIELDS
    """Where a JSON line has what; dots lead into objects: `req.method`. Of a program's own format,
    what differs from it."""
    pattern: str | None = pydantic.Field(default=None, repr=False)
    """A regular expression, in RE2's syntax, that describes a whole line; its named groups are
    those of `GROUPS`."""
    wrapped: Wrapped = ()
    """What a container engine or a collector has put around each line."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            Pattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.format == "pattern") != (self.pattern is not None):
            raise ValueError('pattern and format = "pattern" are needed together')
        is_given = "fields" in self.model_fields_set
        if self.format not in ("json", "iis", *JSON_PRESETS) and is_given:
            raise ValueError(f"fields are those of JSON lines; {self.format} has its own")
        if self.format == "iis":
            return self
        if "request" in self.fields:
            if twice := [name for name in ("method", "path") if name in self.fields]:
                raise ValueError(f"fields has request, and {' and '.join(twice)} as well")
        elif self.places.get("method") and self.places.get("method") == self.places.get("path"):
            raise ValueError("method and path are in one field: name it as request")
        needed: tuple[Field, ...] = ("method", "path", "status")
        if "request" in self.fields:
            needed = ("request", "status")
        if missing := [name for name in needed if not self.places.get(name)]:
            raise ValueError(f"fields does not say where {' and '.join(missing)} is")
        return self

    @property
    def places(self) -> Mapping[Field, str]:
        """Where a JSON line has what, all in all."""
        preset = next((each for name, each in JSON_PRESETS.items() if name == self.format), None)
        if preset is None:
            return self.fields
        given = self.fields if "fields" in self.model_fields_set else {}
        hidden = ("method", "path") if "request" in given else ()
        return {name: at for name, at in preset.items() if name not in hidden} | dict(given)

    def reader(self, zone: tzinfo = UTC, left: Mapping[str, Any] | None = None) -> "Reader":
        """What reads whole lines; `zone` is that of times without one.

        `left` is what `Reader.left` of the run before gave.
        """
        left, columns, times = left or {}, None, Times(zone)
        if self.format == "iis":
            given = self.fields if "fields" in self.model_fields_set else {}
            columns = Columns(given, left.get("columns", ()))
        has_times, read = self._read(times, columns)
        return Reader(read, self.wrapped, left, columns, has_times=has_times or bool(self.wrapped))

    def _read(self, times: Times, columns: Columns | None) -> tuple[bool, _Read]:
        """Whether lines have times, and what reads them."""
        form: Any = self.format
        if columns:
            return True, lambda entries, batch: columns.read(entries, batch, times)
        if form in COMBINED:
            return True, lambda entries, batch: combined.read(entries, batch, times, form)
        if self.pattern or form in PRESETS:
            pattern = Pattern(self.pattern or PRESETS[form])
            return pattern.has_times, lambda entries, batch: patterns.read(
                entries, batch, times, pattern
            )
        find = json_lines.finder(self.places)
        has_times = bool(self.places.get("time"))
        return has_times, lambda entries, batch: json_lines.read(entries, batch, find, times)


class Reader:
    """What reads the lines of a log, block after block."""

    def __init__(
        self,
        read: _Read,
        wrapped: Sequence[Wrapping],
        left: Mapping[str, Any],
        columns: Columns | None,
        *,
        has_times: bool,
    ) -> None:
        self._read = read
        self._columns = columns
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
        """What the next run has to know to go on, as JSON takes it: begun lines, columns."""
        begun = [envelope.left() for envelope in self._envelopes]
        left = {"wrapped": self._names, "begun": begun} if any(begun) else {}
        columns = self._columns.left() if self._columns else []
        return left | ({"columns": columns} if columns else {})
