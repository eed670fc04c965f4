"""What a run of `reference` or `posting` deals with: its two sides, its moment, its questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, select

from checks.contract import SAMPLE, Finding, Scalar, Window
from checks.sql import catalog
from checks.sql.expression import FarExpression
from checks.sql.statements import as_a_whole
from checks.watermark import Reading

Built = ColumnElement[Any]
Catalog = Mapping[str, Mapping[str, catalog.Column]]
Key = tuple[Scalar, ...]
Only = Callable[[FromClause], ColumnElement[bool]]
"""Which rows of a table are read."""


@dataclass(frozen=True, slots=True)
class Far:
    """The far side: how its rows are named, chosen, followed and dated."""

    role: str
    """What this side is called in fields and findings."""
    table: str
    primary_key: str
    cursor: str | None
    written_at: str | None
    key: tuple[str, ...]
    """The columns by which a near row names it."""
    when: FarExpression | None
    """Which rows may be named, and have to be when both directions are asked."""


@dataclass(frozen=True, slots=True)
class NearSide:
    """The near side as people look at it."""

    rows: FromClause
    """Rows, or groups of them, called `near_role`."""
    conditions: tuple[ColumnElement[bool], ...]
    """Which rows have to have a far row."""
    ends: tuple[tuple[Built, ...], ...]
    """The near ends of each thing that is compared; several where rows are grouped."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One run: its snapshot and when that was, and what is to be read."""

    connection: Connection
    at: datetime
    window: Window
    found: Catalog
    near: Reading
    far: Reading

    @property
    def is_whole(self) -> bool:
        """Whether both sides are read from their beginning."""
        return self.near.begin is None and self.far.begin is None


@dataclass(frozen=True, slots=True)
class Direction:
    """One question of a run."""

    names: tuple[str, ...]
    """The names in the keys of its findings."""
    violating: Callable[[Sequence[Key]], list[Select[Any]]]
    """Statements that between them give the key of each violation once; takes the known keys."""
    describe: Callable[[Sequence[Key]], list[Finding]]

    def look(self, moment: Moment) -> tuple[list[Finding], int]:
        """The findings, and the exact number of violations."""
        keys = (key for key in moment.window.known if set(key) == set(self.names))
        known = [tuple(key[name] for name in self.names) for key in keys]
        wrong: list[Key] = []
        violations = 0
        for statement in self.violating(known):
            rows = moment.connection.execute(as_a_whole(statement).limit(SAMPLE + 1)).all()
            number = len(rows)
            if number > SAMPLE:
                counted = select(func.count()).select_from(statement.order_by(None).subquery())
                number = int(moment.connection.scalar(counted) or 0)
            wrong += [tuple(row) for row in rows[:SAMPLE]]
            violations += number
        return self.describe(wrong[:SAMPLE]) if wrong else [], violations
