"""Whether several near rows refer to the same far row: the question of a `one_to_one` plan."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import FromClause, RowMapping, Select, and_, func, select, true, union

from checks.contract import Evidence, Finding, Scalar
from checks.kinds.pairing.plan import Id, Plan, Predicate
from checks.kinds.pairing.question import Question
from checks.snapshot import Snapshot
from checks.sql.row_ids import row_id
from checks.sql.statements import ALL_ROWS, among, first_and_last
from checks.sql.values import scalar
from checks.watermark import Reading


def shared_question(plan: Plan, snapshot: Snapshot, reading: Reading) -> Question:
    """The question; a finding is named by the far key."""
    return Question(
        tuple(plan.shared_id),
        lambda known: [_repeated(plan, snapshot, reading, known)],
        lambda ids: _findings(plan, snapshot, ids),
    )


def _repeated(plan: Plan, snapshot: Snapshot, reading: Reading, known: Sequence[Id]) -> Select[Any]:
    """The keys that several near rows have."""
    rows, source = _read(plan, reading, known)
    keys = plan.near.key.of(rows)
    repeated = (
        select(*keys)
        .select_from(source)
        .where(*(each.is_not(None) for each in keys), *_counts(plan, rows))
        .group_by(*keys)
        .having(func.count() > 1)
    )
    return _judged(plan, snapshot, repeated) if plan.scope.since else repeated


def _counts(plan: Plan, rows: FromClause) -> tuple[Predicate, ...]:
    """What is true of the rows that count, beyond that their key has no NULL."""
    return (plan.near.chosen(rows), *plan.near.key.names(rows))


def _read(plan: Plan, reading: Reading, known: Sequence[Id]) -> tuple[FromClause, FromClause]:
    """The near rows: of an incremental run, those with the key of a new row or a known finding."""
    rows = plan.rows(plan.near)
    if reading.begin is None or not plan.near.cursor:
        return rows, rows
    keys = plan.near.key.of(rows)
    new = select(*keys).where(reading.covers(rows.c[plan.near.cursor]))
    if known:
        touched = union(new, select(*keys).where(among(keys, known))).subquery("touched")
    else:
        touched = new.distinct().subquery("touched")
    near = plan.rows(plan.near).alias("near")
    return near, touched.join(near, _same_key(plan, touched, near))


def _same_key(plan: Plan, keys: FromClause, rows: FromClause) -> Predicate:
    return and_(*(keys.c[name] == rows.c[name] for name in plan.near.key.columns))


def _judged(plan: Plan, snapshot: Snapshot, repeated: Select[Any]) -> Select[Any]:
    """Of keys that repeat, those that do so among the rows that are judged.

    To compare the time of every row first would read the table beside its index.
    """
    # MariaDB would group by a temporary table, not along the index, in a statement around it.
    ordered = repeated.order_by(*repeated.selected_columns).limit(ALL_ROWS)
    found, rows = ordered.subquery("repeated"), plan.rows(plan.near)
    keys = plan.near.key.of(rows)
    return (
        select(*keys)
        .select_from(found.join(rows, _same_key(plan, found, rows)))
        .where(plan.scope.judged(snapshot, plan.near, rows), *_counts(plan, rows))
        .group_by(*keys)
        .having(func.count() > 1)
    )


def _findings(plan: Plan, snapshot: Snapshot, ids: Sequence[Id]) -> list[Finding]:
    rows = plan.rows(plan.near)
    judged = plan.scope.judged(snapshot, plan.near, rows) if plan.scope.since else true()
    names = dict.fromkeys((*plan.near.key.columns, *plan.near.primary_key))
    found = select(*(rows.c[name] for name in names))
    found = found.where(among(plan.near.key.of(rows), ids), judged, *_counts(plan, rows))
    ends = first_and_last(found.subquery("near"), plan.near.key.columns, plan.near.primary_key)
    keys = plan.near.key.of(ends.rows)
    statement = select(*keys, func.count().label("rows"), *ends.columns)
    statement = statement.group_by(*keys).order_by(*keys)
    return [_finding(plan, row) for row in snapshot.connection.execute(statement).mappings()]


def _finding(plan: Plan, row: RowMapping) -> Finding:
    number = int(row["rows"])
    evidence: dict[str, Evidence] = {
        "problem": "shared",
        "rows": number,
        "row_ids": tuple(_row_id(plan, row, end) for end in ("first", "last")),
    }
    id_ = {name: scalar(row[column]) for name, column in plan.shared_id.items()}
    message = f"{number} rows of {plan.near.table} name the same row of {plan.far.table}"
    return Finding(id_, message, evidence, number - 1)


def _row_id(plan: Plan, row: RowMapping, end: str) -> Scalar:
    names = plan.near.primary_key
    return row_id(names, [row[f"{end}_{number}"] for number in range(len(names))])
