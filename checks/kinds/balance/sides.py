"""The two tables of a `balance` check: their rows, and by what these are grouped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, case, func, select, union

from checks.relations import Relations, followed, rows_of
from checks.sql import catalog
from checks.sql.collations import under
from checks.sql.functions import one_of, weights
from checks.sql.statements import labelled

Built = ColumnElement[Any]
Part = Callable[[FromClause], tuple[FromClause, ColumnElement[bool]]]
"""A part of a table: given its rows, where to select from and under which condition."""


@dataclass(frozen=True, slots=True)
class Side:
    """A table whose rows are summed: its groups and its amounts."""

    table: str
    order: str
    """The column in whose order its rows chain, and new ones are found."""
    by: tuple[str, ...]
    amounts: tuple[str, ...]
    found: Mapping[str, catalog.Column]
    """What the catalog says of its columns; nothing where no database is asked."""
    relations: Relations
    """What names stand for that are not those of whole tables."""
    rules: tuple[str | None, ...] = ()
    """For each of `by` how its texts are compared, where not as they are; see `under`."""

    def rows(self, *more: str, name: str | None = None) -> FromClause:
        """The table's rows, with more columns, under a name of theirs."""
        names = (self.order, *self.by, *self.amounts, *more)
        return self.read(names).alias(name or f"rows_{self.table}")

    def read(self, names: Iterable[str]) -> FromClause:
        """The table's rows with these columns."""
        names = tuple(dict.fromkeys(names))
        rows = rows_of(self.relations, self.table, names)
        rules = {name: how for name, how in zip(self.by, self.rules, strict=False) if how}
        if not rules.keys() & {*names}:
            return rows
        shown = (under(rows.c[name], rules.get(name)).label(name) for name in names)
        return select(*shown).subquery(self.table)

    def every(self, *names: str) -> list[FromClause]:
        """All rows of the tables that are read, with these columns; see `Relation.followed`."""
        return followed(self.relations, self.table, names)

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

    def sums(self, rows: FromClause) -> list[Built]:
        """The sum of each amount, and the number of rows: `sum_n` and `number`."""
        sums = [func.coalesce(func.sum(rows.c[name]), 0) for name in self.amounts]
        return [*labelled("sum", sums), func.count().label("number")]

    def past(self, rows: FromClause, begin: Any) -> list[Built]:
        """The same sums of the rows before a place, and the last of these: `old_n`, `last_old`."""
        ids = rows.c[self.order]
        sums = [case((ids < begin, rows.c[name]), else_=0) for name in self.amounts]
        return [
            *labelled("old", [func.coalesce(func.sum(each), 0) for each in sums]),
            func.max(case((ids < begin, ids))).label("last_old"),
        ]


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
