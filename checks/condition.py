"""`condition`: every row satisfies an expression."""

from collections.abc import Iterator, Mapping
from typing import Literal

from sqlalchemy import Connection, func, not_, select

from checks import catalog
from checks.base import EVERYTHING, Check, Result, Scalar, Sources, Window
from checks.expression import Expression
from checks.looking import Keys, look_at_rows, spelled
from checks.sql import counted, row_total, rows_of, sample_rows, scalar, shown
from checks.types import Identifier

MOST_TALLIED = 50
"""Distinct values that `tally` counts at most; a column with more is no set of states."""


class Condition(Check):
    """Whether an expression is true for every row. False and unknown (NULL) are violations."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    kind: Literal["condition"] = "condition"
    primary_key: Identifier
    expression: Expression
    tally: Identifier | None = None
    """A column with few values, such as a status, whose rows are counted value by value."""

    def complaints(self, connection: Connection) -> Iterator[str]:
        """What the expression compares with that never is."""
        yield from self.expression.complaints(connection, self.table)

    @property
    def rule(self) -> str | None:
        """The expression."""
        return self.expression.source

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of the expression, and the primary key by which findings name rows."""
        tallied = (self.tally,) if self.tally else ()
        columns = dict.fromkeys((self.primary_key, *self.expression.columns, *tallied))
        return {self.table: tuple(columns)}

    def look(self, keys: Keys = ()) -> str | None:
        """The rows for which the expression is not true."""
        untrue = f"{spelled(self.expression)} IS NOT TRUE"
        return look_at_rows(self.table, self.primary_key, keys, untrue)

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Count and sample the rows for which the expression is not true."""
        names = self.needs[self.table]
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, names)
            rows = rows_of(self.table, names)
            violated = not_(self.expression.holds_for(rows))
            violations = int(connection.scalar(select(counted(violated, "violations"))) or 0)
            findings = sample_rows(
                connection, rows, violated, self._describe, violations=violations, found=found
            )
            measures = {}
            if self.tally:
                state = rows.c[self.tally]
                number = func.count()
                told = shown(state, found[self.tally])
                most = select(told, number).group_by(state).order_by(number.desc())
                for value, count in connection.execute(most.limit(MOST_TALLIED)):
                    measures["NULL" if value is None else str(scalar(value))] = int(count)
            examined = row_total(connection, self.table)
        return Result(examined, violations, findings, measures)

    def _describe(self, _seen: dict[str, Scalar]) -> str:
        return f"{self.table}: not true: {self.expression.source}"
