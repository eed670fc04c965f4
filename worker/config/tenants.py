"""What is stated once for several databases, and names that say of which database a table is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from checks.contract import Check
from checks.declared.key_standard import Place
from checks.declared.relations import relations
from checks.declared.table import RelationFacts, RowFacts, TableFacts
from checks.relations import Relations
from checks.sql.catalog import nearest
from checks.types import split_name
from worker.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Stated:
    """Facts of a table or a relation in one database."""

    section: Literal["tables", "relations"]
    entry: str
    """What it is called in the file."""
    name: str
    """What it is called in the database."""
    database: str
    facts: RowFacts
    prefix: str | None = None
    """What the names of its checks begin with, so that they are not those of another database."""


def stated(settings: Settings) -> Iterator[Stated]:
    """The facts of each table and relation, once for each database."""
    for entry, table in settings.tables.items():
        database, name = split_name(entry)
        if database in settings.databases:
            yield Stated("tables", entry, name, str(database), table, database)
        else:
            yield from _stated("tables", entry, table, settings)
    for entry, relation in settings.relations.items():
        yield from _stated("relations", entry, relation, settings)


def _stated(
    section: Literal["tables", "relations"], entry: str, facts: RowFacts, settings: Settings
) -> Iterator[Stated]:
    main = settings.main_database
    if not facts.databases:
        yield Stated(section, entry, entry, facts.database or main, facts)
    for name in matching(facts.databases, settings):
        prefix = None if name == main else name
        yield Stated(section, entry, entry, name, facts, prefix)


def matching(patterns: Iterable[str], settings: Settings) -> list[str]:
    """The databases whose names one of the patterns matches, in the order of the file."""
    wanted = tuple(patterns)
    return [name for name in settings.databases if any(fnmatchcase(name, w) for w in wanted)]


def mistakes(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit together, each with its place."""
    first: dict[tuple[str, str], Stated] = {}
    for each in stated(settings):
        before = first.setdefault((each.database, each.name), each)
        if before is not each and before.section == each.section:
            message = f"{before.entry} states facts of {each.name} of {each.database}, too"
            yield (each.section, each.entry), message
        if each.facts.database not in (None, each.database):
            message = f"the name says that the database is {each.database}"
            yield (each.section, each.entry, "database"), message
    for section, facts in (("tables", settings.tables), ("relations", settings.relations)):
        for entry, each_facts in facts.items():
            for pattern in each_facts.databases:
                if not matching((pattern,), settings):
                    near = nearest(pattern, settings.databases)
                    yield (section, entry, "databases"), f"no database is named {pattern}{near}"


def facts_of(
    settings: Settings, database: str
) -> tuple[Mapping[str, TableFacts], Mapping[str, RelationFacts]]:
    """The facts of the tables, and of the relations, of a database by their names in it."""
    found = [each for each in stated(settings) if each.database == database]
    tables = {each.name: each.facts for each in found if isinstance(each.facts, TableFacts)}
    selects = {each.name: each.facts for each in found if isinstance(each.facts, RelationFacts)}
    return tables, selects


def places(settings: Settings) -> Mapping[str, Sequence[Place]]:
    """The databases in which the facts of each table hold, by what it is called in the file."""
    found: dict[str, list[Place]] = {}
    for each in stated(settings):
        if each.section == "tables":
            found.setdefault(each.entry, []).append(Place(each.database, each.name, each.prefix))
    return found


def relations_of(settings: Settings, database: str) -> Relations:
    """What names stand for in the statements of a database. Its relations have no mistakes."""
    return relations(*facts_of(settings, database), _beside(settings, database))


def _beside(settings: Settings, database: str) -> Mapping[str, TableFacts]:
    """The facts of the tables of all databases on its server, as `schema.table`.

    So statements call the tables of other databases; see `in_its_database`.
    """
    found = {}
    for each in stated(settings):
        if isinstance(each.facts, TableFacts) and (
            schema := _schema(settings, each.database, database)
        ):
            found[f"{schema}.{each.name}"] = each.facts
    return found


def database_of(settings: Settings, table: str) -> str:
    """The database of a check that names none: that of its table's facts, the first if several."""
    found = [each.database for each in stated(settings) if each.name == table]
    main = settings.main_database
    return main if main in found else next(iter(found), main)


def in_its_database(
    given: Mapping[str, Any], kind: type[Check] | None, settings: Settings
) -> dict[str, Any]:
    """The fields of a check, with its tables as its database calls them.

    `second.orders` is the table `orders` of the database `second`, where one is called so: the
    check's own, or one of another schema of the same server. Raises ValueError, with the field.
    """
    found = dict(given)
    database, name = _split(given.get("table"), settings)
    if database:
        found |= {"table": name, "database": given.get("database", database)}
        if found["database"] != database:
            raise ValueError("table", f"is of database {database}, not of {found['database']}")
    found.setdefault("database", database_of(settings, str(found.get("table"))))
    for field in kind.beside if kind else ():
        other, name = _split(given.get(field), settings)
        if other:
            found[field] = _from(str(found["database"]), other, name, field, settings)
    return found


def _split(table: object, settings: Settings) -> tuple[str | None, str]:
    database, name = split_name(table) if isinstance(table, str) else (None, "")
    return (database, name) if database in settings.databases else (None, str(table))


def _from(database: str, other: str, name: str, field: str, settings: Settings) -> str:
    """What a table of one database is called in a statement for another one."""
    if other == database or database not in settings.databases:
        return name
    schema = _schema(settings, other, database)
    if not schema:
        raise ValueError(field, f"{name} is of database {other}, which is on another server")
    if name in facts_of(settings, other)[1]:
        raise ValueError(field, f"{name} is a relation of database {other}: a table is read there")
    return f"{schema}.{name}"


def _schema(settings: Settings, one: str, other: str) -> str | None:
    """What one database is called on the server of another; None where it is not there."""
    if one not in settings.databases or other not in settings.databases:
        return None
    theirs, ours = (settings.databases[each].parsed for each in (one, other))
    place = [(each.get_backend_name(), each.host, each.port or 3306) for each in (theirs, ours)]
    is_there = place[0] == place[1] and theirs.get_backend_name() != "sqlite"
    return theirs.database if is_there else None
