"""The two tables of a `balance` check: their rows, and by what these are grouped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    case,
    func,
    literal_column,
    over,
    select,
    true,
    union,
)

from checks.relations import Relations, followed, rows_of
from checks.snapshot import Types
from checks.sql import catalog, exact
from checks.sql.collations import under
from checks.sql.expression import Expression, amount, is_column
from checks.sql.functions import one_of, weights
from checks.sql.statements import labelled

Built = ColumnElement[Any]
FLAG = "is_chained"
"""What a column is called that says whether a row chains."""

Part = Callable[[FromClause], tuple[FromClause, ColumnElement[bool]]]
"""A part of a table: given its rows, where to select from and under which condition."""


def called(name: str) -> str:
    """What the column of an amount is called: by its own name, or shortly what is worked out."""
    if is_column(name) or len(name) <= _LONGEST:
        return " ".join(name.split())
    return f"{' '.join(name.split())[: _LONGEST - 9]} {crc32(name.encode()):08x}"


_LONGEST = 50
"""Characters of such a name; a server takes 64, and a word may come before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A table whose rows are summed: its groups and its amounts."""

    table: str
    order: str
    """The column in whose order its rows chain, and new ones are found."""
    by: tuple[str, ...]
    amounts: tuple[str, ...]
    """Columns, or expressions over columns."""
    found: Mapping[str, catalog.Column]
    """What the catalog says of its columns; nothing where no database is asked."""
    types: Types | None
    """The same for what is calculated; None where that does not matter."""
    relations: Relations
    """What names stand for that are not those of whole tables."""
    when: Expression | None = None
    """Which rows count; all, unless stated."""
    rules: tuple[str | None, ...] = ()
    """For each of `by` how its texts are compared, where not as they are; see `under`."""

    def rows(
        self,
        *more: str,
        columns: Iterable[str] = (),
        name: str | None = None,
        flag: Expression | None = None,
    ) -> FromClause:
        """The table's rows that count, with more amounts and columns, under a name of theirs.

        With whether a condition is true for each, `flag`, if there is one.
        """
        named = (self.order, *self.by, *columns)
        return self.read(named, (*self.amounts, *more), flag).alias(name or f"rows_{self.table}")

    def read(
        self, columns: Iterable[str], amounts: Iterable[str] = (), flag: Expression | None = None
    ) -> FromClause:
        """The table's rows that count, with these columns, and amounts as `called` says."""
        worked_out = {each: amount(each) for each in amounts if not is_column(each)}
        names = list(dict.fromkeys((*columns, *(each for each in amounts if is_column(each)))))
        rules = {name: how for name, how in zip(self.by, self.rules, strict=False) if how}
        if not (worked_out or self.when or flag or rules.keys() & {*names}):
            return rows_of(self.relations, self.table, names)
        read = [*names]
        for expression in (*worked_out.values(), *filter(None, (self.when, flag))):
            read += expression.columns
        rows = rows_of(self.relations, self.table, dict.fromkeys(read))
        shown: list[Built] = [under(rows.c[each], rules.get(each)).label(each) for each in names]
        shown += (
            each.on(rows, self.types).label(called(name)) for name, each in worked_out.items()
        )
        if flag:
            shown.append(flag.holds_for(rows, self.types).label(FLAG))
        statement = select(*shown)
        if self.when:
            statement = statement.where(self.when.on(rows, self.types))
        return statement.subquery(self.table)

    def every(self, *names: str) -> list[FromClause]:
        """All rows of the tables that are read, with these columns; see `Relation.followed`."""
        tables = followed(self.relations, self.table, names)
        rules = {name: how for name, how in zip(self.by, self.rules, strict=False) if how}
        if not rules.keys() & {*names}:
            return tables
        return [
            select(*(under(rows.c[n], rules.get(n)).label(n) for n in names)).subquery(
                f"all_{number}"
            )
            for number, rows in enumerate(tables)
        ]

    def groups(self, rows: FromClause, *, narrow: bool) -> list[Built]:
        """What rows are grouped by; `narrow` puts a number in the place of a text.

        Servers sort numbers several times faster: `docs/reference/performance.md`. Whether the
        numbers stand for the texts is what `codes_are_unique` says.
        """
        return [
            code(rows.c[name]) if narrow and self.found[name].is_text else rows.c[name]
            for name in self.by
        ]

    def spellings(self, rows: FromClause) -> list[Built]:
        """What each group is called: of several spellings of a text the least."""
        return [
            one_of(rows.c[name], self.found[name]) if self.found[name].is_text else rows.c[name]
            for name in self.by
        ]

    def sum(self, name: str, values: Built) -> Built:
        """The sum of some values of an amount; 0 without any. No digit is lost."""
        if name in self.found and self.found[name].is_integer:
            return func.coalesce(func.sum(values), 0)
        total: Built = exact.total(values)
        size = amount(name).size(self.types) if self.types else None
        if size and size.whole + _COUNT + size.places > exact.MOST_DIGITS:
            bound: Built = literal_column("1" + "0" * (exact.MOST_DIGITS - size.places))
            total = exact.guarded(total, bound)
        return func.coalesce(total, 0)

    def sums(self, rows: FromClause) -> list[Built]:
        """The sum of each amount, and the number of rows: `sum_n` and `number`."""
        sums = [self.sum(name, rows.c[called(name)]) for name in self.amounts]
        return [*labelled("sum", sums), func.count().label("number")]

    def running(self, rows: FromClause, groups: Sequence[Built], ids: Built) -> list[Built]:
        """The sum of each amount up to a row of its group."""
        found: list[Built] = []
        for name in self.amounts:
            value = rows.c[called(name)]
            is_integer = name in self.found and self.found[name].is_integer
            total: Any = func.sum(value) if is_integer else exact.total(value)
            found.append(over(total, partition_by=groups, order_by=ids))
        return found

    def past(self, rows: FromClause, begin: Any) -> list[Built]:
        """The same sums of the rows before a place, and the last of these: `old_n`, `last_old`.

        And the last of those that chain: `last_chained`.
        """
        ids = rows.c[self.order]
        sums = [
            self.sum(name, case((ids < begin, rows.c[called(name)]), else_=0))
            for name in self.amounts
        ]
        chained = and_(ids < begin, chains(rows))
        return [
            *labelled("old", sums),
            func.max(case((ids < begin, ids))).label("last_old"),
            func.max(case((chained, ids))).label("last_chained"),
        ]


