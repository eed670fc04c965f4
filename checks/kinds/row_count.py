"""`row_count`: how many rows a table has, and whether that is within bounds."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from checks.card import Card, Family, Sample, Section, Words
from checks.contract import EVERYTHING, Finding, Result, Window
from checks.ports import Sources
from checks.snapshot import DatabaseCheck
from checks.sql.inspection import Keys
from checks.sql.render import render
from checks.sql.statements import number_of

Rows = Annotated[int, Field(ge=0)]


class RowBounds(BaseModel):
    """How many rows a table may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: Rows = 0
    at_most: Rows | None = None

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most ({self.at_most}) is below at_least ({self.at_least})")
        return self


TABLE_ROWS = Family(
    name="reconciler_table_rows",
    type="gauge",
    help="Exact rows at the latest count.",
    labels=("table",),
    meaning="exact rows at the latest count",
)


class RowCount(RowBounds, DatabaseCheck):
    """The exact rows of a table; a violation when they are fewer or more than allowed."""

    card: ClassVar[Card] = Card(
        violation="a table with too few or too many rows",
        title=Words(en="number of rows", zh="行数"),
        section=Section.ROWS,
        evidence_says_all=True,
        families=(TABLE_ROWS,),
    )

    kind: Literal["row_count"] = "row_count"

    @property
    def section(self) -> Section:
        """Among others where there are bounds; without them it only counts."""
        return Section.OTHERS if self.rule else self.card.section

    @property
    def rule(self) -> str | None:
        """The bounds, if there are any."""
        if self.at_most is not None:
            return f"{self.at_least} <= rows <= {self.at_most}"
        return f"rows >= {self.at_least}" if self.at_least else None

    def look(self, keys: Keys = ()) -> str | None:
        """How many rows there are."""
        _ = keys
        return render(number_of(self.rows_of(self.table, ())))

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Count the rows. The catalog's own figure is an estimate and is not used."""
        with self.snapshot(sources) as snapshot:
            rows = snapshot.total(self.table)
        measures, samples = {"rows": rows}, (Sample(TABLE_ROWS, (self.table,), rows),)
        if self.at_least <= rows and (self.at_most is None or rows <= self.at_most):
            return Result(rows, 0, measures=measures, samples=samples)
        allowed = f"at least {self.at_least}"
        if self.at_most is not None:
            allowed += f" and at most {self.at_most}"
        message = f"{self.table} has {rows} rows, allowed are {allowed}"
        finding = Finding({"table": self.table}, message, {"rows": rows})
        return Result(rows, 1, (finding,), measures, samples=samples)
