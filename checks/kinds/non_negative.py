"""`non_negative`: amounts are zero or more."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from sqlalchemy import ColumnElement, TableClause, or_

from checks.contract import Scalar
from checks.kinds.row_check import RowCheck
from checks.snapshot import Context, Snapshot
from checks.types import Columns, Severity


class NonNegative(RowCheck):
    """Whether no row holds a negative amount in any of the columns. NULL is not negative."""

    kind: Literal["non_negative"] = "non_negative"
    severity: Severity = Severity.CRITICAL
    columns: Columns

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The amounts."""
        return self.columns

    def violates(self, rows: TableClause, context: Context) -> ColumnElement[bool]:
        """One of the amounts is negative."""
        return or_(*self.counted_apart(rows, context).values())

    def counted_apart(
        self, rows: TableClause, context: Context
    ) -> Mapping[str, ColumnElement[bool]]:
        """The negative amounts of each column."""
        _ = context
        return {name: rows.c[name] < 0 for name in self.columns}

    def magnitude(self, seen: dict[str, Scalar]) -> int:
        """How far below zero, in whole units."""
        amounts = (Decimal(str(seen[name] or 0)) for name in self.columns)
        return math.ceil(-sum(min(amount, Decimal(0)) for amount in amounts))

    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """Which amounts."""
        _ = snapshot
        names = [name for name in self.columns if str(seen[name]).startswith("-")]
        return f"{self.table}: negative {' and '.join(names)}"
