"""The questions that `balance` asks of one snapshot: which groups are wrong, and how."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    Subquery,
    and_,
    case,
    false,
    func,
    not_,
    null,
    or_,
    select,
)

from checks.contract import SAMPLE, Evidence, Finding
from checks.kinds.balance import running_totals
from checks.kinds.balance.sides import Part, Side
from checks.kinds.balance.statements import Ledger, same_group
from checks.sql import exact
from checks.sql.statements import labelled, numbered
from checks.sql.values import scalar

Key = tuple[Any, ...]


@dataclass(slots=True)
class Seen:
    """What a run, or a part of it, saw."""

    examined: int = 0
    violations: int = 0
    findings: list[Finding] = field(default_factory=list)
    largest: int = 0
    """Ledger rows of the group that has most."""

    def add(self, other: "Seen") -> None:
        """Add what another part saw."""
        self.examined += other.examined
        self.violations += other.violations
        self.findings += other.findings
        self.largest = max(self.largest, other.largest)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The questions of one snapshot."""

    connection: Connection
    ledger: Ledger

    def compare(
        self, postings: Part, balances: Part, *, narrow: bool, may_be_alone: bool = True
    ) -> Seen:
        """Find the groups of a part that are wrong.

        `may_be_alone` tells that the part may have balances without ledger rows.
        """
        listed = self.connection.dialect.name != "sqlite"  # which has no lists in an order
        counts = self._counts(self._pairs(postings, balances, narrow=narrow, listed=listed))
        seen = Seen(int(counts["rows"]), largest=int(counts["largest"]))
        # The same once more, with the names of the groups.
        pairs = self._pairs(postings, balances, narrow=narrow, listed=listed, named=narrow)
        name = "key" if narrow else "by"
        found = select(*numbered(pairs.summed, name)).select_from(pairs.source)
        if wrong := int(counts["wrong"]):
            seen.add(self._judged(found.where(pairs.wrong).limit(SAMPLE), wrong))
        if counts["unsure"]:
            seen.add(self._unsure(found.where(pairs.unsure)))
        is_any_alone = may_be_alone and (
            self._number(*balances(self.ledger.balances.rows())) > counts["matched"]
        )
        if is_any_alone:
            seen.add(self._alone(pairs, name))
        del seen.findings[SAMPLE:]
        return seen

    def _judged(self, groups: Select[Any], violations: int) -> Seen:
        """So many wrong groups, of which a statement gives the first."""
        return Seen(0, violations, self.judge(self._keys(self.ledger.postings, groups)))

    def _unsure(self, groups: Select[Any]) -> Seen:
        """Those that are wrong of the groups that a statement gives."""
        seen = Seen()
        keys = self._keys(self.ledger.postings, groups)
        for first in range(0, len(keys), SAMPLE):
            findings = self.judge(keys[first : first + SAMPLE])
            seen.add(Seen(0, len(findings), findings))
            del seen.findings[SAMPLE:]
        return seen

    def _alone(self, pairs: "_Pairs", name: str) -> Seen:
        """The balances without ledger rows."""
        lonely = self.ledger.without_postings(pairs.summed, pairs.held)
        first = lonely.with_only_columns(*numbered(pairs.held, name)).limit(SAMPLE)
        keys = self._keys(self.ledger.balances, first)
        number = len(keys) if len(keys) < SAMPLE else self._number(lonely.subquery())
        return Seen(0, number, self.judge(keys))

    def judge(self, keys: Sequence[Key]) -> list[Finding]:
        """A finding for each of these groups that is wrong, by all of its rows."""
        if not keys:
            return []
        ledger = self.ledger
        part, own = (
            running_totals.of(ledger.postings, keys),
            running_totals.of(ledger.balances, keys),
        )
        pairs = self._pairs(part, own, narrow=False, named=True)
        summed, held = pairs.summed, pairs.held
        columns = (
            *numbered(summed, "key"),
            *labelled("posted", numbered(summed, "sum")),
            *labelled("held", numbered(held, "sum")),
            *(summed.c.off, pairs.break_id.label("break_id"), held.c.number.label("balances")),
            *((pairs.sunk.c.first_id.label("sunk_id"),) if pairs.sunk is not None else ()),
            *(numbered(pairs.sunk, "low") if pairs.sunk is not None else ()),
        )
        posted = select(*columns).select_from(pairs.source).where(pairs.wrong)
        findings = [self._finding(row) for row in self.connection.execute(posted).mappings()]
        lonely = ledger.without_postings(summed, held)
        findings += [self._lonely(row) for row in self.connection.execute(lonely).mappings()]
        return findings

    def _pairs(
        self,
        postings: Part,
        balances: Part,
        *,
        narrow: bool,
        named: bool = False,
        listed: bool = False,
    ) -> "_Pairs":
        """Groups of the ledger beside their balances.

        With `listed` whether rows chain is seen in the pass that sums them, else in one more.
        """
        ledger = self.ledger
        summed = ledger.summed(
            *(ledger.postings, postings), narrow=narrow, named=named, listed=listed
        )
        held = ledger.summed(ledger.balances, balances, narrow=narrow, named=named)
        source, wrong = ledger.compared(summed, held)
        unsure: ColumnElement[bool] = false()
        break_id: ColumnElement[Any] = null()
        if listed:
            is_single = held.c.number == 1
            wrong = func.coalesce(or_(wrong, and_(is_single, summed.c.chained == 0)), false())
            unsure = and_(is_single, summed.c.chained.is_(None), not_(wrong))
        elif ledger.chain:
            broken = ledger.broken(postings, held, narrow=narrow).subquery("broken")
            source = source.join(broken, same_group(summed, broken), isouter=True)
            break_id = broken.c.first_id
            wrong = or_(wrong, break_id.is_not(None))
        sunk: Subquery | None = None
        if ledger.never_negative:
            sunk = ledger.sunk(postings, narrow=narrow)
            source = source.join(sunk, same_group(summed, sunk), isouter=True)
            wrong = or_(wrong, sunk.c.first_id.is_not(None))
            unsure = and_(unsure, sunk.c.first_id.is_(None))
        return _Pairs(source, summed, held, wrong, unsure, break_id, sunk)

    def _counts(self, pairs: "_Pairs") -> RowMapping:
        """Ledger rows, balance rows that have some, wrong groups, unsure ones, the largest."""
        sums: dict[str, ColumnElement[Any]] = {
            "rows": pairs.summed.c.number,
            "matched": pairs.held.c.number,
            "wrong": case((pairs.wrong, 1), else_=0),
            "unsure": case((pairs.unsure, 1), else_=0),
        }
        columns = [func.coalesce(func.sum(each), 0).label(name) for name, each in sums.items()]
        columns.append(func.coalesce(func.max(pairs.summed.c.number), 0).label("largest"))
        return self.connection.execute(select(*columns).select_from(pairs.source)).mappings().one()

    def _keys(self, side: Side, found: Select[Any]) -> list[Key]:
        """The groups that a statement finds, spelled as rows of this side spell them."""
        texts = [side.found[name].is_text for name in side.by]
        return [
            tuple(
                # Where a number stands for a text, its spelling is read as bytes.
                value.decode() if is_text and isinstance(value, bytes) else value
                for value, is_text in zip(row, texts, strict=True)
            )
            for row in self.connection.execute(found)
        ]

    def _finding(self, row: RowMapping) -> Finding:
        evidence: dict[str, Evidence] = {"problem": ""}
        aspects = ["chain"] if row["off"] or row["break_id"] is not None else []
        differences = []
        for number, (amount, posted) in enumerate(self._amounts()):
            theirs, ours = exact.read(row[f"posted_{number}"]), exact.read(row[f"held_{number}"])
            if theirs != ours or row["balances"] is None:
                evidence[amount] = None if row["balances"] is None else scalar(ours)
                evidence[f"SUM({posted})"] = scalar(theirs)
                differences.append(exact.apart(theirs, ours))
                aspects.append(f"{amount} {'<' if ours < theirs else '>'} SUM({posted})")
        name = self.ledger.postings.table
        difference = exact.plus(*differences)
        if row["balances"] is None:
            problem, what = "no_balance", f"ledger rows in {name} and no balance"
        elif difference:
            problem, what = "apart", f"{name} and the balance differ by {scalar(difference)}"
        elif row["off"] or row["break_id"] is not None or not self._was_below(row):
            problem, what = "broken_chain", f"rows of {name} do not lead to the balance"
        else:
            problem, what = "below_zero", f"rows of {name} led below zero"
        if row["break_id"] is not None:
            evidence[f"{name}.{self.ledger.postings.order}"] = scalar(row["break_id"])
        if row["off"]:
            evidence["rows that do not add up"] = int(row["off"])
        if self._was_below(row):
            evidence |= self._below(row)
            aspects.append("below zero")
            if problem == "below_zero":
                difference = exact.plus(*(each.copy_abs() for each in self._lows(row).values()))
        evidence["problem"] = problem
        return self._made(row, what, evidence, difference, aspects)

    def _was_below(self, row: RowMapping) -> bool:
        return self.ledger.never_negative and row["sunk_id"] is not None

    def _lows(self, row: RowMapping) -> dict[str, Decimal]:
        """The lowest of each sum that was below zero."""
        lows = {
            posted: exact.read(row[f"low_{number}"])
            for number, (_, posted) in enumerate(self._amounts())
        }
        return {posted: low for posted, low in lows.items() if low < 0}

    def _below(self, row: RowMapping) -> dict[str, Evidence]:
        """Since which ledger row, and how far."""
        lows = {f"lowest SUM({name})": scalar(low) for name, low in self._lows(row).items()}
        return {"first row below zero": scalar(row["sunk_id"]), **lows}

    def _amounts(self) -> Iterator[tuple[str, str]]:
        """Each amount of a balance, and the ledger's column whose sum it is."""
        return zip(self.ledger.balances.amounts, self.ledger.postings.amounts, strict=True)

    def _lonely(self, row: RowMapping) -> Finding:
        amounts = {
            amount: exact.read(row[f"sum_{n}"]) for n, (amount, _) in enumerate(self._amounts())
        }
        what = f"a balance and no rows in {self.ledger.postings.table}"
        shown = {name: scalar(value) for name, value in amounts.items()}
        evidence: dict[str, Evidence] = {"problem": "no_ledger", **shown}
        size = exact.plus(*(each.copy_abs() for each in amounts.values()))
        return self._made(row, what, evidence, size)

    def _made(
        self,
        row: RowMapping,
        what: str,
        evidence: dict[str, Evidence],
        difference: Decimal,
        aspects: Sequence[str] = (),
    ) -> Finding:
        key = {name: scalar(row[f"key_{n}"]) for n, name in enumerate(self.ledger.balances.by)}
        of = ", ".join(f"{name} {value}" for name, value in key.items())
        message = f"{self.ledger.balances.table}: {of}: {what}"
        return Finding(key, message, evidence, max(1, ceil(difference)), tuple(aspects))

    def _number(self, of: FromClause, condition: ColumnElement[bool] | None = None) -> int:
        counted = select(func.count()).select_from(of)
        counted = counted if condition is None else counted.where(condition)
        return int(self.connection.scalar(counted) or 0)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Groups of the ledger beside their balances, as a statement."""

    source: FromClause
    summed: Subquery
    held: Subquery
    wrong: ColumnElement[bool]
    unsure: ColumnElement[bool]
    """What may be wrong, and has to be looked at by itself."""
    break_id: ColumnElement[Any]
    """The first ledger row that does not follow on the one before it."""
    sunk: Subquery | None
    """The groups that were below zero, where that is asked."""
