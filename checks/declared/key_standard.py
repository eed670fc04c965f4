"""The key standard as a whole: mistakes between interfaces, and the checks that follow of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.contract import Check
from checks.declared.table import TableFacts
from checks.keys.interfaces import Interface
from checks.keys.pattern import KeyPattern
from checks.registry import any_check
from checks.sql.catalog import nearest
from checks.types import check_name


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the interfaces, beyond what each of them says for itself."""

    number: int
    field: str
    message: str


def mistakes(
    interfaces: Sequence[Interface], tables: Mapping[str, TableFacts]
) -> Iterator[Mistake]:
    """Interfaces that nothing tells apart, tables that are not declared, rules at odds."""
    first: dict[object, int] = {}
    for number, each in enumerate(interfaces):
        other = first.setdefault(each.shape, number)
        if other != number:
            same = f"interfaces[{other}], {interfaces[other].name}"
            yield Mistake(number, "route", f"takes the same requests as {same}")
        if each.table is None:
            continue
        facts = tables.get(each.table)
        if facts is None or facts.retired:
            why = "is retired" if facts else f"is not among [tables]{nearest(each.table, tables)}"
            yield Mistake(number, "table", f"{each.table} {why}")
        elif each.format and each.since and facts.written_at is None:
            yield Mistake(number, "since", f"needs tables.{each.table}.written_at")
        other = first.setdefault((each.table, each.column), number)
        yield from _at_odds(number, each, other, interfaces[other])


def _at_odds(number: int, one: Interface, place: int, other: Interface) -> Iterator[Mistake]:
    for field, mine, theirs in (
        ("when", one.when and one.when.source, other.when and other.when.source),
        ("since", one.since, other.since),
    ):
        if mine != theirs:
            yield Mistake(
                number,
                field,
                f"is not that of interfaces[{place}], which also writes {one.table}.{one.column}:"
                " leave format out, and declare a check of kind key_format for each",
            )


@dataclass(frozen=True, slots=True)
class Place:
    """A database in which the facts of a table hold."""

    database: str
    name: str
    """What the table is called there."""
    prefix: str | None
    """What the names of its checks begin with."""


def key_checks(
    interfaces: Iterable[Interface],
    tables: Mapping[str, TableFacts],
    places: Mapping[str, Sequence[Place]],
) -> Iterator[tuple[int, Check]]:
    """The checks that follow, each with the first interface of which it does.

    One for each key column into which only interfaces with a `format` write, in each of the
    databases for which facts of the table are stated.
    """
    writers: dict[tuple[str, str], list[tuple[int, Interface]]] = {}
    for number, each in enumerate(interfaces):
        if each.table:
            writers.setdefault((each.table, each.column), []).append((number, each))
    for (table, column), found in writers.items():
        facts, rules = tables.get(table), [each.format for _, each in found if each.format]
        if facts is None or facts.retired or len(rules) < len(found):
            continue
        number, one = found[0]
        fields: dict[str, Any] = {
            "kind": "key_format",
            "primary_key": facts.primary_key,
            "column": column,
            "patterns": _each_once(rules),
            "when": one.when.source if one.when else None,
            "cursor": facts.cursor,
            "written_at": facts.written_at,
            "since": one.since or facts.since,
        }
        for place in places.get(table, ()):
            called = ".".join(filter(None, (place.prefix, place.name)))
            own = {
                "name": check_name(*called.split("."), "key_format", column),
                "database": place.database,
                "table": place.name,
            }
            yield number, any_check.validate_python(fields | own)


def _each_once(rules: Iterable[Sequence[KeyPattern]]) -> tuple[KeyPattern, ...]:
    return tuple(dict.fromkeys(pattern for rule in rules for pattern in rule))
