"""Times as logs write them."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

_SIXTY = {f"{second:02}": second for second in range(60)}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name: number for number, name in enumerate(_MONTHS, 1)}

_EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""Anything before is no time of a request: a duration, a counter, or a clock that was never set."""

_AHEAD = 86_400
"""Seconds that a time may be ahead of the clock here; further ahead it is no time of a request."""

_SCALES = ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3))
"""From which size on a number since 1970 is one of nano-, micro- or milliseconds. Each holds from
1973 on, and seconds are that large in the year 5138 only."""

_LONGEST = 64
_MINUTES = 10_000
"""A week of them."""

_CLOCK = r"(\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d*)?)?"
_ZONE = r" ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
_ISO = re.compile(rf"(\d{{4}})([-/]?)(\d\d)\2(\d\d)[T _]{_CLOCK}{_ZONE}", re.ASCII | re.IGNORECASE)
_APACHE = re.compile(
    rf"(?:[A-Z][a-z]{{2}}, ?)?(\d\d?)[/ -]([A-Z][a-z]{{2}})[/ -](\d{{4}})[: ]{_CLOCK}{_ZONE}",
    re.ASCII,
)
"""`05/Jan/2026:20:00:00 +0800`, and HTTP's own `Mon, 05 Jan 2026 12:00:00 GMT`."""
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE][+]?\d\d?)?", re.ASCII)


class Times:
    """Times as logs write them; a minute that was read before is looked up."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone` is that of times which name none."""
        self._zone = zone
        self._latest = int(time.time()) + _AHEAD
        self._minutes: dict[str, int | None] = {}

    def read(self, value: Any) -> int | None:
        """Seconds since 1970 of a number (s, ms, µs or ns since 1970, by its size) or a text.

        None of what is no time, and of times before the year 2000 or more than a day ahead.
        """
        if value.__class__ is not str:
            return self._of_value(value)
        seconds = value[17:19]
        if value[19:20] == "." and value[20:23].isdecimal() and seconds in _SIXTY:
            start = self._minutes.get(value[:17] + value[23:])
            if start is not None:
                return start + _SIXTY[seconds]
        if value[13:14] == ":" and value[16:17] == ":" and seconds in _SIXTY:
            end = value[19:]
            if end[:1] in (".", ","):  # the fraction differs from line to line
                end = end.lstrip(".,0123456789")
            start = self._minute(value[:17], end)
            return None if start is None else start + _SIXTY[seconds]
        seconds = value[18:20]
        if value[2:3] == "/" and value[17:18] == ":" and seconds in _SIXTY:
            end = value[20:]
            start = self._minute(value[:18], end.lstrip(".,0123456789") if end[:1] == "." else end)
            return None if start is None else start + _SIXTY[seconds]
        return self._parsed(value)

    def _minute(self, begin: str, end: str) -> int | None:
        """The beginning of a minute, which stands around the seconds that were cut out."""
        minute, known = begin + end, self._minutes
        if minute not in known:
            if len(known) > _MINUTES:
                known.clear()
            known[minute] = self._parsed(f"{begin}00{end}")
        return known[minute]

    def _of_value(self, value: Any) -> int | None:
        if type(value) in (int, float):
            return self._seconds(value)
        return self.read(value[0]) if isinstance(value, list) and len(value) == 1 else None

    def _parsed(self, value: str) -> int | None:
        if len(value) > _LONGEST:
            return None
        text = value.strip().removeprefix("[").removesuffix("]")
        if _NUMBER.fullmatch(text):
            return self._seconds(int(text) if text.isdecimal() else float(text))
        if match := _ISO.fullmatch(text):
            year, _, month, day, *clock = match.groups()
            return self._moment(int(year), int(month), int(day), *clock)
        if match := _APACHE.fullmatch(text):
            day, name, year, *clock = match.groups()
            return self._moment(int(year), _MONTH.get(name, 0), int(day), *clock)
        return None

    def _moment(self, year: int, month: int, day: int, *clock: str | None) -> int | None:
        hour, minute, second, zone = clock
        try:
            moment = datetime(
                *(year, month, day, int(hour or 0), int(minute or 0)),
                min(int(second or 0), 59),  # a leap second
                tzinfo=_offset(zone) if zone else self._zone,
            )
            return self._seconds(moment.timestamp())
        except (ValueError, OverflowError):
            return None

    def _seconds(self, number: float) -> int | None:
        for size, scale in _SCALES:
            if number >= size:
                number = number // scale
                break
        return int(number) if _EARLIEST <= number < self._latest else None


def _offset(zone: str) -> tzinfo:
    if zone[0] not in "+-":
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if zone[0] == "-" else offset)
