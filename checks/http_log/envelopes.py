"""What container engines and log collectors wrap around each line of an application."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from checks.http_log.json_lines import Entry, mended, plain
from checks.http_log.request import Batch

LONGEST_JOINED = 1 << 18
"""Bytes of a line that is joined of parts; of longer ones nothing is kept."""

_MOST_STREAMS = 8
"""Streams of which a line is begun at a time: stdout and stderr, or services of a journal."""


class JsonField(BaseModel):
    """A JSON object of a collector, with the application's line as a text in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(min_length=1)
    """Where the line is: `message`, `log`."""
    time: str | None = None
    """Where the time is; for lines that do not say it themselves."""


Wrapping = Literal["docker", "cri", "journald", "syslog"] | JsonField


def _as_list(given: object) -> object:
    return given if isinstance(given, list | tuple) else [given]


Wrapped = Annotated[tuple[Wrapping, ...], BeforeValidator(_as_list), Field(max_length=4)]
"""One wrapping, or several, the outermost first."""


class Part(NamedTuple):
    """What one line of an envelope holds."""

    text: bytes
    moment: Any = None
    """When it was written."""
    stream: str = ""
    """What it belongs to, if it is a part of a longer line."""
    is_partial: bool = False
    """Whether more of the same line follows in the same stream."""


class Opener(Protocol):
    """What knows one sort of envelope."""

    def __call__(self, line: bytes, batch: Batch) -> Part | None:
        """What a line holds; None, and counted, of one that is no such envelope."""


class Envelope:
    """What takes lines out of their envelopes, and joins those that were split."""

    def __init__(self, wrapping: Wrapping, left: Mapping[str, str | None]) -> None:
        """`left` is what `Envelope.left` gave."""
        self._open = opener(wrapping)
        self._begun: dict[str, list[bytes] | None] = {
            stream: None if text is None else [text.encode("latin-1")]
            for stream, text in left.items()
        }

    def left(self) -> Mapping[str, str | None]:
        """The lines that are begun, by stream; None of one that is too long already."""
        return {
            stream: None if parts is None else b"".join(parts).decode("latin-1")
            for stream, parts in self._begun.items()
        }

    def lines(self, entries: Iterable[Entry], batch: Batch) -> Iterator[Entry]:
        """The application's lines. Those that are no envelopes are counted."""
        for line, outer in entries:
            part = self._open(line, batch)
            if part is None:
                continue
            moment = outer if part.moment is None else part.moment
            if part.is_partial:
                self._begin(part)
            elif part.stream not in self._begun:
                yield part.text, moment
            elif (begun := self._begun.pop(part.stream)) is not None:
                yield b"".join((*begun, part.text)), moment
            else:
                batch.faults["too_long"] += 1

    def _begin(self, part: Part) -> None:
        """Keep a part, unless that would be too much; then the rest of its line is left out."""
        begun = self._begun.setdefault(part.stream, [])
        if begun is not None:
            begun.append(part.text)
            if sum(map(len, begun)) > LONGEST_JOINED:
                self._begun[part.stream] = None
        if len(self._begun) > _MOST_STREAMS:
            del self._begun[next(iter(self._begun))]


def opener(wrapping: Wrapping) -> Opener:
    """What opens envelopes of a sort."""
    if isinstance(wrapping, JsonField):
        return _FieldOpener(wrapping)
    return {"docker": _docker, "cri": _cri, "journald": _journald, "syslog": _syslog}[wrapping]


def _document(line: bytes, batch: Batch) -> dict[str, Any] | None:
    """A line as a JSON object; None, and counted, where it is none."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = mended(plain(line))
    if isinstance(document, dict):
        return document
    _refuse(line, batch)
    return None


def _refuse(line: bytes, batch: Batch, *, is_json: bool = True) -> None:
    """Count a line that is no envelope, unless it is empty."""
    if line.strip():
        batch.lines += 1
        batch.unreadable(line, None, is_json=is_json)


def _is_other(line: bytes, batch: Batch) -> None:
    """Count an envelope that holds no line."""
    batch.lines += 1
    batch.no_request(line, None, (None, None, None))


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def _docker(line: bytes, batch: Batch) -> Part | None:
    r"""Docker's json-file driver: `{"log":"…\n","stream":"stdout","time":"…"}`.

    It splits lines after 16 KiB; all parts but the last lack the line feed.
    """
    document = _document(line, batch)
    if document is None:
        return None
    text = document.get("log")
    if not isinstance(text, str):
        _is_other(line, batch)
        return None
    stream = str(document.get("stream"))[:64]
    whole = text.endswith("\n")
    return Part(
        _bytes(text.rstrip("\r\n") if whole else text), document.get("time"), stream, not whole
    )


_CRI = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr)"
    rb" ([PF])(?::[^ ]*)?(?: (.*))?",
    re.DOTALL,
)


def _cri(line: bytes, batch: Batch) -> Part | None:
    """Kubernetes' CRI format: `2026-01-05T12:00:00.123456789Z stdout F …`, or P of a part."""
    match = _CRI.fullmatch(line)
    if match is None:
        _refuse(line, batch, is_json=False)
        return None
    time, stream, tag, text = match.groups()
    return Part(text or b"", time.decode(), stream.decode(), tag == b"P")


