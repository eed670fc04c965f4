"""One question of a run: which statements find what is wrong, and how that is described."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from checks.contract import SAMPLE, Finding
from checks.kinds.pairing.plan import Id
from checks.snapshot import Snapshot
from checks.sql.statements import as_a_whole


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one side, or of the rows that share a far row."""

    names: tuple[str, ...]
    """The names in the ids of its findings."""
    violating: Callable[[Sequence[Id]], list[Select[Any]]]
    """Statements that between them select the id of each violation once; takes the known ids."""
    describe: Callable[[Sequence[Id]], list[Finding]]

    def answer(self, snapshot: Snapshot) -> tuple[list[Finding], int]:
        """The findings, and the exact number of violations."""
        wrong: list[Id] = []
        violations = 0
        for statement in self.violating(snapshot.known(self.names)):
            some, number = _counted(snapshot, statement)
            wrong += some
            violations += number
        return self.describe(wrong[:SAMPLE]) if wrong else [], violations


def _counted(snapshot: Snapshot, statement: Select[Any]) -> tuple[list[Id], int]:
    """The first rows of a statement, and how many there are."""
    rows = snapshot.connection.execute(as_a_whole(statement).limit(SAMPLE + 1)).all()
    number = len(rows)
    if number > SAMPLE:
        every = select(func.count()).select_from(statement.order_by(None).subquery())
        number = snapshot.number(every)
    return [tuple(row) for row in rows[:SAMPLE]], number
