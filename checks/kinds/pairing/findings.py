"""What a finding of `reference` or `posting` tells: the values of both sides that differ."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from sqlalchemy import ColumnClause, FromClause, RowMapping, func, select

from checks.contract import Evidence, Finding, Scalar
from checks.kinds.pairing.plan import Built, Key, Moment
from checks.kinds.pairing.statements import joined_far, named, same, wanted
from checks.sql.catalog import Column
from checks.sql.functions import abridged, shown
from checks.sql.joins import Lookup
from checks.sql.statements import among, labelled, numbered
from checks.sql.values import scalar

if TYPE_CHECKING:
    from checks.kinds.pairing.check import Pairing


def near_findings(check: "Pairing", moment: Moment, keys: Sequence[Key]) -> list[Finding]:
    """A finding for each of these near rows or groups, which have no right far row."""
    near = check.near(moment, lambda rows: among(check.key_columns(rows), keys))
    _, source, column = joined_far(check, outer=True)
    far_key, is_wanted = column(check.far.primary_key), func.coalesce(wanted(check, column), False)
    statement = (
        select(
            *_shown_near(check, moment, near),
            far_key.label("far_key"),
            is_wanted.label("wanted"),
            *labelled("far", _shown_far(check, moment, column)),
            *labelled("same", same(check, near, column)),
        )
        .select_from(near.join(source, named(check, near, column), isouter=True))
        .order_by(*numbered(near, "key"), is_wanted.desc(), far_key)
    )
    rows = moment.connection.execute(statement).mappings()
    return [_near_finding(check, moment, row) for row in _first_of_each_key(rows)]


def far_findings(check: "Pairing", moment: Moment, keys: Sequence[Key]) -> list[Finding]:
    """A finding for each of these far rows, which no near row names as it should."""
    far, source, column = joined_far(check, outer=True)
    near = check.near_rows().alias("near")
    key, near_key = column(check.far.primary_key), near.c[check.primary_key]
    statement = (
        select(
            key.label("key_0"),
            near_key.label("near_key"),
            *labelled("name", _shown_names(check, moment, column)),
            *labelled("far", _shown_far(check, moment, column)),
        )
        .select_from(source.join(near, check.named_by(far, near, moment.found), isouter=True))
        .where(among([key], keys))
        .order_by(key, near_key)
    )
    rows = moment.connection.execute(statement).mappings()
    return [_far_finding(check, row) for row in _first_of_each_key(rows)]


def _shown_near(check: "Pairing", moment: Moment, near: FromClause) -> list[Built]:
    """The near columns, long texts cut, and how long a derived key is as a whole."""
    found = moment.found[check.table]
    names = numbered(near, "name")
    long_names = [
        found[each.name].is_long if isinstance(each, ColumnClause) else True  # a derived key
        for each in check.keys(check.near_rows())
    ]
    columns = [
        *numbered(near, "key"),
        *labelled("name", _cut(names, long_names)),
        *labelled("length", [func.char_length(each) for each in names]),
    ]
    for name in ("value", "also"):
        ends = numbered(near, name)
        # Sums come after what is compared as it is.
        long = [each.may_be_long(found.__getitem__) for each in check.equal][: len(ends)]
        columns += labelled(name, _cut(ends, long))
    return columns


def _cut(values: Sequence[Built], may_be_long: Sequence[bool]) -> list[Built]:
    return [
        abridged(value) if is_long else value for value, is_long in zip_longest(values, may_be_long)
    ]


def _shown_far(check: "Pairing", moment: Moment, column: Lookup) -> list[Built]:
    """The far ends of what is compared, long texts cut."""

    def described(name: str) -> Column:
        table, _, own = name.rpartition(".")
        return moment.found[table or check.far.table][own]

    values = [each.over(column) for each in check.far_values]
    return _cut(values, [each.may_be_long(described) for each in check.far_values])


def _shown_names(check: "Pairing", moment: Moment, column: Lookup) -> list[Built]:
    """The columns by which a far row is named, long texts cut."""
    found = moment.found[check.far.table]
    return [shown(column(name), found[name]) for name in check.far.key]


def _near_finding(check: "Pairing", moment: Moment, row: RowMapping) -> Finding:
    problem, message = check.problem(row, moment.found)
    evidence: dict[str, Evidence] = {"problem": problem, **_far_key(check, row)}
    is_there = row["far_key"] is not None
    if is_there:
        evidence[check.far_key_name] = scalar(row["far_key"])
        if not row["wanted"] and check.far.when:
            evidence[f"{check.far.role} not true"] = check.far.when.source
    off = 0
    aspects = [f"{check.far_key_name} {evidence.get(check.far_key_name)}"]
    pairs = zip(check.near_values, check.far_values, strict=True)
    for number, (mine, other) in enumerate(pairs):
        if row[f"same_{number}"]:
            continue
        ours, theirs = _ours(row, number), scalar(row[f"far_{number}"])
        evidence[mine] = ours
        if is_there:
            evidence[f"{check.far.role} {other.source}"] = theirs
        if not other.is_qualified:  # an owner's number is no amount
            off += _distance(ours, theirs)
        aspects.append(f"{mine} {_relation(ours, theirs)} {other.source}")
    key = (scalar(value) for value in _key_of(row))
    named_by = dict(zip(check.key_names, key, strict=True))
    return Finding(named_by, message, evidence, max(1, off), tuple(aspects))


def _far_finding(check: "Pairing", row: RowMapping) -> Finding:
    problem, message = check.reverse_problem(is_named=row["near_key"] is not None)
    evidence: dict[str, Evidence] = {"problem": problem, **_far_key(check, row)}
    if row["near_key"] is not None:
        evidence[check.primary_key] = scalar(row["near_key"])
    size = 0
    for number, other in enumerate(check.far_values):
        value = evidence[f"{check.far.role} {other.source}"] = scalar(row[f"far_{number}"])
        if not other.is_qualified:
            size += _distance(value, None)
    return Finding({check.far_key_name: scalar(row["key_0"])}, message, evidence, max(1, size))


def _far_key(check: "Pairing", row: RowMapping) -> dict[str, Scalar]:
    return {
        f"{check.far.role} {name}": scalar(row[f"name_{number}"])
        for number, name in enumerate(check.far.key)
    }


def _first_of_each_key(rows: Iterable[RowMapping]) -> list[RowMapping]:
    """Of the several far rows that a key may have, the first, which is as wanted if one is."""
    first: dict[tuple[object, ...], RowMapping] = {}
    for row in rows:
        first.setdefault(_key_of(row), row)
    return list(first.values())


def _key_of(row: RowMapping) -> tuple[object, ...]:
    return tuple(value for name, value in row.items() if str(name).startswith("key_"))


def _ours(row: RowMapping, number: int) -> Scalar:
    """The near value; of a group whose values differ, one that is not the far one."""
    least, most = row[f"value_{number}"], row.get(f"also_{number}", row[f"value_{number}"])
    return scalar(most if least == row[f"far_{number}"] else least)


def _relation(one: Scalar, other: Scalar) -> str:
    if isinstance(one, int) and isinstance(other, int):
        return "<" if one < other else ">"
    return "<>"


def _distance(one: Scalar, other: Scalar) -> int:
    """By how much two amounts differ; an amount alone is off by itself, anything else by 0."""
    whole = [value for value in (one, other) if isinstance(value, int)]
    return abs(whole[0] - sum(whole[1:])) if whole else 0
