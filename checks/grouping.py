"""Where duplicates can be: everywhere along an index, or only where the hash of a key repeats."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, TableClause, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks import catalog

MANY_ROWS = 100_000
"""Estimated rows above which grouping without an index goes by hash.

The server would group long texts in a temporary table on disk: on 1,000,000 rows about six
(MariaDB) and ten (MySQL) times as long. `benchmarks/duplicates.py` measures it.
"""


class weights(FunctionElement[bytes]):  # noqa: N801 - reads as SQL
    """A text as bytes that are the same for all texts equal to it under the column's collation.

    The server's own sort weights. Those of trailing spaces go, as a padding collation ignores them
    (and whatever has the weight of a space); that more texts then share a value does no harm here.
    """

    inherit_cache = True


@compiles(weights, "mysql")
def _weights(element: weights, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    space = f"WEIGHT_STRING(LEFT(CONCAT(' ', {text}), 1))"
    return f"TRIM(TRAILING {space} FROM WEIGHT_STRING({text}))"


def index_order(
    connection: Connection, table: str, columns: Sequence[str]
) -> tuple[str, ...] | None:
    """The columns in the order in which an index can be read along them, if there is such one."""
    leading = (
        index.columns[: len(columns)]
        for index in catalog.indexes(connection, table)
        if not index.partial
    )
    return next((each for each in leading if set(each) == set(columns)), None)


def candidates(
    connection: Connection,
    rows: TableClause,
    columns: Sequence[str],
    found: Mapping[str, catalog.Column],
) -> FromClause:
    """The rows among which all duplicates are, when no index is there to group them along.

    Of a large table, the rows whose hash of the key repeats: duplicates, and a few by chance. The
    hashes are sorted as numbers, which needs neither a temporary table nor much memory.
    """
    estimate = catalog.estimated_rows(connection, rows.name)
    if estimate is None or estimate <= MANY_ROWS or not all(_hashable(found[n]) for n in columns):
        return rows
    parts = (weights(rows.c[n]) if found[n].is_text else rows.c[n] for n in columns)
    code: ColumnElement[int] = func.crc32(func.concat(*(func.coalesce(p, "") for p in parts)))
    repeated = (
        select(code.label("code"))
        .prefix_with("SQL_BIG_RESULT", dialect="mysql")
        .group_by(code)
        .having(func.count() > 1)
        .subquery("repeated")
    )
    return rows.join(repeated, code == repeated.c.code)


def _hashable(column: catalog.Column) -> bool:
    """Whether equal values are written alike: 0 and -0 of a floating-point column are not."""
    return not column.type.lower().startswith(("float", "double"))
