"""`non_negative`: amounts are zero or more."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from sqlalchemy import ColumnElement, FromClause, or_

from checks.card import Alert, Card, Section, Words
from checks.contract import Result, Scalar
from checks.kinds.row_check import RowCheckOfSome
from checks.snapshot import Context, Snapshot
from checks.types import Columns, Severity


class NonNegative(RowCheckOfSome):
    """Whether no row holds a negative amount in any of the columns. NULL is not negative."""

    card: ClassVar[Card] = Card(
        violation="a row with a negative amount",
        title=Words(en="negative amounts", zh="负数金额"),
        clean=Words(en="no negative amount", zh="无负数金额"),
        section=Section.BALANCES,
        evidence_says_all=True,
        alert=Alert(
            name="ReconcilerNegativeAmount",
            rank=20,
            meaning="an amount below zero",
            summary="{count} rows of {table} have a negative amount ({check}).",
            advice="Somebody could spend more than they had. Stop the account's spending before"
            " anything else.",
            explanation="an amount is below zero. The number is that of rows.",
        ),
    )

    kind: Literal["non_negative"] = "non_negative"
    severity: Severity = Severity.CRITICAL
    columns: Columns

    def report_fields(self, result: Result | None) -> Mapping[str, Any]:
        """How many amounts of each column are negative."""
        negative = {name: result and result.measures.get(name) for name in self.columns}
        return {"negative": negative}

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """NULL is not below zero."""
        return ("amounts that are NULL",)

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The amounts."""
        return self.columns

    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """One of the amounts is negative."""
        return or_(*self.counted_apart(rows, context).values())

    def counted_apart(
        self, rows: FromClause, context: Context
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
