"""The statements of `balance`: ledger rows and balance rows, summed and chained group by group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Numeric,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    union,
)

from checks import catalog
from checks.grouping import weights
from checks.sql import among, as_bytes, labelled, numbered, rows_of
from checks.types import Identifier

Built = ColumnElement[Any]
Part = Callable[[FromClause], tuple[FromClause, ColumnElement[bool]]]
"""A part of a table: given its rows, where to select from and under which condition."""

_EXACT = Numeric(38, 0)
"""BIGINT plus BIGINT can overflow (MySQL error 1690)."""

_BOUNDS = ("group_concat_max_len", "max_allowed_packet")
"""The server's variables that bound a list, in bytes."""

_LONGEST = 22
"""The most characters of a BIGINT in a list, with its sign and a comma."""

_LONGEST_DECIMAL = 70
"""The same of a DECIMAL, which has up to 65 digits."""


class Chain(BaseModel):
    """The columns by which each ledger row follows on the one before it in its group."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: Identifier
    change: Identifier
    after: Identifier


@dataclass(frozen=True, slots=True)
class Side:
    """A table whose rows are summed: its primary key, its groups and its amounts."""

    table: str
    primary_key: str
    by: tuple[str, ...]
    amounts: tuple[str, ...]
    found: Mapping[str, catalog.Column]

    def rows(self, *more: str) -> FromClause:
        """The table's rows."""
        names = (self.primary_key, *self.by, *self.amounts, *more)
        return rows_of(self.table, names).alias(f"rows_{self.table}")

    def groups(self, rows: FromClause, *, narrow: bool) -> list[Built]:
        """What rows are grouped by; `narrow` puts a number in the place of a text.

        Servers sort numbers several times faster: `docs/performance.md`. `codes_are_unique` tells
        whether the numbers stand for the texts.
        """
        return [
            code(rows.c[name]) if narrow and self.found[name].is_text else rows.c[name]
            for name in self.by
        ]

    def spellings(self, rows: FromClause) -> list[Built]:
        """What each group is called: of several spellings of a text the least."""
        return [
            func.min(as_bytes(rows.c[name])) if self.found[name].is_text else rows.c[name]
            for name in self.by
        ]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The two sides of a balance check and how they are compared."""

    postings: Side
    balances: Side
    chain: Chain | None
    empty_allowed: bool

    def summed(
        self,
        side: Side,
        part: Part,
        *,
        narrow: bool,
        begin: Any = None,
        named: bool = False,
        listed: bool = False,
    ) -> Subquery:
        """Each group's sums, its rows, and its first row's primary key; `by_n` are the groups.

        Of ledger rows also: how many do not add up in themselves and, with `begin`, what the
        sums and the last row were before it. With `named` also one spelling of the group, always
        the same of those that its collation takes for equal: `key_n`. With `listed` also whether
        the rows chain: `chained`, unknown of a group with very many rows.
        """
        own = side is self.postings
        chain = self.chain if own else None
        rows = side.rows(*((chain.before, chain.change, chain.after) if chain else ()))
        source, condition = part(rows)
        groups, ids = side.groups(rows, narrow=narrow), rows.c[side.primary_key]
        amounts = [rows.c[name] for name in side.amounts]
        columns = [
            *labelled("by", groups),
            *labelled("sum", [func.coalesce(func.sum(amount), 0) for amount in amounts]),
            func.count().label("number"),
            func.min(ids).label("first_id"),
        ]
        if named:
            columns += labelled("key", side.spellings(rows))
        if own:
            columns.append(func.sum(case((_is_off(rows, chain), 1), else_=0)).label("off"))
            if listed:
                columns.append((self._chained(rows, chain) if chain else true()).label("chained"))
        if begin is not None:
            columns += labelled("old", [_sum_if(ids < begin, amount) for amount in amounts])
            columns.append(func.max(case((ids < begin, ids))).label("last_old"))
        return (
            select(*columns)
            .prefix_with("SQL_BIG_RESULT", dialect="mysql")
            .select_from(source)
            .where(condition)
            .group_by(*groups)
            .subquery("postings" if own else "balances")
        )

    def compared(self, postings: Subquery, balances: Subquery) -> tuple[FromClause, Built]:
        """Groups of the ledger beside their balances, and whether such a pair is wrong."""
        pairs = postings.join(balances, same_group(postings, balances), isouter=True)
        sums = zip(numbered(postings, "sum"), numbered(balances, "sum"), strict=True)
        wrong = or_(
            balances.c.number.is_(None), postings.c.off > 0, *(one != two for one, two in sums)
        )
        return pairs, wrong

    def without_postings(self, postings: Subquery, balances: Subquery) -> Select[Any]:
        """Balances that have no ledger rows, as `summed` gives them."""
        statement = (
            select(balances)
            .select_from(balances.join(postings, same_group(postings, balances), isouter=True))
            .where(postings.c.number.is_(None))
        )
        if self.empty_allowed:
            statement = statement.where(or_(*(s != 0 for s in numbered(balances, "sum"))))
        return statement.order_by(balances.c.first_id)

    def broken(self, part: Part, balances: Subquery, *, narrow: bool) -> Select[Any]:
        """By group, the first ledger row that does not follow on the one before it.

        The first row of all follows on 0. Only of groups with one balance row: the others chain
        row by row, and the ledger does not say which.
        """
        links = self.links(part, narrow=narrow)
        groups = numbered(links, "by")
        # The breaks first, of which there are hardly any: to join every row with its balance
        # takes five times as long.
        breaks = (
            select(*groups, func.min(links.c.id).label("first_id"))
            .where(links.c.before != func.coalesce(links.c.previous, 0))
            .group_by(*groups)
            .subquery("breaks")
        )
        single = and_(same_group(breaks, balances), balances.c.number == 1)
        return select(*numbered(breaks, "by"), breaks.c.first_id).select_from(
            breaks.join(balances, single)
        )

    def touched(
        self,
        begin: Any,
        left_out: Sequence[tuple[Any, ...]],
        changed: tuple[str, str] | None = None,
    ) -> Subquery:
        """The groups with ledger rows from `begin` on, without some; `by_n`.

        And those with a balance row `changed` since: the column that says when, and a moment.
        """
        rows = self.postings.rows()
        new = rows.c[self.postings.primary_key] >= begin
        found = [_groups_of(rows, self.postings, new, left_out)]
        if changed:
            rows = self.balances.rows(changed[0])
            late = rows.c[changed[0]] >= changed[1]
            found.append(_groups_of(rows, self.balances, late, left_out))
        return union(*found).subquery("touched")

    def in_groups(self, side: Side, groups: Subquery) -> Part:
        """The rows of these groups."""

        def joined(rows: FromClause) -> tuple[FromClause, ColumnElement[bool]]:
            pairs = zip(numbered(groups, "by"), side.by, strict=True)
            same = and_(*(_equal(one, rows.c[name], side.found[name]) for one, name in pairs))
            return groups.join(rows, same), true()

        return joined

    def links(self, part: Part, *, narrow: bool) -> Subquery:
        """Each ledger row's `before`, and the `after` of the row before it in its group."""
        chain = self.chain
        assert chain  # noqa: S101 - asked for only where there is one
        rows = self.postings.rows(chain.before, chain.change, chain.after)
        source, condition = part(rows)
        groups, ids = self.postings.groups(rows, narrow=narrow), rows.c[self.postings.primary_key]
        previous = func.lag(rows.c[chain.after]).over(partition_by=groups, order_by=ids)
        return (
            select(
                *labelled("by", groups),
                ids.label("id"),
                rows.c[chain.before].label("before"),
                previous.label("previous"),
            )
            .select_from(source)
            .where(condition)
            .subquery("links")
        )

    def _chained(self, rows: FromClause, chain: Chain) -> Built:
        """Whether the rows of a group chain, told by two lists in the order of their ids.

        0 and all that is `after` are the same list as all that was `before` and the sum of all
        changes. The server cuts longer lists than it allows: of a group with so many rows it is
        unknown.
        """
        ids, found = rows.c[self.postings.primary_key], self.postings.found
        names = (chain.before, chain.after)
        befores, afters = (
            # Added to 0 an amount loses the zeros that ZEROFILL puts before it.
            func.group_concat((rows.c[name] + literal_column("0")).op("ORDER BY")(ids))
            for name in names
        )
        one = cast(func.concat("0,", afters), LargeBinary)
        other = cast(func.concat(befores, ",", func.sum(rows.c[chain.change])), LargeBinary)
        longest = _LONGEST if all(found[name].is_integer for name in names) else _LONGEST_DECIMAL
        allowed = [literal_column(f"@@{name}") for name in _BOUNDS]
        is_whole = func.count() * longest < func.least(*allowed)
        return case((is_whole, one == other), else_=null())


