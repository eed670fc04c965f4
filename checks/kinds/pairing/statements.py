"""The statements that find near rows without their far row, and far rows that nobody names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    distinct,
    func,
    select,
    true,
)

from checks.kinds.pairing.plan import Key, Moment, Only
from checks.sql.joins import Lookup, join
from checks.sql.statements import numbered, rows_of

if TYPE_CHECKING:
    from checks.kinds.pairing.check import Pairing


# No ORDER BY in these two: with a LIMIT it makes the server read along the primary key, however
# large the table, instead of along the index that leads to the few rows that are asked for.


def unmatched(check: "Pairing", moment: Moment, known: Sequence[Key]) -> list[Select[Any]]:
    """Near rows without a far row that is right in everything."""
    return [
        _without_far(check, check.near(moment, only))
        for only in check.restricted(moment, moment.near, check.cursor, check.primary_key, known)
    ]


def unnamed(check: "Pairing", moment: Moment, known: Sequence[Key]) -> list[Select[Any]]:
    """Far rows that no near row names which may."""
    far = check.far
    return [
        _without_near(check, moment, only)
        for only in check.restricted(moment, moment.far, far.cursor, far.primary_key, known)
    ]


def all_paired(check: "Pairing", moment: Moment) -> tuple[bool, bool]:
    """Whether every near row has its far row, and whether every far row is surely named.

    One reading of the near side tells both: when as many different far rows are reached from there
    as there are, none is left that nobody names. When fewer are reached, one may be named by a near
    row that differs from it, or that is out of scope; then only looking from the far side tells.
    """
    near = check.near(moment, lambda _: true(), marked=True)
    far, source, column = joined_far(check, outer=False)
    key = far.c[check.far.primary_key]
    alone = case((and_(near.c.judged == 1, key.is_(None)), 1))
    reached = distinct(case((_in_scope(check, moment, far), key)))
    unpaired, found = moment.connection.execute(
        select(func.count(alone), func.count(reached)).select_from(
            near.join(source, _is_right(check, near, column), isouter=True)
        )
    ).one()
    return unpaired == 0, found == moment.connection.scalar(_far_total(check, moment))


def _far_total(check: "Pairing", moment: Moment) -> Select[Any]:
    far, source, column = _far_to_be_named(check)
    in_scope = _in_scope(check, moment, far)
    return select(func.count()).select_from(source).where(wanted(check, column), in_scope)


def _without_far(check: "Pairing", near: FromClause) -> Select[Any]:
    far, source, column = joined_far(check, outer=False)
    keys = numbered(near, "key")
    return (
        select(*keys)
        .select_from(near.join(source, _is_right(check, near, column), isouter=True))
        .where(far.c[check.far.primary_key].is_(None))
    )


def _is_right(check: "Pairing", near: FromClause, column: Lookup) -> ColumnElement[bool]:
    """Whether a far row is the one that a near row has to have."""
    return and_(named(check, near, column), *same(check, near, column), wanted(check, column))


def _without_near(check: "Pairing", moment: Moment, only: Only) -> Select[Any]:
    far, source, column = _far_to_be_named(check)
    near = check.near_rows().alias("near")
    named = and_(check.named_by(far, near, moment.found), check.allows(near))
    in_scope = _in_scope(check, moment, far)
    return (
        select(far.c[check.far.primary_key].label("key_0"))
        .select_from(source.join(near, named, isouter=True))
        .where(wanted(check, column), in_scope, only(far), near.c[check.primary_key].is_(None))
    )


def _far_to_be_named(check: "Pairing") -> tuple[FromClause, FromClause, Lookup]:
    """Like `joined_far`, with only the tables that tell which rows are wanted."""
    far, source, column = joined_far(check, outer=True)
    is_qualified = check.far.when is not None and check.far.when.is_qualified
    return far, source if is_qualified else far, column


def _in_scope(check: "Pairing", moment: Moment, far: FromClause) -> ColumnElement[bool]:
    return check.in_scope(moment, check.far.table, far, check.far.written_at)


def joined_far(check: "Pairing", *, outer: bool) -> tuple[FromClause, FromClause, Lookup]:
    """The far side, the same with the tables joined to it, and the columns of both by name."""
    far = rows_of(check.far.table, check.needs[check.far.table]).alias("far")
    return far, *join(far, check.through, check.needs, outer=outer)


def named(check: "Pairing", near: FromClause, column: Lookup) -> ColumnElement[bool]:
    """Whether a near row names a far row."""
    names = zip(check.far.key, numbered(near, "name"), strict=True)
    return and_(*(column(one) == other for one, other in names))


def same(check: "Pairing", near: FromClause, column: Lookup) -> list[ColumnElement[bool]]:
    """For each pair of `equal`, whether its two sides are the same, NULL being one value."""
    same = []
    for number, other in enumerate(check.far_values):
        ends = [near.c[f"value_{number}"]]
        if f"also_{number}" in near.c:
            ends.append(near.c[f"also_{number}"])
        value = other.over(column)
        same.append(and_(*(end.is_not_distinct_from(value) for end in ends)))
    return same


def wanted(check: "Pairing", column: Lookup) -> ColumnElement[bool]:
    """Whether a far row is one that may be named; not so where this is NULL."""
    return check.far.when.over(column) if check.far.when else true()
