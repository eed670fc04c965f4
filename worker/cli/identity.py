"""Whether the columns that a configuration calls a primary key name one row, by the schema."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from checks.sql import catalog
from checks.sql.catalog import Index
from checks.sql.names import folded
from checks.sql.statements import COUNTED_ROWS, rows_of


@dataclass(frozen=True, slots=True)
class Identity:
    """What there is to say."""

    complaint: str | None = None
    remark: str | None = None


def identity(connection: Connection, table: str, columns: Sequence[str]) -> Identity | None:
    """Compare the columns of a primary key with the unique indexes of the table.

    None where one of them proves it, or a column is missing.
    """
    found, indexes = catalog.columns(connection, table), catalog.indexes(connection, table)
    if not columns or any(name not in found for name in columns):
        return None
    if any(each.proves_unique(columns) for each in indexes):
        return None
    wider = next((each for each in indexes if _is_forced(connection, table, each, columns)), None)
    if wider is None:
        return Identity(complaint=_unproved(columns))
    return _within(connection, table, wider, columns)


def _unproved(columns: Sequence[str]) -> str:
    if len(columns) == 1:
        return f"{columns[0]} has no unique index: one value may name several rows"
    return (
        f"no unique index has exactly {_listed(columns)}: the values of one row may be those of"
        " another"
    )


def _is_forced(connection: Connection, table: str, index: Index, columns: Sequence[str]) -> bool:
    """Whether an index is wider only because unique indexes of partitioned tables have to be."""
    beyond = index.beyond(columns)
    of_partitions = catalog.partition_columns(connection, table)
    return bool(beyond) and folded(beyond) <= folded(of_partitions)


def _within(connection: Connection, table: str, index: Index, columns: Sequence[str]) -> Identity:
    """What is known where only a wider index is unique: of a small table, everything."""
    said = (
        f"{index.name} ({_listed(index.columns)}) is unique, and has"
        f" {_listed(sorted(index.beyond(columns)))} in it because the table is partitioned by it"
    )
    rows = catalog.estimated_rows(connection, table)
    if rows is None or rows > COUNTED_ROWS:
        more = "keys = [{ columns = [" + ", ".join(f'"{each}"' for each in columns) + "] }]"
        return Identity(remark=f"{said}: whether {_listed(columns)} is unique, {more} looks")
    if _is_shared(connection, table, columns):
        return Identity(complaint=f"{said}: several rows share one {_listed(columns)}")
    return Identity(remark=f"{said}: no two rows share one {_listed(columns)} now")


def _is_shared(connection: Connection, table: str, columns: Sequence[str]) -> bool:
    rows = rows_of(table, columns)
    groups = select(func.count()).select_from(rows).group_by(*rows.c).having(func.count() > 1)
    return connection.execute(groups.limit(1)).first() is not None


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns)
