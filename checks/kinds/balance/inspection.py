"""SQL with which a person looks at the groups of `balance`: what is held beside what is posted."""

from collections.abc import Iterator
from typing import Any

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

from checks.kinds.balance.sides import Built, called, chains
from checks.kinds.balance.statements import Ledger
from checks.sql.inspection import LONGEST_NAME, MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.statements import labelled, numbered

_NONE: Built = literal_column("0")


def look(ledger: Ledger, keys: Keys) -> str:
    """Some groups with their sums on both sides, or all whose sides differ."""
    return fitting(having(keys, ledger.balances.by), lambda some: render(_sums(ledger, some)))


def _sums(ledger: Ledger, keys: Keys) -> Select[Any]:
    entries = union_all(_held(ledger, keys), _posted(ledger, keys)).subquery("entries")
    by = [entries.c[name] for name in ledger.balances.by]
    held, posted = _amounts(ledger)
    amounts = [name for pair in zip(held, posted, strict=True) for name in pair]
    names = (*amounts, "balance_rows", "ledger_rows")
    shown: list[Built] = [func.sum(entries.c[name]).label(name) for name in names]
    if ledger.chain:
        shown += (func.sum(entries.c.rows_off).label("rows_off"), _first_break(entries))
    if ledger.never_negative:
        shown.append(func.min(entries.c.first_below_zero).label("first_below_zero"))
    groups = select(*by, *shown).group_by(*by)
    return (groups if keys else groups.having(_wrong(ledger, entries))).limit(MOST_ROWS)


def _amounts(ledger: Ledger) -> tuple[list[str], list[str]]:
    """What the sums of each side are called."""
    held = [f"balance_{called(name)}"[:LONGEST_NAME] for name in ledger.balances.amounts]
    return held, [f"ledger_{called(name)}"[:LONGEST_NAME] for name in ledger.postings.amounts]


def _held(ledger: Ledger, keys: Keys) -> Select[Any]:
    balances = ledger.balances
    rows = balances.rows(name="held")
    by = {name: rows.c[name] for name in balances.by}
    held, posted = _amounts(ledger)
    shown: list[Built] = [
        func.sum(rows.c[called(n)]).label(to) for n, to in zip(balances.amounts, held, strict=True)
    ]
    shown += (_NONE.label(name) for name in posted)
    shown += (func.count().label("balance_rows"), _NONE.label("ledger_rows"))
    if ledger.chain:
        shown += (_NONE.label("rows_off"), null().label("first_break"))
    if ledger.never_negative:
        shown.append(null().label("first_below_zero"))
    groups: Select[Any] = select(*by.values(), *shown).group_by(*by.values())
    return groups.where(chosen(by, keys)) if keys else groups


def _posted(ledger: Ledger, keys: Keys) -> Select[Any]:
    rows, ends = _linked(ledger, keys)
    by = [rows.c[name] for name in ledger.postings.by]
    held, posted = _amounts(ledger)
    shown: list[Built] = [_NONE.label(name) for name in held]
    shown += (
        func.sum(rows.c[called(name)]).label(to)
        for name, to in zip(ledger.postings.amounts, posted, strict=True)
    )
    shown += (_NONE.label("balance_rows"), func.count().label("ledger_rows"), *ends)
    named = (each.label(name) for each, name in zip(by, ledger.balances.by, strict=True))
    return select(*named, *shown).select_from(rows).group_by(*by)


def _linked(ledger: Ledger, keys: Keys) -> tuple[FromClause, list[Built]]:
    """Ledger rows; of those that chain also how many do not add up, and the first to break it.

    And the first after which a sum was below zero, where that is asked.
    """
    postings, chain = ledger.postings, ledger.chain
    rows = ledger.chained_rows("posted")
    by = dict(zip(ledger.balances.by, (rows.c[name] for name in postings.by), strict=True))
    ids, where = rows.c[postings.order], [chosen(by, keys)] if keys else []
    amounts = (rows.c[called(name)] for name in postings.amounts)
    shown: list[Built] = [*dict.fromkeys((ids, *by.values(), *amounts))]
    if chain is None and not ledger.never_negative:
        return (select(*shown).where(*where).subquery("some") if keys else rows), []
    groups = list(by.values())
    if chain:
        shown += dict.fromkeys((rows.c[called(chain.before)],))
        shown.append(case((chain.is_off(rows), 1), else_=0).label("rows_off"))
        shown.append(chain.previous(rows, groups, ids).label("previous"))
        if ledger.chain_when:
            shown.append(case((chains(rows), 1), else_=0).label("chains"))
    if ledger.never_negative:
        shown += labelled("after", postings.running(rows, groups, ids))
    linked = select(*dict.fromkeys(shown)).where(*where).subquery("linked")
    return linked, [*_breaks(ledger, linked), *_sunk(ledger, linked)]


def _breaks(ledger: Ledger, linked: Subquery) -> Iterator[Built]:
    if chain := ledger.chain:
        before, ids = linked.c[called(chain.before)], linked.c[ledger.postings.order]
        follows_not = chain.breaks(before, linked.c.previous)
        if ledger.chain_when:
            follows_not = and_(follows_not, linked.c.chains == 1)
        first = func.min(case((or_(linked.c.rows_off == 1, follows_not), ids)))
        yield func.sum(linked.c.rows_off).label("rows_off")
        yield first.label("first_break")


def _sunk(ledger: Ledger, linked: Subquery) -> Iterator[Built]:
    if ledger.never_negative:
        below = or_(*(each < 0 for each in numbered(linked, "after")))
        ids = linked.c[ledger.postings.order]
        yield func.min(case((below, ids))).label("first_below_zero")


def _first_break(entries: Subquery) -> Built:
    return func.min(entries.c.first_break).label("first_break")


def _wrong(ledger: Ledger, entries: Subquery) -> ColumnElement[bool]:
    def total(name: str) -> Built:
        return func.coalesce(func.sum(entries.c[name]), 0)  # NULL, of rows without an amount, is 0

    pairs = zip(*_amounts(ledger), strict=True)
    wrong = [total(one) != total(other) for one, other in pairs]
    wrong.append(total("balance_rows") == 0)
    if not ledger.empty_allowed:
        wrong.append(total("ledger_rows") == 0)
    if ledger.chain:
        is_single = total("balance_rows") == 1  # of several, the ledger does not say which
        is_broken = func.min(entries.c.first_break).is_not(None)
        wrong += (total("rows_off") > 0, and_(is_single, is_broken))
    if ledger.never_negative:
        wrong.append(func.min(entries.c.first_below_zero).is_not(None))
    return or_(*wrong)
