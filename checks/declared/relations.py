"""The relations that the configuration states: filters of tables, and named SELECTs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.declared.table import RelationFacts, TableFacts
from checks.relations import Counted, Relation, Relations, Selected


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a relation beside the others."""

    name: str
    field: tuple[str, ...]
    message: str


def mistakes(
    tables: Mapping[str, TableFacts], selects: Mapping[str, RelationFacts], main_database: str
) -> Iterator[Mistake]:
    """Names that a table has, too; SELECTs that read themselves, or another database."""
    for name, facts in selects.items():
        if name in tables:
            yield Mistake(name, (), f"[tables.{name}] states facts of a table of this name")
        if circle := _circle(name, selects, ()):
            yield Mistake(name, ("select",), f"reads itself: {' → '.join(circle)}")
        for other in facts.select.tables:
            theirs = selects.get(other) or tables.get(other)
            if theirs and (theirs.database or main_database) != (facts.database or main_database):
                yield Mistake(name, ("select",), f"{other} is of database {theirs.database}")


def _circle(
    name: str, selects: Mapping[str, RelationFacts], before: Sequence[str]
) -> tuple[str, ...]:
    path = (*before, name)
    if name in before:
        return path
    reads = selects[name].select.tables if name in selects else ()
    return next(filter(None, (_circle(each, selects, path) for each in reads)), ())


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
    left = dict(selects)
    while left:
        ready = [n for n, facts in left.items() if not left.keys() & set(facts.select.tables)]
        for name in ready:
            select = left.pop(name).select
            within = {each: found[each] for each in select.tables if each in found}
            found[name] = Selected(name, select, within)
    return found
