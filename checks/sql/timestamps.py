"""Times of the audited database: what it calls now, and how its columns write a moment."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, text, true

from checks.sql import catalog
from checks.types import parse_duration

Built = ColumnElement[Any]


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


def written(moment: datetime, column: catalog.Column, zone: tzinfo) -> str:
    """A moment as a column holds it: DATETIME in the configured zone, TIMESTAMP in the session's.

    Sessions are pinned to UTC. A moment without a zone is one of the configured zone.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    local = aware.astimezone(_zone(column, zone)).replace(tzinfo=None)
    return local.isoformat(" ", "microseconds").removesuffix(".000000")


def read(value: object, column: catalog.Column, zone: tzinfo) -> datetime | None:
    """The moment that a value of a column means; None for NULL and for what is no time."""
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=_zone(column, zone))
    except ValueError:
        return None  # MySQL's 0000-00-00, or any text in SQLite


def _zone(column: catalog.Column, zone: tzinfo) -> tzinfo:
    return UTC if column.type.lower().startswith("timestamp") else zone


def in_scope(
    column: Built,
    described: catalog.Column,
    zone: tzinfo,
    *,
    at: datetime,
    settle: timedelta,
    since: datetime | None,
) -> ColumnElement[bool]:
    """Whether a row is old enough to be judged at a moment, and not older than the cut-over.

    A row without a time is judged, and so is one from further in the future than `settle`: waiting
    for it could take for ever.
    """
    young = and_(
        column > written(at - settle, described, zone),
        column <= written(at + settle, described, zone),
    )
    # Not asked where it cannot be: it would keep an index on the column from being used.
    timeless = column.is_(None) if described.nullable else false()
    judged = or_(timeless, ~young) if settle else true()
    return judged if since is None else and_(judged, not_before(column, since, described, zone))


def not_before(
    column: Built, since: datetime, described: catalog.Column | None = None, zone: tzinfo = UTC
) -> ColumnElement[bool]:
    """Whether a row has no time, or one that is not before the cut-over.

    Without a description of the column the cut-over is taken as it was written.
    """
    if described is None:
        return or_(column.is_(None), column >= since.replace(tzinfo=None).isoformat(" "))
    timeless = column.is_(None) if described.nullable else false()
    return or_(timeless, column >= written(since, described, zone))


def longer_ago(
    column: Built, described: catalog.Column, zone: tzinfo, at: datetime, span: timedelta
) -> ColumnElement[bool]:
    """Whether a moment is more than a span before another; true where no moment is known."""
    return func.coalesce(column < written(at - span, described, zone), True)


def _settle(value: object) -> timedelta:
    return timedelta() if value == "0s" else parse_duration(value)


def _since(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise ValueError(  # noqa: TRY004 - what pydantic catches
            "a date and time without quotes: 2026-01-02T20:24:20+08:00"
        )
    return value


Settle = Annotated[timedelta, BeforeValidator(_settle)]
"""How old a row must be to be judged; `0s` judges every row at once."""

Since = Annotated[datetime, BeforeValidator(_since)]
"""A cut-over; without an offset it is meant in the configured zone."""
