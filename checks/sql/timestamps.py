"""Times of the audited database: what it calls now, and how its columns write a moment.

| column              | what it holds                                                       |
|---------------------|---------------------------------------------------------------------|
| DATETIME            | what a clock in the configured zone shows                           |
| TIMESTAMP           | a moment; sessions are pinned to UTC                                |
| DATE                | the day by a calendar in the configured zone                        |
| a number and a unit | seconds to nanoseconds since 1970, in UTC                           |

One value may mean several moments: a whole day, or an hour that comes twice when clocks are set
back. Then every one of them counts: a row is old only if it is so by all of them. NULL, a date with
a zero in month or day, and a number of 0 or less tell no time.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, text

from checks.sql import catalog
from checks.types import Identifier, Tolerance

Built = ColumnElement[Any]
Predicate = ColumnElement[bool]
Written = str | int
"""A moment as a column holds it."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_LEAST_SECONDS = 10**8
"""Of March 1973."""
_LAST_SECONDS = 253_402_300_800
"""Of the end of 9999."""
_FIRST_TIMESTAMP = "1970-01-01 00:00:01"


class Unit(StrEnum):
    """What a number counts since the beginning of 1970 in UTC."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"

    @property
    def per_second(self) -> int:
        """How many of it are a second."""
        return int(1000 ** list(Unit).index(self))

    def misread(self, values: Iterable[object]) -> "Unit | None":
        """The unit that most of some values, by their size, are in, where it is another one.

        One value is of 1973 to 5138 in exactly one unit. What is small, or up to the year 9999 by
        this unit, is not held against it.
        """
        counts = [Decimal(str(each)) for each in values if each is not None]
        told = [each for each in counts if each >= _LEAST_SECONDS]
        wrong = [each for each in told if not self._fits(each)]
        if 2 * len(wrong) <= len(told):
            return None
        return next((unit for unit in Unit if unit.fits_by_size(wrong[0])), None)

    def _fits(self, count: Decimal) -> bool:
        return _LEAST_SECONDS <= count / self.per_second <= _LAST_SECONDS

    def fits_by_size(self, count: Decimal) -> bool:
        """Whether a value is of 1973 to 5138 in it."""
        return _LEAST_SECONDS <= count / self.per_second < 1000 * _LEAST_SECONDS


class TimeColumn(str):
    """A column that tells a time: its name, and for a number its unit.

    The configuration writes `"created_at"`, or `{ column = "created_ms", unit = "ms" }`.
    """

    __slots__ = ("unit",)

    unit: Unit | None
    """None where the type of the column says all."""

    def __new__(cls, name: str, unit: Unit | None = None) -> Self:
        """Of a name as the database spells it."""
        self = super().__new__(cls, name)
        self.unit = unit
        return self

    def __repr__(self) -> str:
        """As the name alone, where there is no unit: what a cursor belongs to is named by it."""
        plain = super().__repr__()
        return f"{plain} in {self.unit}" if self.unit else plain

    @property
    def source(self) -> str:
        """As people read it."""
        return f"{self} in {self.unit}" if self.unit else str(self)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Read from the configuration."""
        name = handler.generate_schema(Identifier)
        return core_schema.no_info_wrap_validator_function(_time_column, name)


def _time_column(value: object, as_name: Callable[[object], str]) -> TimeColumn:
    if isinstance(value, TimeColumn):
        return value
    if not isinstance(value, Mapping):
        return TimeColumn(as_name(value))
    if value.keys() != {"column", "unit"} or value["unit"] not in list(Unit):
        raise ValueError(
            'a time column is a name, or { column = "created_ms", unit = "ms" } where it holds'
            f" numbers since 1970; a unit is one of {', '.join(Unit)}"
        )
    return TimeColumn(as_name(value["column"]), Unit(value["unit"]))


def now(connection: Connection) -> datetime:
    """The database's own time when this snapshot was first asked for it, in UTC.

    The worker's clock may differ from that of the rows.
    """
    return catalog.once(connection, "now", "", lambda: _now(connection))


