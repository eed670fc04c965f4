"""The sections about the rows: duplicates, blanks, balances, states, and all other checks."""

from collections.abc import Iterable, Iterator
from typing import Any

from checks.kinds.blank import Blank
from checks.kinds.columns import Columns
from checks.kinds.condition import Condition
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.non_negative import NonNegative
from checks.kinds.row_count import RowCount
from checks.kinds.tables import Tables
from checks.kinds.unique_index import UniqueIndex
from worker.model.run import Outcome, Run
from worker.report.model import BalanceRow, BlankRow, DuplicatesRow, OtherRow, State, StatesRow

IN_SCHEMA_SECTIONS = (Tables, Columns, UniqueIndex)
IN_ROW_SECTIONS = (Duplicates, Blank, NonNegative)


def duplicates(runs: Iterable[Run]) -> Iterator[DuplicatesRow]:
    """A row for each key."""
    for run in runs:
        if isinstance(check := run.check, Duplicates):
            yield DuplicatesRow(
                **_common(run),
                columns=check.columns,
                nulls=check.nulls,
                surplus_rows=_measure(run, "surplus_rows"),
                groups_spelled_differently=_measure(run, "groups_spelled_differently"),
            )


def blanks(runs: Iterable[Run]) -> Iterator[BlankRow]:
    """A row for each column that must be filled."""
    for run in runs:
        if isinstance(check := run.check, Blank):
            yield BlankRow(
                **_common(run),
                column=check.column,
                null=_measure(run, "null"),
                empty=_measure(run, "empty"),
                white_space=_measure(run, "white_space"),
            )


def balances(runs: Iterable[Run]) -> Iterator[BalanceRow]:
    """A row for each check on amounts."""
    for run in runs:
        if isinstance(check := run.check, NonNegative):
            negative = {name: _measure(run, name) for name in check.columns}
            yield BalanceRow(**_common(run), negative=negative)


def states(runs: Iterable[Run]) -> Iterator[StatesRow]:
    """A row for each condition that counts rows by state."""
    for run in runs:
        if isinstance(check := run.check, Condition) and check.tally:
            measures = run.result.measures if run.result else {}
            frequent = sorted(measures.items(), key=lambda item: (-item[1], item[0]))
            counted = tuple(State(value=value, rows=rows) for value, rows in frequent)
            yield StatesRow(
                **_common(run),
                column=check.tally,
                expression=check.expression.source,
                states=counted if run.result else None,
            )


def others(runs: Iterable[Run]) -> Iterator[OtherRow]:
    """A row for each check that no other section shows, of whatever kind."""
    for run in runs:
        if not _has_section(run):
            yield OtherRow(**_common(run), kind=run.check.kind, question=run.check.rule)


def _has_section(run: Run) -> bool:
    check = run.check
    if isinstance(check, Condition):
        return check.tally is not None
    if isinstance(check, RowCount):
        # Without bounds it only counts, and the table's row shows what it counted.
        return check.rule is None and run.outcome is Outcome.PASS
    return isinstance(check, IN_SCHEMA_SECTIONS + IN_ROW_SECTIONS)


def _common(run: Run) -> dict[str, Any]:
    return {
        "check": run.check.name,
        "database": run.check.source_name,
        "table": run.check.table or run.check.source_name,
        "severity": run.check.severity,
        "outcome": run.outcome,
        "examined": run.result.examined if run.result else None,
        "violations": run.result.violations if run.result else None,
    }


def _measure(run: Run, name: str) -> int | None:
    """A count of the run; none, not 0, where the run or the kind does not tell it."""
    return run.result.measures.get(name) if run.result else None
