"""How many rows a run judges, and how many it excludes, by the reason."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, FromClause, and_, case, func, not_, select, true

from checks.relations import Counted
from checks.snapshot import Snapshot
from checks.sql import catalog
from checks.sql.statements import COUNTED_ROWS, counted, labelled, numbered, rows_of

Predicate = ColumnElement[bool]
Kept = Callable[[FromClause], Mapping[str, Predicate]]
"""What is true of the rows that are judged, each by the reason for which others are excluded."""

TABLE_WHEN = "table_when"
"""The reason for which rows are excluded that `[tables.X] when` leaves out."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a verdict covers."""

    judged: int
    """Rows that were judged; where `estimated`, at most about so many."""
    excluded: Mapping[str, int | None] = field(default_factory=dict)
    """Rows that were not, by the first reason that holds; None where they were not counted."""
    estimated: bool = False
    """Whether it is the catalog's estimate, or some of the rows wait for others of their group."""


def coverage(
    snapshot: Snapshot,
    name: str,
    columns: Iterable[str],
    kept: Kept = lambda _: {},
    read: Callable[[FromClause], Predicate] | None = None,
    *,
    exact: bool = False,
) -> Coverage:
    """Count the rows under a name that are judged, and those that are not.

    `read` says which of them the run reads, where that is not all. All rows of a large table are
    counted only if they must be `exact`: else to count them would take longer than the question.
    """
    rows, reasons = _asked(snapshot, name, columns, kept)
    is_table = isinstance(snapshot.relations.get(name), Counted | None)
    estimate = catalog.estimated_rows(snapshot.connection, name) or 0
    if read is None and not exact and is_table and estimate > COUNTED_ROWS:
        return Coverage(estimate, dict.fromkeys(reasons), estimated=True)
    return _counted(snapshot, rows, reasons, read(rows) if read else None)


def excluded(
    snapshot: Snapshot, name: str, columns: Iterable[str], kept: Kept
) -> Mapping[str, int | None]:
    """Count the rows that are not judged; nothing is read where that is none."""
    _, reasons = _asked(snapshot, name, columns, kept)
    return coverage(snapshot, name, columns, kept).excluded if reasons else {}


def _asked(
    snapshot: Snapshot, name: str, columns: Iterable[str], kept: Kept
) -> tuple[FromClause, Mapping[str, Predicate]]:
    """All rows, also those that a table's `when` leaves out, and what is true of the judged."""
    relation = snapshot.relations.get(name)
    if not isinstance(relation, Counted):
        rows = snapshot.rows_of(name, columns)
        return rows, kept(rows)
    rows = rows_of(name, (*columns, *relation.when.columns))
    return rows, {TABLE_WHEN: relation.holds_for(rows), **kept(rows)}


def _counted(
    snapshot: Snapshot, rows: FromClause, reasons: Mapping[str, Predicate], read: Predicate | None
) -> Coverage:
    if not reasons:
        every = select(func.count()).select_from(rows)
        return Coverage(snapshot.number(every if read is None else every.where(read)))
    flags = [case((each, 1), else_=0) for each in reasons.values()]
    seen = select(*labelled("kept", flags)).select_from(rows)
    flagged = (seen if read is None else seen.where(read)).subquery("seen")
    so_far: list[Predicate] = [true()]
    numbers: list[ColumnElement[int]] = []
    for number, each in enumerate(numbered(flagged, "kept")):
        numbers.append(counted(and_(*so_far, not_(each == 1)), f"excluded_{number}"))
        so_far.append(each == 1)
    numbers.append(counted(and_(*so_far), "judged"))
    *excluded, judged = map(int, snapshot.connection.execute(select(*numbers)).one())
    return Coverage(judged, dict(zip(reasons, excluded, strict=True)))
