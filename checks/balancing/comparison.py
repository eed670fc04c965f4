"""The questions that `balance` asks of one snapshot: which groups are wrong, and how."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    case,
    func,
    null,
    or_,
    select,
    union,
)

from checks.balancing import hot
from checks.balancing.summing import Ledger, Part, Side, same_group
from checks.base import SAMPLE, Evidence, Finding
from checks.sql import labelled, numbered, scalar

if TYPE_CHECKING:
    from checks.balance import Balance

Key = tuple[Any, ...]


@dataclass(slots=True)
class Seen:
    """What a run, or a part of it, saw."""

    examined: int = 0
    violations: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Seen") -> None:
        """Add what another part saw."""
        self.examined += other.examined
        self.violations += other.violations
        self.findings += other.findings


@dataclass(frozen=True, slots=True)
class Comparison:
    """The questions of one snapshot."""

    check: "Balance"
    connection: Connection
    ledger: Ledger

    def look(
        self, postings: Part, balances: Part, *, narrow: bool, may_be_alone: bool = True
    ) -> Seen:
        """Find the groups of a part that are wrong.

        `may_be_alone` tells that the part may have balances without ledger rows.
        """
        ledger = self.ledger
        summed = ledger.summed(ledger.postings, postings, narrow=narrow)
        held = ledger.summed(ledger.balances, balances, narrow=narrow)
        pairs, wrong = ledger.compared(summed, held)
        apart = select(summed.c.first_id, *numbered(summed, "by")).select_from(pairs).where(wrong)
        statements = [apart]
        if ledger.chain:
            statements.append(ledger.broken(postings, held, narrow=narrow))
        matched, bad, rows = self.connection.execute(
            select(
                func.count(held.c.number),
                func.coalesce(func.sum(case((wrong, 1), else_=0)), 0),
                func.coalesce(func.sum(summed.c.number), 0),
            ).select_from(pairs)
        ).one()
        found = [self._ids(each) for each in statements[0 if bad else 1 :]]
        keys = self._keys(ledger.postings, [each for ids in found for each in ids])
        violations = len(keys)
        if any(len(ids) > SAMPLE for ids in found):
            violations = self._number(union(*map(_groups_only, statements)).subquery())
        if may_be_alone and self._number(held) > matched:
            lonely = ledger.without_postings(summed, held)
            alone = self._ids(lonely)
            keys += self._keys(ledger.balances, alone)
            violations += self._number(lonely.subquery()) if len(alone) > SAMPLE else len(alone)
        return Seen(int(rows), violations, self.judge(keys[:SAMPLE]))

    def judge(self, keys: Sequence[Key]) -> list[Finding]:
        """A finding for each of these groups that is wrong, by all of its rows."""
        if not keys:
            return []
        ledger = self.ledger
        part = hot.of(ledger.postings, keys)
        summed = ledger.summed(ledger.postings, part, narrow=False, named=True)
        own = hot.of(ledger.balances, keys)
        held = ledger.summed(ledger.balances, own, narrow=False, named=True)
        pairs, wrong = ledger.compared(summed, held)
        break_id: ColumnElement[Any] = null()
        if ledger.chain:
            broken = ledger.broken(part, held, narrow=False).subquery("broken")
            pairs = pairs.join(broken, same_group(summed, broken), isouter=True)
            break_id = broken.c.first_id
            wrong = or_(wrong, break_id.is_not(None))
        columns = (
            *numbered(summed, "key"),
            *labelled("posted", numbered(summed, "sum")),
            *labelled("held", numbered(held, "sum")),
            *(summed.c.off, break_id.label("break_id"), held.c.number.label("balances")),
        )
        posted = select(*columns).select_from(pairs).where(wrong)
        findings = [self._finding(row) for row in self.connection.execute(posted).mappings()]
        lonely = ledger.without_postings(summed, held)
        findings += [self._lonely(row) for row in self.connection.execute(lonely).mappings()]
        return findings

    def _finding(self, row: RowMapping) -> Finding:
        evidence: dict[str, Evidence] = {"problem": ""}
        aspects = ["chain"] if row["off"] or row["break_id"] is not None else []
        difference = 0
        for number, (amount, posted) in enumerate(self.check.sums.items()):
            theirs, ours = int(row[f"posted_{number}"]), int(row[f"held_{number}"] or 0)
            if theirs != ours or row["balances"] is None:
                evidence[amount] = None if row["balances"] is None else ours
                evidence[f"SUM({posted})"] = theirs
                difference += abs(theirs - ours)
                aspects.append(f"{amount} {'<' if ours < theirs else '>'} SUM({posted})")
        if row["balances"] is None:
            problem, what = "no_balance", f"ledger rows in {self.check.ledger} and no balance"
        elif difference:
            problem, what = "apart", f"{self.check.ledger} and the balance differ by {difference}"
        else:
            problem, what = (
                "broken_chain",
                f"rows of {self.check.ledger} do not lead to the balance",
            )
        if row["break_id"] is not None:
            evidence[f"{self.check.ledger}.{self.check.ledger_primary_key}"] = scalar(
                row["break_id"]
            )
        if row["off"]:
            evidence["rows that do not add up"] = int(row["off"])
        evidence["problem"] = problem
        return self._made(row, what, evidence, difference, aspects)

    def _lonely(self, row: RowMapping) -> Finding:
        amounts = {amount: int(row[f"sum_{n}"]) for n, amount in enumerate(self.check.sums)}
        what = f"a balance and no rows in {self.check.ledger}"
        evidence: dict[str, Evidence] = {"problem": "no_ledger", **amounts}
        return self._made(row, what, evidence, sum(map(abs, amounts.values())))

    def _made(
        self,
        row: RowMapping,
        what: str,
        evidence: dict[str, Evidence],
        difference: int,
        aspects: Sequence[str] = (),
    ) -> Finding:
        key = {name: scalar(row[f"key_{n}"]) for n, name in enumerate(self.check.by)}
        of = ", ".join(f"{name} {value}" for name, value in key.items())
        message = f"{self.check.table}: {of}: {what}"
        return Finding(key, message, evidence, max(1, difference), tuple(aspects))

    def _ids(self, statement: Select[Any]) -> list[Any]:
        """The first ids of the groups that a statement finds, and one more than a sample holds."""
        rows = self.connection.execute(statement.limit(SAMPLE + 1)).mappings()
        return [row["first_id"] for row in rows]

    def _keys(self, side: Side, ids: Sequence[Any]) -> list[Key]:
        """The groups to which rows belong, each once."""
        if not ids:
            return []
        rows = side.rows()
        columns = [rows.c[name] for name in side.by]
        wanted = rows.c[side.primary_key].in_(ids)
        statement = select(*columns).where(wanted).group_by(*columns).order_by(*columns)
        return [tuple(row) for row in self.connection.execute(statement)]

    def _number(self, of: FromClause) -> int:
        return int(self.connection.scalar(select(func.count()).select_from(of)) or 0)


def _groups_only(statement: Select[Any]) -> Select[Any]:
    found = statement.subquery()
    return select(*numbered(found, "by"))