def _equal(one: Built, other: Built, column: catalog.Column) -> ColumnElement[bool]:
    return one.is_not_distinct_from(other) if column.nullable else one == other


def same_group(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Whether two statements tell of the same group; NULL is one value."""
    pairs = zip(numbered(one, "by"), numbered(other, "by"), strict=True)
    return and_(*(mine.is_not_distinct_from(theirs) for mine, theirs in pairs))


def _groups_of(
    rows: FromClause,
    side: Side,
    condition: ColumnElement[bool],
    left_out: Sequence[tuple[Any, ...]],
) -> Select[Any]:
    columns = [rows.c[name] for name in side.by]
    statement = select(*labelled("by", columns)).where(condition).distinct()
    if left_out:
        # Coalesced: without it a group that is NULL would be left out beside any other.
        statement = statement.where(not_(func.coalesce(among(columns, left_out), false())))
    return statement


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
        texts = union(
            *(select(rows_of(s.table, [s.by[number]]).c[0].label("text")).distinct() for s in sides)
        ).subquery("texts")
        numbers = select(func.count(), func.count(code(texts.c.text).distinct()))
        one, other = connection.execute(numbers.where(texts.c.text.is_not(None))).one()
        if one != other:
            return False
    return True


def _is_off(rows: FromClause, chain: Chain | None) -> ColumnElement[bool]:
    if chain is None:
        return rows.c[0].is_(None)
    before, change = cast(rows.c[chain.before], _EXACT), cast(rows.c[chain.change], _EXACT)
    # Unknown does not add up.
    return func.coalesce(rows.c[chain.after] != before + change, true())


def _sum_if(condition: ColumnElement[bool], amount: Built) -> Built:
    return func.coalesce(func.sum(case((condition, amount), else_=0)), 0)
