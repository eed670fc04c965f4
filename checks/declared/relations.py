"""The relations that the configuration states: filters of tables, and named SELECTs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.declared.table import RelationFacts, TableFacts
from checks.relations import Counted, Relation, Relations, Selected

DEEPEST = 20
"""Levels of relations that read relations: a server nests no more than some 60 SELECTs."""

LONGEST = 500_000
"""Characters of a SELECT in which those that it reads stand as often as it names them."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a relation beside the others."""

    name: str
    field: tuple[str, ...]
    message: str


def mistakes(
    tables: Mapping[str, TableFacts], selects: Mapping[str, RelationFacts], main_database: str
) -> Iterator[Mistake]:
    """Names that a table has, too; SELECTs that read themselves, too much or another database."""
    for name, facts in selects.items():
        if name in tables:
            yield Mistake(name, (), f"[tables.{name}] states facts of a table of this name")
        for other in facts.select.tables:
            theirs = selects.get(other) or tables.get(other)
            if theirs and (theirs.database or main_database) != (facts.database or main_database):
                yield Mistake(name, ("select",), f"{other} is of database {theirs.database}")
    circles = [*_circles(selects)]
    yield from circles or _overgrown(selects)


def _circles(selects: Mapping[str, RelationFacts]) -> Iterator[Mistake]:
    """SELECTs that read themselves, each with the way back to it."""
    left = {
        name: [each for each in f.select.tables if each in selects] for name, f in selects.items()
    }
    while ready := {name for name, reads in left.items() if not set(reads) & left.keys()}:
        left = {name: reads for name, reads in left.items() if name not in ready}
    for name in left:
        if path := _way_back(name, left):
            yield Mistake(name, ("select",), f"reads itself: {' → '.join(path)}")


def _way_back(name: str, reads: Mapping[str, Sequence[str]]) -> list[str]:
    """The shortest way from a relation to itself; nothing where there is none."""
    came_from: dict[str, str] = {}
    reached = [name]
    for one in reached:
        for other in reads.get(one, ()):
            if other == name:
                path = [one]
                while path[-1] != name:
                    path.append(came_from[path[-1]])
                return [*reversed(path), name]
            if other not in came_from:
                came_from[other] = one
                reached.append(other)
    return []


def _overgrown(selects: Mapping[str, RelationFacts]) -> Iterator[Mistake]:
    """SELECTs that are too deep or too long with all that they read. There are no circles."""
    sizes: dict[str, _Size] = {}
    for name in _in_order(selects):
        select = selects[name].select
        inner = [sizes[each] for each in select.table_names if each in sizes]
        levels = 1 + max((each.levels for each in inner), default=0)
        sizes[name] = _Size(levels, len(select.source) + sum(each.length for each in inner))
        if levels == DEEPEST + 1:
            yield Mistake(
                name, ("select",), f"reads relations of relations: {DEEPEST} levels are the most"
            )
        elif levels <= DEEPEST and sizes[name].length > LONGEST >= max(
            (s.length for s in inner), default=0
        ):
            yield Mistake(
                name,
                ("select",),
                f"has {sizes[name].length} characters with the relations that it reads, each as"
                f" often as it is named: {LONGEST} are the most",
            )


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a SELECT is with the relations that it reads."""

    levels: int
    length: int


def _in_order(selects: Mapping[str, RelationFacts]) -> Iterator[str]:
    """Each relation after those that it reads. There are no circles."""
    left = {name: set(facts.select.tables) & selects.keys() for name, facts in selects.items()}
    while left:
        ready = [name for name, reads in left.items() if not reads & left.keys()]
        yield from ready
        for name in ready:
            del left[name]


def relations(
    tables: Mapping[str, TableFacts],
    selects: Mapping[str, RelationFacts],
    beside: Mapping[str, TableFacts],
) -> Relations:
    """What each name stands for, also those of tables `beside`. There are no circles."""
    found: dict[str, Relation] = {
        name: Counted(name, facts.when)
        for name, facts in {**beside, **tables}.items()
        if facts.when
    }
    for name in _in_order(selects):
        select = selects[name].select
        within = {each: found[each] for each in select.tables if each in found}
        found[name] = Selected(name, select, within)
    return found