_COUNT = 12
"""Digits that the number of rows has at most."""


def chains(rows: FromClause) -> ColumnElement[bool]:
    """Whether a row chains."""
    return rows.c[FLAG] != literal_column("0") if FLAG in rows.c else true()


def code(text: Built) -> Built:
    """A number that is the same for all texts that are equal under their collation."""
    return func.crc32(weights(text))


def has_codes(column: catalog.Column) -> bool:
    """Whether a code stands for the text, whatever the column's type: not where it is a number."""
    return column.is_text and not column.type.lower().startswith(("enum", "set"))


def codes_are_unique(connection: Connection, sides: Sequence[Side]) -> bool:
    """Whether no two texts among the groups have the same code, so that it can stand for them."""
    if connection.dialect.name == "sqlite":
        return False
    for number in range(len(sides[0].by)):
        found = [side.found[side.by[number]] for side in sides]
        if not any(each.is_text for each in found):
            continue
        if not all(has_codes(each) for each in found):
            return False  # UUID or ENUM beside CHAR, say: equal, but of another code
        # Of all rows, whether they count or not: of those alone no index has them together.
        every = [(rows, s.by[number]) for s in sides for rows in s.every(s.by[number])]
        distinct = (select(rows.c[n].label("text")).distinct() for rows, n in every)
        texts = union(*distinct).subquery("texts")
        numbers = select(func.count(), func.count(code(texts.c.text).distinct()))
        one, other = connection.execute(numbers.where(texts.c.text.is_not(None))).one()
        if one != other:
            return False
    return True
