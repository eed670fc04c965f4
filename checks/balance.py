"""`balance`: the ledger and the balances tell the same story."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
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
    true,
    union,
)

from checks import catalog, hot
from checks.base import (
    EVERYTHING,
    SAMPLE,
    Check,
    CheckError,
    Evidence,
    Finding,
    Result,
    Sources,
    Window,
)
from checks.moments import written
from checks.sql import labelled, numbered, scalar
from checks.summing import (
    Chain,
    Ledger,
    Part,
    Side,
    code,
    codes_are_unique,
    has_codes,
    same_group,
)
from checks.types import Columns, Identifier, Severity
from checks.window import Followed, Place, Reading, cursor_complaints

Key = tuple[Any, ...]

PAGE_ROWS = 3_000_000
"""Ledger rows of one snapshot of a complete run: what a server chains within 256 MB of memory."""


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


class Balance(Check):
    """Whether, in each group, the sums of the ledger rows are the amounts of the balance rows.

    And whether the ledger rows of a group that has one balance row chain, in the order of their
    ids, from 0 to the balance.
    """

    kind: Literal["balance"] = "balance"
    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    beside: ClassVar[Mapping[str, str]] = {"ledger": "ledger_"}
    primary_key: Identifier
    ledger: Identifier
    ledger_primary_key: Identifier
    ledger_cursor: Identifier | None = None
    ledger_written_at: Identifier | None = None
    by: Columns
    ledger_by: Columns | None = None
    """The ledger's columns for `by`, where they are named otherwise."""
    sums: Mapping[Identifier, Identifier] = Field(min_length=1)
    """Each amount of a balance, and the ledger column whose sum it is."""
    chain: Chain | None = None
    empty_allowed: bool = False
    """Whether a balance of 0 may be without ledger rows."""
    changed_at: Identifier | None = None
    """When a balance row was last changed: incremental runs look at what changed, too."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ledger_by and len(self.ledger_by) != len(self.by):
            raise ValueError(f"ledger_by names {len(self.ledger_by)} columns, by {len(self.by)}")
        if self.ledger_cursor and self.ledger_cursor != self.ledger_primary_key:
            raise ValueError(
                "a balance is read along the ledger's primary key, in whose order"
                f" rows chain; the cursor is {self.ledger_cursor}"
            )
        return self

    @property
    def rule(self) -> str | None:
        """The sums that are equal."""
        return ", ".join(f"{amount} = SUM({posted})" for amount, posted in self.sums.items())

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Keys and amounts of both sides."""
        chained = (self.chain.before, self.chain.change, self.chain.after) if self.chain else ()
        times = filter(None, (self.ledger_written_at,))
        own = (self.ledger_primary_key, *times, *self._ledger_by, *self.sums.values(), *chained)
        return {
            self.table: tuple(
                dict.fromkeys(
                    (self.primary_key, *self.by, *self.sums, *filter(None, (self.changed_at,)))
                )
            ),
            self.ledger: tuple(dict.fromkeys(own)),
        }

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A cursor that cannot be followed, and columns that cannot be compared."""
        if self.ledger_cursor:
            yield from cursor_complaints(connection, self.ledger, self.ledger_cursor)
        yield from self._mismatches(connection)

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Add up and compare every group, or those that have new ledger rows.

        A complete run of a large ledger reads it in several snapshots, each of some groups.
        """
        with sources.snapshot(self.database) as connection:
            comparison = self._comparison(connection)
            followed = Followed(
                *(self.ledger, self.ledger_cursor, self.ledger_written_at), key=self._ledger_by
            )
            reading = followed.read(connection, window, "ledger")
            if reading.begin is not None:
                seen, kept = self._news(comparison, window, reading.begin)
                return self._result(seen, reading, kept)
            pages = self._pages(comparison)
            seen = self._page(comparison, 0, pages)
        for page in range(1, pages):
            with sources.snapshot(self.database) as connection:
                seen.add(self._page(self._comparison(connection), page, pages))
        return self._result(seen, reading, None)

    @property
    def _ledger_by(self) -> tuple[str, ...]:
        return self.ledger_by or self.by

    def _comparison(self, connection: Connection) -> "Comparison":
        found = {t: catalog.require(connection, t, names) for t, names in self.needs.items()}
        if complaint := next(self._mismatches(connection), None):
            raise CheckError(complaint, permanent=True)
        postings = Side(
            *(self.ledger, self.ledger_primary_key, self._ledger_by),
            tuple(self.sums.values()),
            found[self.ledger],
        )
        balances = Side(self.table, self.primary_key, self.by, tuple(self.sums), found[self.table])
        ledger = Ledger(postings, balances, self.chain, self.empty_allowed)
        return Comparison(self, connection, ledger)

    def _mismatches(self, connection: Connection) -> Iterator[str]:
        mine = catalog.columns(connection, self.table)
        theirs = catalog.columns(connection, self.ledger)
        for one, other in zip(self.by, self._ledger_by, strict=True):
            if (
                one in mine
                and other in theirs
                and (why := catalog.unlike(mine[one], theirs[other]))
            ):
                yield f"{self.table}.{one} cannot be compared with {self.ledger}.{other}: {why}"
        chained = (self.chain.before, self.chain.change, self.chain.after) if self.chain else ()
        yield from _fractions(self.table, mine, self.sums)
        yield from _fractions(self.ledger, theirs, (*self.sums.values(), *chained))
        own = theirs.get(self.ledger_primary_key)
        if self.ledger_cursor and own and own.is_moment:
            yield f"{self.ledger}.{self.ledger_primary_key} is {own.type}: rows chain by number"
        changed = mine.get(self.changed_at or "")
        if changed and not changed.is_moment:
            yield f"{self.table}.{self.changed_at} is {changed.type}, and tells no time"

    def _pages(self, comparison: "Comparison") -> int:
        sides = (comparison.ledger.postings, comparison.ledger.balances)
        one, other = (side.found[side.by[0]] for side in sides)
        strings = all(has_codes(each) for each in (one, other))
        if one.type != other.type and not strings and not (one.is_number and other.is_number):
            return 1  # equal values could come to different pages
        rows = catalog.estimated_rows(comparison.connection, self.ledger) or 0
        return max(1, math.ceil(rows / PAGE_ROWS))

    def _page(self, comparison: "Comparison", page: int, pages: int) -> Seen:
        """Every group whose first column falls on this page."""
        narrow = codes_are_unique(
            comparison.connection, (comparison.ledger.postings, comparison.ledger.balances)
        )

        def part(side: Side) -> Part:
            if pages == 1:
                return lambda rows: (rows, true())
            first = side.found[side.by[0]]

            def on_page(rows: FromClause) -> tuple[FromClause, ColumnElement[bool]]:
                value = rows.c[side.by[0]]
                number = code(value) if first.is_text else func.crc32(value)
                # Of a number that is no whole one, too, and of the lowest, whose ABS overflows.
                rest = func.floor(func.abs(value % pages)) if first.is_number else number % pages
                return rows, func.coalesce(rest, 0) == page

            return on_page

        ledger = comparison.ledger
        return comparison.look(part(ledger.postings), part(ledger.balances), narrow=narrow)

    def _news(
        self, comparison: "Comparison", window: Window, begin: Place
    ) -> tuple[Seen, hot.Kept]:
        """Every group with new ledger rows, those known to be wrong, those whose sums are kept."""
        connection, ledger = comparison.connection, comparison.ledger
        names = set(self.by)
        known = [tuple(key[n] for n in self.by) for key in window.known if set(key) == names]
        before = hot.Kept.restored(window.cursor, int(begin))
        kept = hot.advance(connection, ledger, before, int(begin))
        doubtful = dict.fromkeys(
            (*known, *(key for key in before.groups if key not in kept.groups))
        )
        findings = comparison.judge(list(doubtful))
        seen = Seen(0, len(findings), findings)
        left_out = list(dict.fromkeys((*doubtful, *kept.groups)))
        new = ledger.touched(begin, left_out, self._changed(comparison, window))
        seen.add(
            comparison.look(
                ledger.in_groups(ledger.postings, new),
                ledger.in_groups(ledger.balances, new),
                narrow=False,
                may_be_alone=self.changed_at is not None,
            )
        )
        wrong = [tuple(finding.key.values()) for finding in seen.findings]
        return seen, hot.with_new(connection, ledger, kept, new, wrong)

    def _changed(self, comparison: "Comparison", window: Window) -> tuple[str, str] | None:
        """Since when balances are looked at that changed, as their column writes it."""
        if self.changed_at is None or window.cursor is None:
            return None
        before = datetime.fromtimestamp(window.cursor["ledger"]["marks"][-1][0], UTC)
        column = comparison.ledger.balances.found[self.changed_at]
        return self.changed_at, written(before - window.overlap, column, window.zone)

    def _result(self, seen: Seen, reading: Reading, kept: hot.Kept | None) -> Result:
        whole = len(seen.findings) == seen.violations <= SAMPLE
        left = {"ledger": reading.left, "kept": kept and kept.left()} if reading.left else None
        return Result(
            seen.examined,
            seen.violations,
            tuple(seen.findings[:SAMPLE]),
            notes=tuple(filter(None, (reading.note,))),
            complete=reading.begin is None,
            cursor=left if whole else None,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The questions of one snapshot."""

    check: Balance
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


def _fractions(
    table: str, found: Mapping[str, catalog.Column], names: Iterable[str]
) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if name in found and not found[name].is_whole:
            yield f"{table}.{name} is {found[name].type}: amounts are whole numbers"


def _groups_only(statement: Select[Any]) -> Select[Any]:
    found = statement.subquery()
    return select(*numbered(found, "by"))
