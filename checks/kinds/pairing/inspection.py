"""The inspection query of a check of pairs: both sides of some findings, or all violations.

It is made of the conditions that a run executes, in the usual shape: NOT EXISTS.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    FromClause,
    Select,
    String,
    and_,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from checks.kinds.pairing.near_key import Built
from checks.kinds.pairing.near_rows import near_side
from checks.kinds.pairing.plan import Plan, Predicate
from checks.kinds.pairing.together import does_not_add_up, listed
from checks.snapshot import Context
from checks.sql import inspection
from checks.sql.functions import without_index
from checks.sql.inspection import MOST_ROWS, Keys, chosen
from checks.sql.joins import join
from checks.sql.render import render

Statement = Select[Any] | CompoundSelect[Any]
Build = Callable[[Plan, Keys], Statement]

_ONE: Built = literal_column("1")


def inspection_query(plan: Plan, ids: Keys) -> str:
    """The rows of both sides for some findings; without ids, all violations."""
    for names, build in _builds(plan):
        if found := inspection.having(ids, names):
            return inspection.fitting(
                found,
                lambda some: render(build(plan, some).limit(MOST_ROWS)),  # noqa: B023
            )
    return render(_all(plan).limit(MOST_ROWS))


def _builds(plan: Plan) -> Iterator[tuple[Iterable[str], Build]]:
    """The names in the ids of findings of each question, and what shows some of these."""
    yield plan.near.id, _of_near
    if plan.one_to_one and plan.reverse and set(plan.shared_id) == set(plan.far.id):
        yield plan.shared_id, _of_several_or_none
    elif plan.one_to_one:
        yield plan.shared_id, _of_several
    if plan.reverse:
        yield plan.far.id, _of_far


def _of_near(plan: Plan, ids: Keys) -> Select[Any]:
    """Near rows, each with the far row to which it refers."""
    near, far = _near(plan), _far(plan)
    source, joined = _with_joins(plan, far, _far_of_near(plan, near, far))
    own = {name: near.c[name] for name in plan.near.id}
    shown = select(_whole(near), _whole(far), *joined)
    return shown.select_from(source).where(chosen(own, ids))


def _of_far(plan: Plan, ids: Keys) -> Select[Any]:
    """Far rows, each with the near rows that refer to it."""
    near, far = _near(plan), _far(plan)
    source, joined = _with_joins(plan, far, _near_of_far(plan, near, far))
    shown = select(_whole(far), _whole(near), *joined)
    return shown.select_from(source).where(chosen(_far_id(plan, far), ids))


def _of_several(plan: Plan, ids: Keys) -> Select[Any]:
    """The near rows that refer to these far rows, each with its far row."""
    near, far = _near(plan), _far(plan)
    shared = {name: without_index(near.c[column]) for name, column in plan.shared_id.items()}
    shown = select(_whole(near), _whole(far)).select_from(_far_of_near(plan, near, far))
    return shown.where(chosen(shared, ids), plan.near.chosen(near))


def _of_several_or_none(plan: Plan, ids: Keys) -> CompoundSelect[Any]:
    """The same and, of these far rows, those to which no near row refers."""
    near, far = _near(plan), _far(plan)
    counts = and_(or_(*_ways_back(plan, near, far)), plan.near.chosen(near))
    shown = select(_whole(near), _whole(far)).select_from(far.join(near, counts, isouter=True))
    is_alone = (plan.near.own(near) or plan.near.key.of(near))[0].is_(None)
    alone = shown.where(chosen(_far_id(plan, far), ids), is_alone)
    return union_all(_of_several(plan, ids), alone)


def _near(plan: Plan) -> FromClause:
    return plan.rows(plan.near).alias(plan.near.role)


def _far(plan: Plan) -> FromClause:
    return plan.rows(plan.far).alias(plan.far.role)


def _far_id(plan: Plan, far: FromClause) -> dict[str, Built]:
    return dict(zip(plan.far.id, plan.far.own(far), strict=True))


def _far_of_near(plan: Plan, near: FromClause, far: FromClause) -> FromClause:
    leads = or_(*(way.leads_to(near, far) for way in plan.ways))
    return near.join(far, leads, isouter=True)


def _near_of_far(plan: Plan, near: FromClause, far: FromClause) -> FromClause:
    return far.join(near, or_(*_ways_back(plan, near, far)), isouter=True)


def _ways_back(plan: Plan, near: FromClause, far: FromClause) -> list[Predicate]:
    """Whether a near row refers to a far row, in each way in which it may."""
    ways = [way.refers(near, far) for way in plan.ways]
    return [*ways, plan.refers_by_key(plan.by_key, near, far)] if plan.by_key else ways


def _with_joins(
    plan: Plan, far: FromClause, source: FromClause
) -> tuple[FromClause, Sequence[Built]]:
    """Rows with the tables joined to the far ones, and the columns of these that are compared."""
    source, column = join(far, plan.joins, plan.read, outer=True, source=source)
    named = (name for pair in plan.pairs for name in pair.far.columns if "." in name)
    return source, [column(name).label(name) for name in dict.fromkeys(named)]


def _whole(rows: FromClause) -> Built:
    return literal_column(f"{rows.description}.*")


def _all(plan: Plan) -> Statement:
    """Near rows without a right far row; where more is asked, the violations of each question."""
    if not plan.reverse and not plan.one_to_one:
        return _without_far(plan)
    questions = [_without_far(plan, by_id=True)]
    if plan.reverse:
        questions.append(_without_near(plan))
    if plan.one_to_one:
        questions.append(_shared(plan))
    return union_all(*(each.limit(MOST_ROWS) for each in questions))


def _by_id(problem: str, *columns: Built) -> tuple[Built, Built]:
    """A problem and the id of the row as a text, since the questions differ in the type of it."""
    id_ = func.concat_ws(", ", *columns) if len(columns) > 1 else columns[0]
    return literal(problem).label("problem"), cast(id_, String()).label("id")


def _without_far(plan: Plan, *, by_id: bool = False) -> Select[Any]:
    """Near rows, or groups of them, without a far row that is right in everything."""
    near, far = near_side(plan).listed(), _far(plan)
    source, column = join(far, plan.joins, plan.read, outer=False)
    same = [
        value.is_not_distinct_from(pair.far.over(column))
        for pair, values in zip(plan.pairs, near.values, strict=True)
        for value in values
    ]
    ids = plan.near.ids(near.rows) or plan.near.key.of(near.rows)
    right = [plan.far.wanted(column), *same, *plan.apart(ids)]
    alone = [
        ~exists(select(_ONE).select_from(source).where(way.leads_to(near.rows, far), *right))
        for way in plan.ways
    ]
    if plan.is_together:
        alone = [does_not_add_up(plan, listed(plan, near))]
    problem = f"{plan.near.role} without its {plan.far.role}"
    shown = _by_id(problem, *ids) if by_id else (_whole(near.rows),)
    return select(*shown).select_from(near.rows).where(*near.conditions, *alone)


def _without_near(plan: Plan) -> Select[Any]:
    """Far rows to which no near row refers that may."""
    near, far = _near(plan), _far(plan)
    source, column = join(far, plan.joins, plan.read, outer=True)
    apart = plan.apart(plan.far.own(far))
    referring = [
        ~exists(select(_ONE).select_from(near).where(way, plan.near.allowed(near), *apart))
        for way in _ways_back(plan, near, far)
    ]
    begun = plan.scope.judged(Context(), plan.far, far)
    ids = plan.far.own(far) or [far.c[name] for name in plan.far.key]
    shown = _by_id(f"{plan.far.role} without its {plan.near.role}", *ids)
    return (
        select(*shown)
        .select_from(source if plan.far.is_chosen_by_joins else far)
        .where(plan.far.wanted(column), begun, *referring)
    )


def _shared(plan: Plan) -> Select[Any]:
    """The far rows to which several near rows refer."""
    near = _near(plan)
    keys = [near.c[column] for column in plan.shared_id.values()]
    filled = (each.is_not(None) for each in keys)
    return (
        select(*_by_id(f"{plan.far.role} of several", *keys))
        .select_from(near)
        .where(*filled, *plan.near.key.names(near), plan.near.chosen(near))
        .where(plan.scope.judged(Context(), plan.near, near))
        .group_by(*keys)
        .having(func.count() > 1)
    )
