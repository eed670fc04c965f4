"""Groups with many ledger rows, whose sums a `balance` check keeps instead of adding them up anew.

What is kept are the sums and the last balance of all rows before a settled place of the ledger. It
only serves to say that a group is right; what is not is judged by all of its rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, Subquery, and_, case, func, select

from checks.kinds.balance.sides import Part, Side, called
from checks.kinds.balance.statements import Ledger
from checks.ports import Cursor
from checks.sql import exact
from checks.sql.statements import among, numbered
from checks.sql.values import scalar

Key = tuple[Any, ...]

MANY_POSTINGS = 1000
"""Ledger rows above which a group's sums are kept."""

MOST_KEPT = 1000
"""Groups whose sums are kept at most."""


@dataclass(frozen=True, slots=True)
class Past:
    """A group up to the settled place."""

    sums: tuple[Decimal, ...]
    last: Decimal | None
    """Its balance after the last of these rows; None where they did not have to chain."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the ledger before a place."""

    through: int | None = None
    groups: Mapping[Key, Past] = field(default_factory=dict)

    @classmethod
    def restored(cls, cursor: Cursor | None, begin: int) -> "Kept":
        """What the run before left; nothing if that is of no use for a run from `begin` on."""
        left = (cursor or {}).get("kept")
        if not left or left["through"] > begin:
            return cls()
        groups = {tuple(key): _past(sums, last) for key, sums, last in left["groups"]}
        return cls(left["through"], groups)

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        groups = [
            [list(key), [scalar(each) for each in past.sums], scalar(past.last)]
            for key, past in self.groups.items()
        ]
        return {"through": self.through, "groups": groups}


def _past(sums: Sequence[int | str], last: int | str | None) -> Past:
    """A group as it was left: a number with a fraction is a text."""
    return Past(tuple(map(Decimal, sums)), None if last is None else Decimal(last))


def advance(connection: Connection, ledger: Ledger, kept: Kept, begin: int) -> Kept:
    """The kept groups that are right, brought up to `begin`."""
    if not kept.groups or ledger.never_negative:
        return Kept(begin)
    keys = list(kept.groups)

    def recent(rows: Any) -> Any:
        of_group = among([rows.c[name] for name in ledger.postings.by], keys)
        return rows, and_(rows.c[ledger.postings.order] >= kept.through, of_group)

    posted = _by_group(
        connection, ledger.summed(ledger.postings, recent, narrow=False, begin=begin)
    )
    held = _by_group(
        connection, ledger.summed(ledger.balances, of(ledger.balances, keys), narrow=False)
    )
    linked = _by_group(connection, _linked(ledger, recent)) if ledger.chain else {}
    lasts = _afters(connection, ledger, [row["last_chained"] for row in posted.values()])
    # Rows may spell a group otherwise than it is kept; whose they are, the collation knows.
    has_strangers = any(key not in kept.groups for key in posted)
    groups = {}
    for key, past in kept.groups.items():
        new = posted.get(key)
        if (new is None and has_strangers) or not _is_right(
            past, new, held.get(key), linked.get(key), ledger
        ):
            continue
        now = _advanced(past, new, lasts) if new else past
        groups[key] = now if held[key]["number"] == 1 else replace(now, last=None)
    return Kept(begin, groups)


def _advanced(past: Past, new: RowMapping, lasts: Mapping[Any, Decimal]) -> Past:
    """A group with those of its new rows that are before the next place."""
    last = None if past.last is None else lasts.get(new["last_chained"], past.last)
    return Past(_added(past.sums, _numbers(new, "old")), last)


def with_new(
    connection: Connection, ledger: Ledger, kept: Kept, new: Subquery, wrong: Sequence[Key]
) -> Kept:
    """What is kept, and those of some groups that have many rows and are not wrong."""
    room = MOST_KEPT - len(kept.groups)
    if room <= 0 or kept.through is None or ledger.never_negative:
        return kept
    part = ledger.in_groups(ledger.postings, new)
    summed = ledger.summed(ledger.postings, part, narrow=False, begin=kept.through)
    large = select(summed).where(summed.c.number > MANY_POSTINGS, summed.c.last_old.is_not(None))
    rows = connection.execute(large.limit(room)).mappings().all()
    lasts = _afters(connection, ledger, [row["last_chained"] for row in rows])
    right = {_key(row): row for row in rows if _key(row) not in wrong}
    own = of(ledger.balances, list(right))
    held = _by_group(connection, ledger.summed(ledger.balances, own, narrow=False)) if right else {}
    more = {
        key: Past(
            _numbers(row, "old"),
            # Where none of its rows chains, the first that does follows on 0.
            lasts.get(row["last_chained"], Decimal(0) if ledger.chain_when else None)
            if key in held and held[key]["number"] == 1
            else None,
        )
        for key, row in right.items()
    }
    return Kept(kept.through, {**kept.groups, **more})


def of(side: Side, keys: Sequence[Key]) -> Part:
    """The rows of some groups."""
    return lambda rows: (rows, among([rows.c[name] for name in side.by], keys))


def _linked(ledger: Ledger, part: Part) -> Subquery:
    """By group, the balance before its first row, and how many rows do not follow on another."""
    links = ledger.links(part, narrow=False)
    groups = numbered(links, "by")
    is_first = links.c.previous.is_(None)
    breaks = func.sum(case((links.c.before != links.c.previous, 1), else_=0))
    first = func.max(case((is_first, links.c.before)))
    return (
        select(*groups, first.label("first"), breaks.label("breaks"))
        .group_by(*groups)
        .subquery("linked")
    )


def _is_right(
    past: Past,
    new: RowMapping | None,
    held: RowMapping | None,
    linked: RowMapping | None,
    ledger: Ledger,
) -> bool:
    if held is None or (new and new["off"]):
        return False
    sums = _added(past.sums, _numbers(new, "sum")) if new else past.sums
    if sums != _numbers(held, "sum"):
        return False
    if ledger.chain is None or held["number"] != 1:
        return True
    if past.last is None:
        return False  # now its rows have to chain, from the first one on
    if linked is None:
        return new is None or ledger.chain_when is not None
    return int(linked["breaks"]) == 0 and exact.read(linked["first"]) == past.last


def _afters(connection: Connection, ledger: Ledger, ids: Sequence[Any]) -> dict[Any, Decimal]:
    """The balances after some ledger rows."""
    side, chain = ledger.postings, ledger.chain
    found = [each for each in ids if each is not None]
    if chain is None or not found:
        return {}
    rows = side.read((side.order,), (chain.after,))
    own = rows.c[side.order]
    statement = select(own, rows.c[called(chain.after)]).where(own.in_(found))
    return {row[0]: exact.read(row[1]) for row in connection.execute(statement)}


def _by_group(connection: Connection, statement: Subquery) -> dict[Key, RowMapping]:
    return {_key(row): row for row in connection.execute(select(statement)).mappings()}


def _key(row: RowMapping) -> Key:
    return tuple(scalar(value) for name, value in row.items() if str(name).startswith("by_"))


def _numbers(row: RowMapping, name: str) -> tuple[Decimal, ...]:
    return tuple(exact.read(v) for n, v in row.items() if str(n).startswith(f"{name}_"))


def _added(one: Sequence[Decimal], other: Sequence[Decimal]) -> tuple[Decimal, ...]:
    return tuple(exact.plus(a, b) for a, b in zip(one, other, strict=True))
