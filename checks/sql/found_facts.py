"""What the catalog says of a table where the configuration does not: key, cursor and time."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from checks.sql import catalog
from checks.sql.timestamps import TimeColumn

_NOW = re.compile(r"(current_timestamp|now)\b", re.IGNORECASE)


def key_of(connection: Connection, table: str) -> tuple[str, ...] | None:
    """The primary key, else the shortest unique index without NULL; None where there is neither."""
    columns = catalog.columns(connection, table)
    proofs = [
        each
        for each in catalog.indexes(connection, table)
        if each.unique
        and not each.partial
        and all(name in columns and not columns[name].nullable for name in each.columns)
    ]
    proofs.sort(key=lambda each: (each.name != "PRIMARY", len(each.columns), each.name))
    return proofs[0].columns if proofs else None


def cursor_of(connection: Connection, table: str, key: Sequence[str]) -> str | None:
    """The primary key where the server numbers the rows by it."""
    columns = catalog.columns(connection, table)
    numbered = [n for n in key if columns[n].is_integer and columns[n].is_counted_up]
    return numbered[0] if len(key) == 1 and numbered else None


def written_at_of(connection: Connection, table: str) -> str | None:
    """The one time that every row has, that is the present moment unless stated, and stays."""
    columns = catalog.columns(connection, table)
    found = [name for name, column in columns.items() if _is_first_written(column)]
    return found[0] if len(found) == 1 else None


def _is_first_written(column: catalog.Column) -> bool:
    is_now = column.default is not None and _NOW.match(column.default.strip("( ")) is not None
    return (
        column.is_moment
        and not column.nullable
        and is_now
        and "on update" not in column.extra.lower()
    )


def facts_of(connection: Connection, table: str) -> Mapping[str, str | tuple[str, ...]]:
    """All of them by name, without those that the catalog does not have."""
    key = key_of(connection, table)
    if key is None:
        return {}
    times = {
        "cursor": cursor_of(connection, table, key),
        "written_at": written_at_of(connection, table),
    }
    found = {name: TimeColumn(value) for name, value in times.items() if value}
    return {"primary_key": key if len(key) > 1 else key[0], **found}
