"""SQL with which a person looks at findings of `reference` and `posting`: both sides of each.

It is made of the conditions that a run executes, in the usual shape: NOT EXISTS.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CompoundSelect,
    FromClause,
    Select,
    String,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    union_all,
)

from checks.kinds.pairing.plan import Built
from checks.kinds.pairing.statements import wanted
from checks.sql import inspection
from checks.sql.functions import without_index
from checks.sql.inspection import MOST_ROWS, Keys, chosen
from checks.sql.joins import join
from checks.sql.render import render
from checks.sql.statements import rows_of

if TYPE_CHECKING:
    from checks.kinds.pairing.check import Pairing


Build = Callable[[Keys], Select[Any] | CompoundSelect[Any]]

_ONE: Built = literal_column("1")


def look(check: "Pairing", keys: Keys) -> str:
    """The rows of both sides for some findings, or all near and far rows that have no other."""
    for names, build in _ways(check):
        if found := inspection.having(keys, names):
            return inspection.fitting(found, lambda some: render(build(some).limit(MOST_ROWS)))  # noqa: B023
    return _all(check)


def _ways(check: "Pairing") -> Iterator[tuple[Iterable[str], Build]]:
    """The names in the keys of findings of each sort, and the statement for some such keys."""
    near, far = check.near_rows().alias(check.near_role), _far(check)
    own: dict[str, Built] = {name: near.c[name] for name in check.key_names}
    other: dict[str, Built] = {check.far_key_name: far.c[check.far.primary_key]}
    names = check.shared_names()
    shared: dict[str, Built] = {n: without_index(near.c[column]) for n, column in names.items()}
    pair = near.join(far, check.naming(far, near), isouter=True)
    back = far.join(near, check.naming(far, near), isouter=True)
    whole = (_whole(near), _whole(far))

    def sharing(some: Keys) -> Select[Any]:
        return select(*whole).select_from(pair).where(chosen(shared, some))

    def named_by_several_or_none(some: Keys) -> CompoundSelect[Any]:
        is_alone = near.c[check.primary_key].is_(None)
        alone = select(*whole).select_from(back).where(chosen(other, some), is_alone)
        return union_all(sharing(some), alone)

    yield own, lambda some: _beside(check, near, far, pair).where(chosen(own, some))
    if shared and check.reverse and shared.keys() == other.keys():
        yield shared, named_by_several_or_none
    elif shared:
        yield shared, sharing
    if check.reverse:
        yield other, lambda some: _beside(check, far, near, back).where(chosen(other, some))


def _far(check: "Pairing") -> FromClause:
    return rows_of(check.far.table, check.needs[check.far.table]).alias(check.far.role)


def _beside(check: "Pairing", one: FromClause, other: FromClause, pair: FromClause) -> Select[Any]:
    """All of both sides, and the columns of joined tables that are compared."""
    far = one if one.description == check.far.role else other
    source, column = join(far, check.through, check.needs, outer=True, source=pair)
    named = (name for each in check.far_values for name in each.columns if "." in name)
    joined = [column(name).label(name) for name in dict.fromkeys(named)]
    return select(_whole(one), _whole(other), *joined).select_from(source)


def _whole(rows: FromClause) -> Built:
    return literal_column(f"{rows.description}.*")


def _all(check: "Pairing") -> str:
    """Near rows without a right far row; where more is asked, also far rows without a near one."""
    if not check.reverse and not check.shared_names():
        return render(_without_far(check).limit(MOST_ROWS))
    ways = [_without_far(check, told=True)]
    if check.reverse:
        ways.append(_without_near(check))
    if check.shared_names():
        ways.append(_shared(check))
    return render(union_all(*(each.limit(MOST_ROWS) for each in ways)).limit(MOST_ROWS))


def _told(problem: str, *columns: Built) -> tuple[Built, Built]:
    """A problem and what names the row, as a text, since the ways differ in the type of it."""
    name = func.concat_ws(", ", *columns) if len(columns) > 1 else columns[0]
    return literal(problem).label("problem"), cast(name, String()).label("id")


def _without_far(check: "Pairing", *, told: bool = False) -> Select[Any]:
    """Near rows, or groups of them, without a far row that is right in everything."""
    near, far = check.near_side(), _far(check)
    source, column = join(far, check.through, check.needs, outer=False)
    same = (
        end.is_not_distinct_from(theirs.over(column))
        for theirs, ends in zip(check.far_values, near.ends, strict=True)
        for end in ends
    )
    right = select(_ONE).select_from(source)
    right = right.where(check.naming(far, near.rows), wanted(check, column), *same)
    key = (near.rows.c[name] for name in check.key_names)
    problem = f"{check.near_role} without its {check.far.role}"
    shown = _told(problem, *key) if told else (_whole(near.rows),)
    return select(*shown).select_from(near.rows).where(*near.conditions, ~exists(right))


def _without_near(check: "Pairing") -> Select[Any]:
    """Far rows that no near row names which may."""
    near, far = check.near_rows().alias(check.near_role), _far(check)
    source, column = join(far, check.through, check.needs, outer=True)
    if not check.far.when or not check.far.when.is_qualified:
        source = far
    named = select(_ONE).select_from(near)
    named = named.where(check.naming(far, near), check.allows(near))
    problem = f"{check.far.role} without its {check.near_role}"
    begun = check.not_before(far, check.far.written_at)
    shown = _told(problem, far.c[check.far.primary_key])
    return select(*shown).select_from(source).where(wanted(check, column), begun, ~exists(named))


def _shared(check: "Pairing") -> Select[Any]:
    """The far rows that several near rows name."""
    near = check.near_rows().alias(check.near_role)
    columns = [near.c[column] for column in check.shared_names().values()]
    filled = (each.is_not(None) for each in columns)
    return (
        select(*_told(f"{check.far.role} of several", *columns))
        .select_from(near)
        .where(*filled, check.not_before(near, check.written_at))
        .group_by(*columns)
        .having(func.count() > 1)
    )
