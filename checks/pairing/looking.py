"""SQL with which a person looks at findings of `reference` and `posting`: both sides of each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from checks import looking
from checks.expression import FarExpression
from checks.looking import Keys, among, begun, joins, quoted, spelled, statement, where

if TYPE_CHECKING:
    from checks.pairing.check import Pairing


def look(check: "Pairing", keys: Keys) -> str:
    """The rows of both sides for some findings, or all near and far rows that have no other."""
    if own := looking.having(keys, check.key_names):
        return looking.fitting(own, lambda some: _beside_far(check, some))
    far = {check.far_key_name: quoted(f"{check.far.role}.{check.far.primary_key}")}
    if other := looking.having(keys, far) if check.reverse else ():
        return looking.fitting(other, lambda some: _beside_near(check, far, some))
    shared = check.shared_names()
    if other := looking.having(keys, shared):
        return looking.fitting(other, lambda some: _sharing(check, shared, some))
    return _all(check)


def _beside_far(check: "Pairing", keys: Keys) -> str:
    near, far = check.near_role, check.far.role
    names = {name: quoted(f"{near}.{name}") for name in check.key_names}
    return statement(
        _shown(check, near, far),
        f"FROM {quoted(check.table)} AS {near}",
        f"LEFT JOIN {quoted(check.far.table)} AS {far} ON {check.naming()}",
        *joins(check.through, far, "LEFT JOIN"),
        where(among(names, keys)),
    )


def _beside_near(check: "Pairing", names: dict[str, str], keys: Keys) -> str:
    near, far = check.near_role, check.far.role
    return statement(
        _shown(check, far, near),
        f"FROM {quoted(check.far.table)} AS {far}",
        f"LEFT JOIN {quoted(check.table)} AS {near} ON {check.naming()}",
        *joins(check.through, far, "LEFT JOIN"),
        where(among(names, keys)),
    )


def _sharing(check: "Pairing", names: dict[str, str], keys: Keys) -> str:
    near, far = check.near_role, check.far.role
    return statement(
        f"SELECT {near}.*, {far}.*",
        f"FROM {quoted(check.table)} AS {near}",
        f"LEFT JOIN {quoted(check.far.table)} AS {far} ON {check.naming()}",
        where(among(names, keys, spell=looking.whatever_the_index)),
    )


def _shown(check: "Pairing", one: str, other: str) -> str:
    """All of both sides, and the columns of joined tables that are compared."""
    named = (name for each in check.far_values for name in each.columns if "." in name)
    joined = [f"{quoted(f'far_{name}')} AS `{name}`" for name in dict.fromkeys(named)]
    return f"SELECT {', '.join((f'{one}.*', f'{other}.*', *joined))}"


def _all(check: "Pairing") -> str:
    """Near rows without a right far row; where more is asked, also far rows without a near one."""
    ways = [_without_far(check), *([_without_near(check)] if check.reverse else [])]
    shared = _shared(check)
    if len(ways) == 1 and not shared:
        return statement(*_without_far(check, f"{check.near_role}.*"))
    listings = (f"({statement(*way)})" for way in (*ways, *([shared] if shared else [])))
    return statement("\nUNION ALL\n".join(listings))


def _told(problem: str, columns: Sequence[str]) -> str:
    """A problem and what names the row, as a text, since the ways differ in the type of it."""
    name = f"CONCAT_WS(', ', {', '.join(columns)})" if len(columns) > 1 else columns[0]
    return f"'{problem}' AS problem, CAST({name} AS CHAR) AS id"


def _without_far(check: "Pairing", shown: str = "") -> list[str]:
    near, far = check.near_role, check.far.role
    key = [quoted(f"{near}.{name}") for name in check.key_names]
    own = check.near_side()
    same = [
        f"{spelled(theirs, far)} <=> {end}"
        for theirs, ends in zip(check.far_values, own.ends, strict=True)
        for end in ends
    ]
    right = where(check.naming(), _when(check), *same)
    inside = (
        f"SELECT 1 FROM {quoted(check.far.table)} AS {far}",
        *joins(check.through, far, "JOIN"),
        right,
    )
    return [
        f"SELECT {shown or _told(f'{near} without its {far}', key)}",
        own.source,
        where(*own.conditions, _no(inside)),
    ]


def _without_near(check: "Pairing") -> list[str]:
    near, far = check.near_role, check.far
    key = quoted(f"{far.role}.{far.primary_key}")
    outer = (
        joins(check.through, far.role, "LEFT JOIN") if far.when and far.when.is_qualified else []
    )
    inside = (
        f"SELECT 1 FROM {quoted(check.table)} AS {near}",
        where(check.naming(), check.allowing()),
    )
    return [
        f"SELECT {_told(f'{far.role} without its {near}', [key])}",
        f"FROM {quoted(far.table)} AS {far.role}",
        *outer,
        where(
            _when(check),
            begun(far.written_at, check.since, far.role),
            _no(inside),
        ),
    ]


def _no(parts: Sequence[str]) -> str:
    return "NOT EXISTS (" + "\n".join(filter(None, parts)).replace("\n", "\n    ") + ")"


def _shared(check: "Pairing") -> list[str]:
    near = check.near_role
    columns = list(check.shared_names().values())
    if not columns:
        return []
    filled = (f"{column} IS NOT NULL" for column in columns)
    return [
        f"SELECT {_told(f'{check.far.role} of several', columns)}",
        f"FROM {quoted(check.table)} AS {near}",
        where(*filled, begun(check.written_at, check.since, near)),
        f"GROUP BY {', '.join(columns)}",
        "HAVING COUNT(*) > 1",
    ]


def _when(check: "Pairing") -> str:
    when: FarExpression | None = check.far.when
    return spelled(when, check.far.role) if when else ""
