"""`non_negative`: amounts are zero or more."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from sqlalchemy import or_, select

from checks import catalog
from checks.base import EVERYTHING, Check, Result, Scalar, Sources, Window
from checks.looking import Keys, look_at_rows, quoted
from checks.sql import counted, row_total, rows_of, sample_rows
from checks.types import Columns, Identifier, Severity


class NonNegative(Check):
    """Whether no row holds a negative amount in any of the columns. NULL is not negative."""

    kind: Literal["non_negative"] = "non_negative"
    severity: Severity = Severity.CRITICAL
    columns: Columns
    primary_key: Identifier

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The amounts, and the primary key by which findings name rows."""
        return {self.table: tuple(dict.fromkeys((self.primary_key, *self.columns)))}

    def look(self, keys: Keys = ()) -> str | None:
        """The rows with a negative amount."""
        negative = " OR ".join(f"{quoted(name)} < 0" for name in self.columns)
        return look_at_rows(self.table, self.primary_key, keys, f"({negative})")

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Count the rows with a negative amount, and the negative amounts of each column."""
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, self.needs[self.table])
            rows = rows_of(self.table, self.needs[self.table])
            negative = or_(*(rows.c[name] < 0 for name in self.columns))
            counts = (
                connection.execute(
                    select(
                        counted(negative, "violations"),
                        *(counted(rows.c[name] < 0, f"in_{name}") for name in self.columns),
                    )
                )
                .mappings()
                .one()
            )
            violations = int(counts["violations"])
            findings = sample_rows(
                connection,
                rows,
                negative,
                self._describe,
                violations=violations,
                found=found,
                magnitude=self._magnitude,
            )
            examined = row_total(connection, self.table)
        measures = {name: int(counts[f"in_{name}"]) for name in self.columns}
        return Result(examined, violations, findings, measures)

    def _magnitude(self, seen: dict[str, Scalar]) -> int:
        """How far below zero, in whole units."""
        amounts = (Decimal(str(seen[name] or 0)) for name in self.columns)
        return math.ceil(-sum(min(amount, Decimal(0)) for amount in amounts))

    def _describe(self, seen: dict[str, Scalar]) -> str:
        names = [name for name in self.columns if str(seen[name]).startswith("-")]
        return f"{self.table}: negative {' and '.join(names)}"
