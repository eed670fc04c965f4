"""`non_negative`: amounts are zero or more."""

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, FromClause, or_

from checks.card import Alert, Card, Section, Words
from checks.contract import Result, Scalar
from checks.kinds.row_check import RowCheckOfSome
from checks.snapshot import Context, Snapshot
from checks.sql import exact
from checks.sql.expression import Amount, amount
from checks.types import Identifier, Severity


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
    columns: tuple[Identifier, ...] = ()
    amounts: tuple[Amount, ...] = Field(default=(), repr=False)
    """What is worked out of columns, and below zero nowhere either."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.columns or self.amounts):
            raise ValueError("columns, or amounts, are missing: what is not to be below zero")
        return self

    def report_fields(self, result: Result | None) -> Mapping[str, Any]:
        """How many amounts of each column are negative."""
        names = (*self.columns, *self.amounts)
        negative = {name: result and result.measures.get(name) for name in names}
        return {"negative": negative}

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """NULL is not below zero."""
        return ("amounts that are NULL",)

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The amounts, and what they are worked out of."""
        worked_out = (name for each in self.amounts for name in amount(each).columns)
        return tuple(dict.fromkeys((*self.columns, *worked_out)))

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """Columns that hold no numbers, and what is worked out and is no exact number."""
        found = snapshot.columns[self.table]
        for name in self.columns:
            if not (snapshot.is_sqlite or found[name].is_number):
                yield f"{self.table}.{name} is {found[name].type}, and no amount"
        for each in self.amounts:
            if why := amount(each).unfit_amount(found.__getitem__):
                yield f"{self.table}: {each} {why}"
        yield from super().doubts(snapshot)

    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """One of the amounts is negative."""
        return or_(*self.counted_apart(rows, context).values())

    def counted_apart(
        self, rows: FromClause, context: Context
    ) -> Mapping[str, ColumnElement[bool]]:
        """The negative amounts of each column."""
        types = context.types(self.table)
        worked_out = {name: amount(name).on(rows, types) for name in self.amounts}
        return {name: rows.c[name] < 0 for name in self.columns} | {
            name: exact.comparable(value) < exact.NOUGHT for name, value in worked_out.items()
        }

    def magnitude(self, seen: dict[str, Scalar]) -> int:
        """How far below zero the columns are, in whole units; 1 for what is worked out."""
        amounts = (exact.read(seen[name]) for name in self.columns)
        below = exact.plus(*(min(each, Decimal(0)).copy_abs() for each in amounts))
        return max(1, math.ceil(below))

    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """Which amounts."""
        _ = snapshot
        names = [name for name in self.columns if str(seen[name]).startswith("-")]
        what = " and ".join(names) or " or ".join(self.amounts)
        return f"{self.table}: negative {what}"