def _journald(line: bytes, batch: Batch) -> Part | None:
    """`journalctl -o json`: MESSAGE is a text, an array of bytes, or an array of either.

    A service's line is split after 48 KiB (`LineMax=`), and its parts are marked `line-max`. See
    systemd.journal-fields(7) and https://systemd.io/JOURNAL_EXPORT_FORMATS.
    """
    document = _document(line, batch)
    if document is None:
        return None
    text = _message(document.get("MESSAGE"))
    if text is None:
        _is_other(line, batch)
        return None
    moment = document.get("_SOURCE_REALTIME_TIMESTAMP", document.get("__REALTIME_TIMESTAMP"))
    stream = str(document.get("_STREAM_ID", document.get("_PID")))[:64]
    return Part(text, moment, stream, document.get("_LINE_BREAK") == "line-max")


def _message(value: object) -> bytes | None:
    if isinstance(value, str):
        return _bytes(value)
    if not isinstance(value, list) or not value:
        return None
    try:
        return bytes(value)
    except (TypeError, ValueError):
        return _message(value[0]) if isinstance(value[0], str | list) else None


_MONTHS = rb"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_ISO = rb"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))"
_RFC_3164 = re.compile(
    rb"(?:<\d{1,3}>)?(?:"
    rb"(?P<month>"
    + _MONTHS
    + rb") (?P<day>[ \d]\d) (?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)?|"
    + _ISO
    + rb")"
    rb" \S+ [^\s:\[]+(?:\[\d+\])?: ?(?P<text>.*)",
    re.DOTALL,
)
_RFC_5424 = re.compile(
    rb"<\d{1,3}>1 "
    + _ISO
    + rb" \S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*+\])++)(?: (?P<text>.*))?",
    re.DOTALL,
)


def _syslog(line: bytes, batch: Batch) -> Part | None:
    """A line of a syslog daemon: time, host and program stand before the program's own line.

    RFC 3164, as daemons write it to files, with either form of time; and RFC 5424.
    """
    match = _RFC_3164.fullmatch(line) or _RFC_5424.fullmatch(line)
    if match is None:
        _refuse(line, batch, is_json=False)
        return None
    text = (match["text"] or b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"@cee:").lstrip()
    if time := match["time"]:
        return Part(text, time.decode())
    return Part(
        text, _this_year(match["day"].decode(), match["month"].decode(), match["clock"].decode())
    )


def _this_year(day: str, month: str, clock: str) -> str:
    """A time that says no year: it is not in the future."""
    year = (datetime.now(UTC) + timedelta(days=1)).year
    written = f"{int(day):02}/{month}/{year}:{clock}"
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=2)
    try:
        is_ahead = datetime.strptime(written, "%d/%b/%Y:%H:%M:%S") > later  # noqa: DTZ007
    except ValueError:
        return written
    return written.replace(str(year), str(year - 1)) if is_ahead else written


class _FieldOpener:
    """A JSON object of a collector; Fluent Bit marks parts of lines by `logtag` or `_p`."""

    def __init__(self, wrapping: JsonField) -> None:
        self._field, self._time = wrapping.field, wrapping.time

    def __call__(self, line: bytes, batch: Batch) -> Part | None:
        document = _document(line, batch)
        if document is None:
            return None
        text = document.get(self._field)
        if isinstance(text, dict):  # the collector has read the line already
            return Part(orjson.dumps(text), document.get(self._time or ""))
        if not isinstance(text, str):
            _is_other(line, batch)
            return None
        stream = str(document.get("stream"))[:64]
        is_partial = document.get("logtag", document.get("_p")) == "P"
        moment = document.get(self._time) if self._time else None
        return Part(_bytes(text if is_partial else text.rstrip("\r\n")), moment, stream, is_partial)
