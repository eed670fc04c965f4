"""The statements of `balance`: ledger rows and balance rows, summed and chained group by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    case,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union,
)

from checks.kinds.balance.chain import Chain
from checks.kinds.balance.sides import Built, Part, Side, called, chains
from checks.sql import catalog, exact
from checks.sql.expression import Expression
from checks.sql.statements import among, labelled, numbered
from checks.sql.timestamps import Written


@dataclass(frozen=True, slots=True)
class Ledger:
    """The two sides of a balance check and how they are compared."""

    postings: Side
    balances: Side
    chain: Chain | None
    empty_allowed: bool
    chain_when: Expression | None = None
    """Which ledger rows chain; all, unless stated."""
    never_negative: bool = False
    """Whether no sum may have been below zero after any ledger row."""

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
        """Each group's sums and the number of its rows; `by_n` are the groups.

        Of ledger rows also: how many do not add up in themselves and, with `begin`, what the
        sums and the last row were before it. With `named` also one spelling of the group, always
        the same of those that its collation takes for equal: `key_n`. With `listed` also whether
        the rows chain: `chained`, unknown of a group with very many rows.
        """
        own = side is self.postings
        rows = self.chained_rows() if own else side.rows()
        source, condition = part(rows)
        groups = side.groups(rows, narrow=narrow)
        columns = [*labelled("by", groups), *side.sums(rows)]
        if named:
            columns += labelled("key", side.spellings(rows))
        if own:
            columns += self._chained(rows, listed=listed)
        if begin is not None:
            columns += side.past(rows, begin)
        return (
            select(*columns)
            .prefix_with("SQL_BIG_RESULT", dialect="mysql")
            .select_from(source)
            .where(condition)
            .group_by(*groups)
            .subquery("postings" if own else "balances")
        )

    def chained_rows(self, name: str | None = None) -> FromClause:
        """The ledger rows, with what tells whether they chain."""
        if not self.chain:
            return self.postings.rows(name=name)
        return self.postings.rows(*self.chain.columns, name=name, flag=self.chain_when)

    def _chained(self, rows: FromClause, *, listed: bool) -> list[Built]:
        """How many ledger rows do not add up in themselves and, if asked, whether they chain."""
        chain = self.chain
        off = case((chain.is_off(rows), 1), else_=0) if chain else literal_column("0")
        columns: list[Built] = [func.sum(off).label("off")]
        if listed:
            holds = chain.holds(rows, self.postings) if chain else true()
            columns.append(holds.label("chained"))
        return columns

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
        return statement.order_by(*numbered(balances, "by"))

    def broken(self, part: Part, balances: Subquery, *, narrow: bool) -> Select[Any]:
        """By group, the first ledger row that does not follow on the one before it.

        The first row of all follows on 0. Only of groups with one balance row: the others chain
        row by row, and the ledger does not say which.
        """
        assert self.chain  # noqa: S101 - asked for only where there is one
        links = self.links(part, narrow=narrow)
        groups = numbered(links, "by")
        # The breaks first, of which there are hardly any: to join every row with its balance
        # takes five times as long.
        breaks = (
            select(*groups, func.min(links.c.id).label("first_id"))
            .where(self.chain.breaks(links.c.before, links.c.previous))
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
        changed: tuple[str, Written] | None = None,
    ) -> Subquery:
        """The groups with ledger rows from `begin` on, without some; `by_n`.

        And those with a balance row `changed` since: the column that says when, and a moment.
        """
        rows = self.postings.rows()
        new = rows.c[self.postings.order] >= begin
        found = [_groups_of(rows, self.postings, new, left_out)]
        if changed:
            rows = self.balances.rows(columns=[changed[0]])
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
        rows = self.chained_rows()
        source, condition = part(rows)
        groups, ids = self.postings.groups(rows, narrow=narrow), rows.c[self.postings.order]
        previous = chain.previous(rows, groups, ids)
        return (
            select(
                *labelled("by", groups),
                ids.label("id"),
                rows.c[called(chain.before)].label("before"),
                previous.label("previous"),
            )
            .select_from(source)
            .where(condition, chains(rows))
            .subquery("links")
        )

    def sunk(self, part: Part, *, narrow: bool) -> Subquery:
        """By group that was below zero, the first ledger row after which it was, and the lowest.

        The lowest of each sum: `low_n`.
        """
        rows = self.postings.rows()
        source, condition = part(rows)
        groups, ids = self.postings.groups(rows, narrow=narrow), rows.c[self.postings.order]
        running = (
            select(
                *labelled("by", groups),
                ids.label("id"),
                *labelled("after", self.postings.running(rows, groups, ids)),
            )
            .select_from(source)
            .where(condition)
            .subquery("running")
        )
        afters = numbered(running, "after")
        nought = exact.comparable(literal_column("0"))
        below = or_(*(exact.comparable(each) < nought for each in afters))
        first = func.min(case((below, running.c.id)))
        lows = [func.min(each) for each in afters]
        return (
            select(*numbered(running, "by"), first.label("first_id"), *labelled("low", lows))
            .group_by(*numbered(running, "by"))
            .having(first.is_not(None))
            .subquery("sunk")
        )


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
