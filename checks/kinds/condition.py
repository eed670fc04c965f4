"""`condition`: every row satisfies an expression."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from sqlalchemy import ColumnElement, Connection, FromClause, func, not_, select

from checks.card import Card, Section, Words
from checks.contract import Result, Scalar
from checks.kinds.row_check import RowCheckOfSome
from checks.snapshot import Context, Snapshot
from checks.sql.expression import Expression
from checks.sql.functions import shown
from checks.sql.values import scalar
from checks.types import Identifier

MOST_TALLIED = 50
"""Distinct values that `tally` counts at most; a column with more is no set of states."""


class Condition(RowCheckOfSome):
    """Whether an expression is true for every row. False and unknown (NULL) are violations."""

    card: ClassVar[Card] = Card(
        violation="a row for which the expression is not true",
        title=Words(en="condition", zh="业务规则"),
        clean=Words(en="conditions hold", zh="业务规则成立"),
        evidence_says_all=True,
    )

    kind: Literal["condition"] = "condition"
    expression: Expression
    tally: Identifier | None = None
    """A column with few values, such as a status, whose rows are counted value by value."""

    @property
    def section(self) -> Section:
        """That of states, where it counts rows by state."""
        return Section.STATES if self.tally else self.card.section

    def report_fields(self, result: Result | None) -> Mapping[str, Any]:
        """The states, the most frequent first."""
        if not self.tally:
            return {}
        measures = result.measures if result else {}
        frequent = sorted(measures.items(), key=lambda item: (-item[1], item[0]))
        states = [{"value": value, "rows": rows} for value, rows in frequent]
        return {
            "column": self.tally,
            "expression": self.expression.source,
            "states": states if result else None,
        }

    def complaints(self, connection: Connection) -> Iterator[str]:
        """What the expression compares with that never is."""
        yield from super().complaints(connection)
        yield from self.expression.complaints(connection, self.table)

    @property
    def rule(self) -> str | None:
        """The expression."""
        return self.expression.source

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The columns of the expression, and the one that is tallied."""
        return (*self.expression.columns, *((self.tally,) if self.tally else ()))

    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """The expression is false or unknown."""
        return not_(self.expression.holds_for(rows, context.types(self.table)))

    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """The expression."""
        _ = seen, snapshot
        return f"{self.table}: not true: {self.expression.source}"

    def measures(self, rows: FromClause, snapshot: Snapshot) -> Mapping[str, int]:
        """The rows of each value of the tallied column, the most frequent first."""
        if not self.tally:
            return {}
        state, number = rows.c[self.tally], func.count()
        told = shown(state, snapshot.described(self.table, self.tally))
        most = select(told, number).where(*self.concerned(rows, snapshot)).group_by(state)
        most = most.order_by(number.desc()).limit(MOST_TALLIED)
        return {
            "NULL" if value is None else str(scalar(value)): int(count)
            for value, count in snapshot.connection.execute(most)
        }
