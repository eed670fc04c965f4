"""SQL with which a person looks at the owners of `backing`: an amount beside what holds it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from checks import looking
from checks.looking import Keys, joins, quoted, spelled, statement, where

if TYPE_CHECKING:
    from checks.backing import Backing, Holder

_LONGEST_NAME = 64


def look(check: "Backing", keys: Keys) -> str:
    """Some owners with the sums of both sides, or all whose sides differ."""
    owner = dict(zip((part.source for part in check.by), _owner(check), strict=True))
    joined = {name: f"joined_{number}" for number, name in enumerate(check.joined_by)}
    names = owner | {"held_in": "apart"} | joined
    for shape in (owner, {*owner, "held_in"}, {*owner, *joined}):
        if found := looking.having(keys, shape):
            chosen = {name: column for name, column in names.items() if name in shape}
            return _of_owners(check, names, chosen, found)
    return _sums(check, names, "")


def _of_owners(
    check: "Backing", names: Mapping[str, str], chosen: Mapping[str, str], keys: Keys
) -> str:
    return looking.fitting(
        keys, lambda some: _sums(check, names, where(looking.among(chosen, some)))
    )


def _sums(check: "Backing", names: Mapping[str, str], chosen: str) -> str:
    by, amounts = ", ".join(names.values()), _amounts(check)
    shown = ", ".join(looking.sums(amounts))
    own, *held = (f"SUM(entries.{name})" for name in amounts)
    entries = (_own(check), *(_held(check, each) for each in check.holders))
    return statement(
        f"SELECT {by}, {shown}",
        "FROM (" + "\n  UNION ALL\n  ".join(entries) + ") AS entries",
        chosen,
        f"GROUP BY {by}",
        "" if chosen else f"HAVING {own} <> {' + '.join(held)}",
    )


def _amounts(check: "Backing") -> list[str]:
    """What the sums are called: the amount, and the tables that hold it."""
    names = (check.amount, *(f"in_{table}" for table in check.sides[1:]))
    return [quoted(name[:_LONGEST_NAME]) for name in names]


def _owner(check: "Backing") -> list[str]:
    """What the parts of an owner are called: as the configuration has them, where that goes."""
    return [
        f"owner_{number}" if "`" in source or len(source) > _LONGEST_NAME else f"`{source}`"
        for number, source in enumerate(part.source for part in check.by)
    ]


def _own(check: "Backing") -> str:
    owner = [spelled(part, "own") for part in check.by]
    joined = [quoted(f"own.{name}") for name in check.joined_by]
    amount = quoted(f"own.{check.amount}")
    joining = joins(check.through, "own", "LEFT JOIN")
    source = (f"FROM {quoted(check.table)} AS own", *joining, where(f"{amount} <> 0"))
    return _entry(check, owner, [amount, *"0" * len(check.sides[1:])], joined, source)


def _held(check: "Backing", holder: "Holder") -> str:
    amounts = ["0"] * len(check.sides)
    amounts[check.sides.index(holder.table)] = quoted(holder.amount)
    source = (f"FROM {quoted(holder.table)}", where(spelled(holder.when)))
    nothing = ["NULL"] * len(check.joined_by)
    return _entry(check, list(map(quoted, holder.by)), amounts, nothing, source)


def _entry(
    check: "Backing",
    owner: Sequence[str],
    amounts: Sequence[str],
    joined: Sequence[str],
    source: Sequence[str],
) -> str:
    """Amounts with their owner; `apart` and `joined_n` keep those without one from each other."""
    unknown = " OR ".join(f"{part} IS NULL" for part in owner)
    held_in = next(side for side, amount in zip(check.sides, amounts, strict=True) if amount != "0")
    shown = [
        *(f"{part} AS {name}" for part, name in zip(owner, _owner(check), strict=True)),
        f"IF({unknown}, {looking.constant(held_in)}, NULL) AS apart",
        *(f"IF({unknown}, {each}, NULL) AS joined_{n}" for n, each in enumerate(joined)),
        *(f"{one} AS {name}" for one, name in zip(amounts, _amounts(check), strict=True)),
    ]
    return "\n  ".join((f"SELECT {', '.join(shown)}", *source))
