"""`config check --connect`: what the configuration names, compared with the real schema."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from checks.contract import Check, CheckError
from checks.declared.table import RelationFacts, RowFacts
from checks.relations import Relation, Relations
from checks.snapshot import WITHOUT_SNAPSHOT
from checks.sql import catalog, derived, timestamps
from checks.sql.names import Names
from checks.sql.statements import rows_of
from checks.types import EveryColumn, key_columns
from checks.watermark import cursor_complaints
from worker.cli.identity import Identity, identity
from worker.config import Config, Problem, place_of, tenants
from worker.sources import Database, Sources


def compare(config: Config, sources: Sources) -> list[Problem]:
    """What the configuration names and a database lacks, and what in it fits no check.

    Raises CheckError when a database cannot be read.
    """
    return [problem for database in sources.databases for problem in _compare(config, database)]


def _compare(config: Config, database: Database) -> Iterator[Problem]:
    facts = [each for each in tenants.stated(config.settings) if each.database == database.name]
    known = tenants.relations_of(config.settings, database.name)
    with database.snapshot() as connection:
        schema = _Schema(connection)
        for each in facts:
            yield from _of_facts(each, schema, known)
        yield from _keyless(config, database.name, schema)
        yield from _spelled_twice(config, facts, schema)
        for place, check in _placed(config):
            if check.database == database.name:
                yield from _problems_of(check, place, schema)


def _keyless(config: Config, database: str, schema: "_Schema") -> Iterator[Problem]:
    """The facts of tables in which nothing names a row, though a check that follows needs it."""
    found: dict[str, str] = {}
    for planned in config.plan:
        check, origin = planned.check, planned.origin
        is_of_facts = origin.section in ("tables", "relations") and check.source_name == database
        if is_of_facts and not any(schema.missing("", check.table, ())):
            try:
                check.taken(schema.connection)
            except CheckError as error:
                found[f"{origin}.primary_key"] = str(error)
    yield from (Problem(place, message) for place, message in found.items())


def _spelled_twice(
    config: Config, facts: Iterable[tenants.Stated], schema: "_Schema"
) -> Iterator[Problem]:
    """Tables of which facts are stated under one spelling, and which checks name by another."""
    if not catalog.folds_tables(schema.connection):
        return
    stated = Names({each.name: each for each in facts})
    for place, check in _placed(config):
        for name in dict.fromkeys((*check.needs, *check.tables)):
            known = stated.get(name)
            if known and known.name != name and check.database == known.database:
                yield Problem(
                    place,
                    f"this server takes {name} for {known.name}, and yet what [{known.section}]"
                    f" states of that does not hold for it: write {known.name}",
                )


def _of_facts(each: tenants.Stated, schema: "_Schema", known: Relations) -> Iterator[Problem]:
    place = each.section, each.entry
    if isinstance(each.facts, RelationFacts):
        yield from schema.of_relation(each.name, each.facts, known[each.name])
    elif each.facts.is_read:
        yield from schema.missing(place_of(place), each.name, sorted(each.facts.names))
        for field, complaint in schema.complaints(each.name, each.facts):
            yield Problem(place_of((*place, field)), complaint)


def _placed(config: Config) -> Iterator[tuple[str, Check]]:
    """Every check, but for those that follow from facts of tables, and need no more than these."""
    for planned in config.plan:
        match planned.origin.section:
            case "interfaces":  # which state more than the facts of their tables do
                yield f"interfaces {planned.check.name}", planned.check
            case "checks":
                yield f"{planned.origin} {planned.check.name}", planned.check


def _problems_of(check: Check, place: str, schema: "_Schema") -> Iterator[Problem]:
    if schema.refused & check.needs.keys():
        return
    missing = [
        problem
        for table, names in check.needs.items()
        for problem in schema.missing(place, table, names)
    ]
    yield from missing
    if not missing:
        try:
            completed = check.completed(schema.connection)
        except CheckError as error:
            yield Problem(place, str(error))
            return
        try:
            yield from (Problem(place, each) for each in completed.complaints(schema.connection))
        except CheckError as error:
            yield Problem(place, str(error))


def remarks(config: Config, sources: Sources) -> list[Problem]:
    """What is no mistake, and yet worth knowing: what the schema cannot say.

    Raises CheckError when a database cannot be read.
    """
    return [each for database in sources.databases for each in _remarks(config, database)]


def _remarks(config: Config, database: Database) -> Iterator[Problem]:
    facts = [each for each in tenants.stated(config.settings) if each.database == database.name]
    known = tenants.relations_of(config.settings, database.name)
    with database.snapshot() as connection:
        schema = _Schema(connection)
        for each in facts:
            if isinstance(each.facts, RelationFacts):
                yield from schema.remark_on(each.name, each.facts, known[each.name])
                continue
            for field, remark in schema.remarks(each.name, each.facts):
                yield Problem(place_of((each.section, each.entry, field)), remark)
        for place, check in _placed(config):
            if check.database == database.name and not any(_problems_of(check, place, schema)):
                suspicions = check.completed(connection).suspicions(connection)
                yield from (Problem(place, each) for each in suspicions)
        for table, said in _taken(config, database.name, connection).items():
            yield Problem(table, f"taken from the catalog: {', '.join(said)}")


def _taken(config: Config, database: str, connection: Connection) -> dict[str, dict[str, None]]:
    """What checks take from the catalog, by table: nobody states it."""
    found: dict[str, dict[str, None]] = {}
    for check in (each for each in config.checks if each.source_name == database):
        try:
            taken = check.taken(connection)
        except CheckError:
            continue  # which is a problem
        for naming, prefix in {"table": "", **check.beside}.items():
            for fact in ("primary_key", "cursor", "written_at"):
                if value := taken.get(f"{prefix}{fact}"):
                    columns = ", ".join(key_columns(value))
                    if isinstance(value, EveryColumn):
                        columns += " (all columns: equal rows are one)"
                    found.setdefault(getattr(check, naming), {})[f"{fact} {columns}"] = None
    return found


class _Schema:
    """The tables and columns of one database."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._types: dict[str, str | None] = {}
        self.refused: set[str] = set()
        """Relations that cannot be read, which is told of once."""

    def of_relation(self, name: str, facts: RelationFacts, known: Relation) -> Iterator[Problem]:
        """What keeps a relation from being read; else its rows are known from now on."""
        try:
            known.verify(self.connection)
        except CheckError as error:
            self.refused.add(name)
            yield Problem(place_of(("relations", name, "select")), str(error))
            return
        self._types[name] = "RELATION"
        for field, complaint in self.complaints(name, facts):
            yield Problem(place_of(("relations", name, field)), complaint)

    def _type_of(self, table: str) -> str | None:
        if table not in self._types:
            self._types[table] = catalog.objects(self.connection, table).get(table)
        return self._types[table]

    def missing(self, place: str, table: str, names: Iterable[str]) -> Iterator[Problem]:
        """A problem for the table if it is not there, or for each column that is not."""
        if self._type_of(table) is None:
            suggestion = catalog.nearest(table, catalog.objects(self.connection, table))
            yield Problem(place, f"the database has no table {table}{suggestion}")
            return
        found = catalog.columns(self.connection, table)
        for name in names:
            if name not in found:
                suggestion = catalog.nearest(name, found)
                yield Problem(place, f"table {table} has no column {name}{suggestion}")

    def complaints(self, table: str, facts: RowFacts) -> Iterator[tuple[str, str]]:
        """What does not fit the facts of a table, each with the field that says it."""
        connection = self.connection
        found = catalog.columns(connection, table)
        identity = self._identity(table, facts)
        if identity and identity.complaint:
            yield "primary_key", identity.complaint
        if facts.cursor:
            yield from (("cursor", c) for c in cursor_complaints(connection, table, facts.cursor))
            if facts.cursor in found and catalog.is_view(connection, table):
                values = rows_of(table, (facts.cursor,)).c[facts.cursor]
                yield from (("cursor", c) for c in derived.complaints(connection, values))
        times = {"written_at": facts.written_at, "changed_at": facts.changed_at}
        for field, time in times.items():
            why = time and time in found and timestamps.complaint(found[time], time)
            yield from ((field, f"{time} {each}") for each in filter(None, (why,)))
        if facts.pending:
            yield from (("pending", c) for c in facts.pending.complaints(connection, table))

    def remarks(self, table: str, facts: RowFacts) -> Iterator[tuple[str, str]]:
        """What the schema cannot prove of the facts of a table, each with the field of it."""
        identity = self._identity(table, facts)
        if identity and identity.remark:
            yield "primary_key", identity.remark
        engine = catalog.engine(self.connection, table)
        if not catalog.keeps_snapshots(engine):
            yield "engine", f"is {engine}, {WITHOUT_SNAPSHOT}"

    def remark_on(self, name: str, facts: RelationFacts, known: Relation) -> Iterator[Problem]:
        """How the server goes about a relation that it can read."""
        try:
            known.verify(self.connection)
        except CheckError:
            self.refused.add(name)
            return  # a mistake, and told as one
        for table in known.tables:
            engine = catalog.engine(self.connection, table)
            if not catalog.keeps_snapshots(engine):
                yield Problem(
                    place_of(("relations", name)), f"{table} is {engine}, {WITHOUT_SNAPSHOT}"
                )
        followed = facts.cursor or facts.select.columns[0]
        values = known.rows((followed,)).c[followed]
        if found := derived.manner(self.connection, values, follows=facts.cursor is not None):
            yield Problem(place_of(("relations", name)), str(found))

    def _identity(self, table: str, facts: RowFacts) -> Identity | None:
        """Whether the primary key names one row; None where there is nothing to say."""
        if self._type_of(table) in (None, "VIEW", "RELATION"):
            return None
        return identity(self.connection, table, facts.key_columns)
