"""Where duplicates can be: everywhere along an index, or only where the hash of a key repeats."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Subquery,
    and_,
    false,
    func,
    literal,
    null,
    or_,
    select,
)

from checks.sql import catalog
from checks.sql.functions import abridged, weights
from checks.sql.names import Names, folded
from checks.sql.statements import ALL_ROWS

MANY_ROWS = 100_000
"""Estimated rows above which grouping without an index goes by hash.

The server would group long texts in a temporary table on disk: on 1,000,000 rows about six
(MariaDB) and ten (MySQL) times as long; `make bench` measures it.
"""

_THREE = 3


def index_order(
    connection: Connection, table: str, columns: Sequence[str], also: Collection[str] = ()
) -> tuple[str, ...] | None:
    """The columns in the order in which an index can be read along them, if there is such one.

    It holds those that are read, `also`, too: to look at each row for them takes far longer.
    """
    leading = (
        index.columns[: len(columns)]
        for index in catalog.indexes(connection, table)
        if not index.partial and folded(also) <= folded(index.columns)
    )
    called = Names({name: name for name in columns})
    found = next((each for each in leading if folded(each) == folded(columns)), None)
    return found and tuple(called[name] for name in found)


def shortened(connection: Connection, rows: FromClause, texts: Collection[str]) -> Subquery:
    """Rows of SQLite without long texts; a column `code_…` beside each is what tells them apart.

    Its sorter would hold whole keys, a dozen and more of them at once.
    """
    codes = (_code_of_text(connection, rows.c[name]).label(f"code_{name}") for name in texts)
    short = (abridged(c).label(c.name) if c.name in texts else c for c in rows.c)
    # A limit keeps SQLite from merging this into the statement around it, and sorting the rows.
    return select(*short, *codes).limit(ALL_ROWS).subquery("short")


def _code_of_text(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same for all texts that the column's collation takes for equal, and short."""
    # Nothing says which collation that is, but a value in the column's place compares by it.
    nothing = select(column).where(false())
    probe = nothing.union_all(select(literal("A"))).subquery("probe").c[0]
    ignores_case, ignores_spaces = connection.execute(select(probe == "a", probe == "A ")).one()
    folded: ColumnElement[Any] = func.lower(column) if ignores_case else column
    return abridged(func.rtrim(folded, " ") if ignores_spaces else folded)


def goes_by_hash(
    connection: Connection, table: str, columns: Sequence[str], found: Mapping[str, catalog.Column]
) -> bool:
    """Whether a table is so large that its keys are first compared by hash."""
    estimate = catalog.estimated_rows(connection, table)
    is_large = estimate is not None and estimate > MANY_ROWS
    return is_large and all(_hashable(found[name]) for name in columns)


def may_repeat(
    connection: Connection,
    rows: FromClause,
    columns: Sequence[str],
    primary_key: str,
    found: Mapping[str, catalog.Column],
) -> bool:
    """Whether two rows may share a key: false is certain.

    The hashes are sorted as numbers, without the keys. Where two or three rows share a hash, their
    keys are compared; more, hardly ever there by chance, are suspicious enough.
    """
    repeated = _repeated_hashes(rows, columns, primary_key, found)
    low, high, middle = (rows.alias(name) for name in ("low", "high", "middle"))
    of_three = and_(repeated.c.number == _THREE, middle.c[primary_key] == repeated.c.middle)
    found_rows = (
        repeated.join(low, low.c[primary_key] == repeated.c.low)
        .join(high, high.c[primary_key] == repeated.c.high)
        .join(middle, of_three, isouter=True)
    )

    def same(one: FromClause, other: FromClause) -> ColumnElement[bool]:
        return and_(*(one.c[name].is_not_distinct_from(other.c[name]) for name in columns))

    suspicious = or_(
        repeated.c.number > _THREE,
        same(low, high),
        and_(repeated.c.number == _THREE, middle.c[primary_key].is_(None)),
        and_(repeated.c.number == _THREE, or_(same(low, middle), same(middle, high))),
    )
    statement = select(repeated.c.number).select_from(found_rows).where(suspicious).limit(1)
    return connection.scalar(statement) is not None


def _repeated_hashes(
    rows: FromClause,
    columns: Sequence[str],
    primary_key: str,
    found: Mapping[str, catalog.Column],
) -> Subquery:
    """How many rows share a hash, and the ids of up to three of them."""
    # A limit keeps the server from merging this into the statement around it, and from sorting
    # the keys along with the hashes.
    hashes = select(_code(rows, columns, found).label("code"), rows.c[primary_key].label("id"))
    has_key = or_(*(rows.c[name].is_not(None) for name in columns))
    apart = hashes.where(has_key).limit(ALL_ROWS).subquery("hashes")
    low, high = func.min(apart.c.id), func.max(apart.c.id)
    total = func.sum(apart.c.id) if found[primary_key].is_integer else null()
    return (
        select(
            func.count().label("number"),
            low.label("low"),
            high.label("high"),
            (total - low - high).label("middle"),
        )
        .prefix_with("SQL_BIG_RESULT", dialect="mysql")
        .group_by(apart.c.code)
        .having(func.count() > 1)
        .subquery("repeated")
    )


def candidates(
    rows: FromClause, columns: Sequence[str], found: Mapping[str, catalog.Column]
) -> FromClause:
    """The rows whose hash of the key repeats: duplicates, and a few by chance."""
    code = _code(rows, columns, found)
    repeated = (
        select(code.label("code"))
        .prefix_with("SQL_BIG_RESULT", dialect="mysql")
        .group_by(code)
        .having(func.count() > 1)
        .subquery("repeated")
    )
    return rows.join(repeated, code == repeated.c.code)


def _code(
    rows: FromClause, columns: Sequence[str], found: Mapping[str, catalog.Column]
) -> ColumnElement[int]:
    parts = (weights(rows.c[n]) if found[n].is_text else rows.c[n] for n in columns)
    return func.crc32(func.concat(*(func.coalesce(p, "") for p in parts)))


def _hashable(column: catalog.Column) -> bool:
    """Whether equal values are written alike: 0 and -0 of a floating-point column are not."""
    return not column.type.lower().startswith(("float", "double"))