def _now(connection: Connection) -> datetime:
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)  # a file has no clock of its own
    found: datetime = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    return found.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Notation:
    """How a column writes a moment."""

    column: catalog.Column
    unit: Unit | None
    local: tzinfo
    """The zone of DATETIME and DATE."""
    has_zero_dates: bool = True
    """Whether the database takes 0000-00-00 and 2026-05-00 for dates."""

    @property
    def is_day(self) -> bool:
        """Whether it says the day only."""
        return self.unit is None and self.column.is_date

    @property
    def _is_timestamp(self) -> bool:
        return self.column.type.lower().startswith("timestamp")

    @property
    def zone(self) -> tzinfo:
        """Whose clocks it shows."""
        return UTC if self._is_timestamp else self.local

    def written(self, moment: datetime) -> Written:
        """A moment as the column holds it; one without a zone is one of the configured zone."""
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self.local)
        if self.unit:
            microseconds = (aware.astimezone(UTC) - _EPOCH) // _MICROSECOND
            return microseconds * self.unit.per_second // 10**6
        shown = aware.astimezone(self.zone).replace(tzinfo=None)
        return shown.date().isoformat() if self.is_day else _as_text(shown)

    def earliest(self, begin: datetime, end: datetime) -> Written:
        """The least value that a moment after one and up to another may have."""
        if self.unit or self.is_day:
            return self.written(begin)
        return _as_text(min(least for least, _ in _shown_between(begin, end, self.zone)))

    def read(self, value: object, at: datetime) -> datetime | None:
        """The latest moment up to the present one that a value may mean; of a day its end.

        None for what tells no time.
        """
        if self.unit:
            return _counted(value, self.unit)
        if self.is_day:
            return _end_of_day(value, self.zone)
        try:
            first = datetime.fromisoformat(str(value)).replace(tzinfo=self.zone)
        except ValueError:
            return None  # MySQL's 0000-00-00, or any text in SQLite
        second = first.replace(fold=1)
        return second if second.astimezone(UTC) <= at else first

    def is_timeless(self, column: Built) -> Predicate:
        """Whether a row tells no time."""
        # NULL is not asked for where it cannot be: it would keep an index from being used.
        null = column.is_(None) if self.column.nullable else false()
        return or_(null, self._is_zero(column))

    def _is_zero(self, column: Built) -> Predicate:
        if self.unit:
            return column <= 0
        if not self.has_zero_dates:
            return false()
        if self._is_timestamp:
            return column < _FIRST_TIMESTAMP
        found: Predicate = func.month(column) * func.dayofmonth(column) == 0
        return found

    def is_within(self, column: Built, at: datetime, span: timedelta) -> Predicate:
        """Whether a row may be of the last `span`, or of the next; NULL where it is NULL."""
        if self.unit or self.is_day:
            return column.between(self.written(at - span), self.written(at + span))
        shown = _shown_between(at - span, at + span, self.zone)
        return or_(
            *(and_(column > _as_text(least), column <= _as_text(most)) for least, most in shown)
        )

    def is_before(self, column: Built, moment: datetime, at: datetime) -> Predicate:
        """Whether a row is surely of before a moment; NULL where it is NULL."""
        return column < self.earliest(moment, at)

    def is_not_before(self, column: Built, since: datetime) -> Predicate:
        """Whether a row is surely of a cut-over or later, or tells no time."""
        # The day of the cut-over is older in part, unless it is so as a whole.
        limit = self.written(since - _MICROSECOND) if self.is_day else self.written(since)
        later = column > limit if self.is_day else column >= limit
        return or_(self.is_timeless(column), later)


def is_not_before_as_written(column: Built, unit: Unit | None, since: datetime) -> Predicate:
    """The same for a column of which no more is known, with the cut-over as it was written."""
    notation = Notation(catalog.Column("", nullable=True), unit, since.tzinfo or UTC)
    limit: Any = since.replace(tzinfo=None).isoformat(" ")
    if unit and since.tzinfo:
        limit = notation.written(since)
    elif unit:
        limit = func.unix_timestamp(limit) * unit.per_second
    return or_(notation.is_timeless(column), column >= limit)


def complaint(column: catalog.Column, time: TimeColumn) -> str | None:
    """Why a column tells no time, as what follows on its name; None where it does."""
    if time.unit is None:
        if column.is_moment or column.is_date:
            return None
        if not column.counts_exactly:
            return f"is {column.type}, and tells no time"
        return (
            f"is {column.type}, and tells no time without the unit that it counts since 1970:"
            f' {{ column = "{time}", unit = "s" }}, or "ms", "us", "ns"'
        )
    if column.is_moment or column.is_date:
        return f'is {column.type}, which needs no unit: write "{time}" alone'
    if not column.counts_exactly:
        return f"is {column.type}, and no number that tells a time exactly"
    return None


def _as_text(shown: datetime) -> str:
    return shown.isoformat(" ", "microseconds").removesuffix(".000000")


def _counted(value: object, unit: Unit) -> datetime | None:
    try:
        microseconds = int(Decimal(str(value)) * 10**6 / unit.per_second)
        return _EPOCH + microseconds * _MICROSECOND if microseconds > 0 else None
    except (ArithmeticError, ValueError):
        return None


def _end_of_day(value: object, zone: tzinfo) -> datetime | None:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        return datetime(day.year, day.month, day.day, tzinfo=zone) + _DAY
    except (ValueError, OverflowError):
        return None


def _shown_between(
    begin: datetime, end: datetime, zone: tzinfo
) -> Iterator[tuple[datetime, datetime]]:
    """What clocks of a zone show after a moment and up to another, in pieces without a step back.

    A piece is what comes after its first value, up to its last.
    """
    least = _shown(begin, zone)
    for step in _set_backs(begin, end, zone):
        before, after = step - _MICROSECOND, _shown(step, zone)
        yield least, _shown(before, zone)
        least = after - _MICROSECOND
    yield least, _shown(end, zone)


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _set_backs(begin: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    """When clocks of a zone are set back, after a moment and up to another."""
    here = begin.astimezone(UTC)
    while here < end:
        there = min(here + _DAY, end.astimezone(UTC))
        offset = _offset(there.timestamp(), zone)
        if offset < _offset(here.timestamp(), zone):
            seconds = range(int(here.timestamp()), int(there.timestamp()) + 1)
            # Clocks change at most once in a day.
            offsets = partial(_offset, zone=zone)
            place = bisect_left(seconds, -offset, key=lambda second: -offsets(second))
            yield datetime.fromtimestamp(seconds[place], UTC)
        here = there


def _offset(timestamp: float, zone: tzinfo) -> timedelta:
    return datetime.fromtimestamp(timestamp, zone).utcoffset() or timedelta()


def _since(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise ValueError(  # noqa: TRY004 - what pydantic catches
            "a date and time without quotes: 2026-01-02T20:24:20+08:00"
        )
    return value


Settle = Tolerance
"""How old a row must be to be judged; `0s` judges every row at once."""

Since = Annotated[datetime, BeforeValidator(_since)]
"""A cut-over; without an offset it is meant in the configured zone."""
