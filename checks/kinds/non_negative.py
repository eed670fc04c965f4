"""`non_negative`: amounts are zero or more."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from sqlalchemy import ColumnElement, or_

from checks.contract import Scalar
from checks.kinds.row_check import RowCheck, View
from checks.types import Columns, Severity


class NonNegative(RowCheck):
    """Whether no row holds a negative amount in any of the columns. NULL is not negative."""

    kind: Literal["non_negative"] = "non_negative"
    severity: Severity = Severity.CRITICAL
    columns: Columns

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """NULL is not below zero."""
        return ("amounts that are NULL",)

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The amounts."""
        return self.columns

    def violates(self, view: View) -> ColumnElement[bool]:
        """One of the amounts is negative."""
        return or_(*self.counted_apart(view).values())

    def counted_apart(self, view: View) -> Mapping[str, ColumnElement[bool]]:
        """The negative amounts of each column."""
        return {name: view.rows.c[name] < 0 for name in self.columns}

    def magnitude(self, seen: dict[str, Scalar]) -> int:
        """How far below zero, in whole units."""
        amounts = (Decimal(str(seen[name] or 0)) for name in self.columns)
        return math.ceil(-sum(min(amount, Decimal(0)) for amount in amounts))

    def describe(self, seen: dict[str, Scalar], view: View) -> str:
        """Which amounts."""
        _ = view
        names = [name for name in self.columns if str(seen[name]).startswith("-")]
        return f"{self.table}: negative {' and '.join(names)}"
