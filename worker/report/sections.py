"""The sections about the rows: duplicates, blanks, balances, states, and all other checks."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from checks.card import Section
from worker.model.run import Outcome, Run
from worker.report.model import BalanceRow, BlankRow, CheckedRow, DuplicatesRow, OtherRow, StatesRow

Row = TypeVar("Row", bound=CheckedRow)


def duplicates(runs: Iterable[Run]) -> Iterator[DuplicatesRow]:
    """A row for each key."""
    return _rows(DuplicatesRow, Section.DUPLICATES, runs)


def blanks(runs: Iterable[Run]) -> Iterator[BlankRow]:
    """A row for each column that must be filled."""
    return _rows(BlankRow, Section.BLANKS, runs)


def balances(runs: Iterable[Run]) -> Iterator[BalanceRow]:
    """A row for each check on amounts."""
    return _rows(BalanceRow, Section.BALANCES, runs)


def states(runs: Iterable[Run]) -> Iterator[StatesRow]:
    """A row for each condition that counts rows by state."""
    return _rows(StatesRow, Section.STATES, runs)


def others(runs: Iterable[Run]) -> Iterator[OtherRow]:
    """A row for each check that no other section shows, of whatever kind."""
    for run in runs:
        # The line of a table has its number of rows, and nothing of a run that could not count.
        unseen = run.check.section is Section.ROWS and run.outcome is not Outcome.PASS
        if unseen or run.check.section is Section.OTHERS:
            yield OtherRow(**_common(run), kind=run.check.kind, question=run.check.rule)


def _rows(model: type[Row], section: Section, runs: Iterable[Run]) -> Iterator[Row]:
    for run in runs:
        if run.check.section is section:
            yield model.model_validate({**_common(run), **run.check.report_fields(run.result)})


def _common(run: Run) -> dict[str, Any]:
    return {
        "check": run.check.name,
        "database": run.check.source_name,
        "table": run.check.table or run.check.source_name,
        "severity": run.check.severity,
        "outcome": run.outcome,
        "examined": run.result.examined if run.result else None,
        "estimated": run.result.estimated if run.result else None,
        "violations": run.result.violations if run.result else None,
    }
