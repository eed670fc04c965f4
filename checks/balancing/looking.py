"""SQL with which a person looks at the groups of `balance`: what is held beside what is posted."""

from typing import TYPE_CHECKING

from checks import looking
from checks.balancing.chain import Chain
from checks.looking import Keys, listed, quoted, statement, where

if TYPE_CHECKING:
    from checks.balance import Balance

_LONGEST_NAME = 64


def look(check: "Balance", keys: Keys) -> str:
    """Some groups with their sums on both sides, or all whose sides differ."""
    return looking.fitting(looking.having(keys, check.by), lambda some: _sums(check, some))


def _sums(check: "Balance", keys: Keys) -> str:
    by = listed(check.by)
    held, posted = _amounts(check)
    amounts = [name for pair in zip(held, posted, strict=True) for name in pair]
    shown = [by, *looking.sums((*amounts, "balance_rows", "ledger_rows"))]
    if check.chain:
        shown.append("MIN(entries.first_break) AS first_break")
    return statement(
        f"SELECT {', '.join(shown)}",
        f"FROM ({_held(check, keys)}",
        "  UNION ALL",
        f"  {_posted(check, keys)}) AS entries",
        f"GROUP BY {by}",
        "" if keys else f"HAVING {_wrong(check, held, posted)}",
    )


def _amounts(check: "Balance") -> tuple[list[str], list[str]]:
    """What the sums of each side are called."""
    held = [quoted(f"balance_{name}"[:_LONGEST_NAME]) for name in check.sums]
    return held, [quoted(f"ledger_{name}"[:_LONGEST_NAME]) for name in check.sums.values()]


def _held(check: "Balance", keys: Keys) -> str:
    held, posted = _amounts(check)
    amounts = [
        *(f"SUM({quoted(name)}) AS {alias}" for name, alias in zip(check.sums, held, strict=True)),
        *(f"0 AS {alias}" for alias in posted),
    ]
    ends = ["COUNT(*) AS balance_rows", "0 AS ledger_rows"]
    if check.chain:
        ends.append("NULL AS first_break")
    by = listed(check.by)
    chosen = where(looking.among({n: quoted(n) for n in check.by}, keys)) if keys else ""
    said = (f"SELECT {', '.join((by, *amounts, *ends))}", f"FROM {quoted(check.table)}", chosen)
    return "\n  ".join((*filter(None, said), f"GROUP BY {by}"))


def _posted(check: "Balance", keys: Keys) -> str:
    held, posted = _amounts(check)
    own = check.postings_by
    sums = zip(check.sums.values(), posted, strict=True)
    amounts = [
        *(f"0 AS {alias}" for alias in held),
        *(f"SUM({quoted(name)}) AS {alias}" for name, alias in sums),
    ]
    ends = ["0 AS balance_rows", "COUNT(*) AS ledger_rows"]
    names = dict(zip(check.by, map(quoted, own), strict=True))
    chosen = where(looking.among(names, keys)) if keys else ""
    source = quoted(check.ledger)
    if check.chain:
        ends.append(f"MIN(IF({_breaks(check.chain)}, {quoted(check.ledger_primary_key)}, NULL))")
        before = f"LAG({quoted(check.chain.after)}) OVER (PARTITION BY {listed(own)}"
        previous = f"{before} ORDER BY {quoted(check.ledger_primary_key)}) AS previous"
        inside = " ".join(filter(None, (f"SELECT *, {previous}", f"FROM {source}", chosen)))
        source = f"({inside}) AS linked"
        chosen = ""
    said = (f"SELECT {', '.join((listed(own), *amounts, *ends))}", f"FROM {source}", chosen)
    return "\n  ".join((*filter(None, said), f"GROUP BY {listed(own)}"))


def _breaks(chain: Chain) -> str:
    """Whether a ledger row does not add up in itself, or does not follow on the one before it."""
    before, change, after = map(quoted, (chain.before, chain.change, chain.after))
    adds_up = f"{after} = CAST({before} AS DECIMAL(65)) + {change}"
    return f"({adds_up}) IS NOT TRUE OR {before} <> COALESCE(previous, 0)"


def _wrong(check: "Balance", held: list[str], posted: list[str]) -> str:
    pairs = zip(held, posted, strict=True)
    # NULL, of rows without an amount, is 0.
    sums = [[f"COALESCE(SUM(entries.{name}), 0)" for name in pair] for pair in pairs]
    wrong = [*map(" <> ".join, sums), "SUM(entries.balance_rows) = 0"]
    if not check.empty_allowed:
        wrong.append("SUM(entries.ledger_rows) = 0")
    if check.chain:
        single = "SUM(entries.balance_rows) = 1"  # of several, the ledger does not say which
        wrong.append(f"(MIN(entries.first_break) IS NOT NULL AND {single})")
    return "\n  OR ".join(wrong)
