"""SQL with which a person looks at the groups of `balance`: what is held beside what is posted."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from checks.kinds.balance.sides import Built
from checks.sql.inspection import LONGEST_NAME, MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.statements import rows_of

if TYPE_CHECKING:
    from checks.kinds.balance.check import Balance

_NONE: Built = literal_column("0")


def look(check: "Balance", keys: Keys) -> str:
    """Some groups with their sums on both sides, or all whose sides differ."""
    return fitting(having(keys, check.by), lambda some: render(_sums(check, some)))


def _sums(check: "Balance", keys: Keys) -> Select[Any]:
    entries = union_all(_held(check, keys), _posted(check, keys)).subquery("entries")
    by = [entries.c[name] for name in check.by]
    held, posted = _amounts(check)
    amounts = [name for pair in zip(held, posted, strict=True) for name in pair]
    names = (*amounts, "balance_rows", "ledger_rows")
    shown: list[Built] = [func.sum(entries.c[name]).label(name) for name in names]
    if check.chain:
        shown += (func.sum(entries.c.rows_off).label("rows_off"), _first_break(entries))
    groups = select(*by, *shown).group_by(*by)
    return (groups if keys else groups.having(_wrong(check, entries))).limit(MOST_ROWS)


def _amounts(check: "Balance") -> tuple[list[str], list[str]]:
    """What the sums of each side are called."""
    held = [f"balance_{name}"[:LONGEST_NAME] for name in check.sums]
    return held, [f"ledger_{name}"[:LONGEST_NAME] for name in check.sums.values()]


def _held(check: "Balance", keys: Keys) -> Select[Any]:
    rows = rows_of(check.table, check.needs[check.table]).alias("held")
    by = {name: rows.c[name] for name in check.by}
    held, posted = _amounts(check)
    shown: list[Built] = [
        func.sum(rows.c[n]).label(to) for n, to in zip(check.sums, held, strict=True)
    ]
    shown += (_NONE.label(name) for name in posted)
    shown += (func.count().label("balance_rows"), _NONE.label("ledger_rows"))
    if check.chain:
        shown += (_NONE.label("rows_off"), null().label("first_break"))
    groups: Select[Any] = select(*by.values(), *shown).group_by(*by.values())
    return groups.where(chosen(by, keys)) if keys else groups


def _posted(check: "Balance", keys: Keys) -> Select[Any]:
    rows, ends = _linked(check, keys)
    by = [rows.c[name] for name in check.postings_by]
    held, posted = _amounts(check)
    shown: list[Built] = [_NONE.label(name) for name in held]
    shown += (
        func.sum(rows.c[name]).label(to)
        for name, to in zip(check.sums.values(), posted, strict=True)
    )
    shown += (_NONE.label("balance_rows"), func.count().label("ledger_rows"), *ends)
    named = (each.label(name) for each, name in zip(by, check.by, strict=True))
    return select(*named, *shown).select_from(rows).group_by(*by)


def _linked(check: "Balance", keys: Keys) -> tuple[FromClause, list[Built]]:
    """Ledger rows; of those that chain also how many do not add up, and the first to break it."""
    rows = rows_of(check.ledger, check.needs[check.ledger]).alias("posted")
    by = dict(zip(check.by, (rows.c[name] for name in check.postings_by), strict=True))
    ids, where = rows.c[check.ledger_primary_key], [chosen(by, keys)] if keys else []
    read = dict.fromkeys((ids, *by.values(), *(rows.c[name] for name in check.sums.values())))
    if check.chain is None:
        return (select(*read).where(*where).subquery("some") if keys else rows), []
    before = rows.c[check.chain.before]
    previous = check.chain.previous(rows, list(by.values()), ids).label("previous")
    off = case((check.chain.is_off(rows), 1), else_=0).label("rows_off")
    shown = (*dict.fromkeys((*read, before)), off, previous)
    linked = select(*shown).where(*where).subquery("linked")
    follows_not = check.chain.breaks(linked.c[before.name], linked.c.previous)
    first = func.min(case((or_(linked.c.rows_off == 1, follows_not), linked.c[ids.name])))
    return linked, [func.sum(linked.c.rows_off).label("rows_off"), first.label("first_break")]


def _first_break(entries: Subquery) -> Built:
    return func.min(entries.c.first_break).label("first_break")


def _wrong(check: "Balance", entries: Subquery) -> ColumnElement[bool]:
    def total(name: str) -> Built:
        return func.coalesce(func.sum(entries.c[name]), 0)  # NULL, of rows without an amount, is 0

    pairs = zip(*_amounts(check), strict=True)
    wrong = [total(one) != total(other) for one, other in pairs]
    wrong.append(total("balance_rows") == 0)
    if not check.empty_allowed:
        wrong.append(total("ledger_rows") == 0)
    if check.chain:
        is_single = total("balance_rows") == 1  # of several, the ledger does not say which
        is_broken = func.min(entries.c.first_break).is_not(None)
        wrong += (total("rows_off") > 0, and_(is_single, is_broken))
    return or_(*wrong)
