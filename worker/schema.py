"""`config check --connect`: what the configuration names, held against the real schema."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from checks import catalog
from checks.base import Check
from checks.expression import Expression
from checks.window import cursor_complaints
from worker.config import Config, Problem
from worker.sources import Database, Databases


def compare(config: Config, sources: Databases) -> list[Problem]:
    """What the configuration names and a database lacks, and what in it fits no check.

    Raises CheckError when a database cannot be read.
    """
    return [problem for database in sources for problem in _compare(config, database)]


def _compare(config: Config, database: Database) -> Iterator[Problem]:
    settings = config.settings
    with database.snapshot() as connection:
        schema = _Schema(connection)
        for name, facts in settings.tables.items():
            if (facts.database or settings.main_database) != database.name or facts.retired:
                continue
            place = f"tables.{name}"
            yield from schema.missing(place, name, sorted(facts.names))
            if facts.pending:
                yield from schema.misspelled(f"{place}.pending", name, facts.pending)
            if facts.primary_key:
                yield from schema.nameless(f"{place}.primary_key", name, facts.primary_key)
            if facts.cursor:
                for complaint in cursor_complaints(connection, name, facts.cursor):
                    yield Problem(f"{place}.cursor", complaint)
            written = catalog.columns(connection, name).get(facts.written_at or "")
            if written and not written.is_moment:
                yield Problem(f"{place}.written_at", f"{written.type} tells no time")
        for place, check in _placed(config):
            if check.database == database.name:
                yield from _problems_of(check, place, schema)


def _placed(config: Config) -> Iterator[tuple[str, Check]]:
    """Every check that is declared; those that follow from facts need no more than these."""
    derived = len(config.plan) - len(config.settings.checks)
    for number, planned in enumerate(config.plan[derived:]):
        yield f"checks[{number}] {planned.check.name}", planned.check


def _problems_of(check: Check, place: str, schema: "_Schema") -> Iterator[Problem]:
    missing = [
        problem
        for table, names in check.needs.items()
        for problem in schema.missing(place, table, names)
    ]
    yield from missing
    if not missing:
        yield from (Problem(place, each) for each in check.complaints(schema.connection))
        for table, condition in check.conditions:
            yield from schema.misspelled(place, table, condition)


class _Schema:
    """The tables and columns of one database, each table looked up once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._tables = catalog.objects(connection)
        self._columns: dict[str, dict[str, catalog.Column]] = {}

    def missing(self, place: str, table: str, names: Iterable[str]) -> Iterator[Problem]:
        """A problem for the table if it is not there, or for each column that is not."""
        if table not in self._tables:
            suggestion = catalog.nearest(table, self._tables)
            yield Problem(place, f"the database has no table {table}{suggestion}")
            return
        found = self._columns_of(table)
        for name in names:
            if name not in found:
                suggestion = catalog.nearest(name, found)
                yield Problem(place, f"table {table} has no column {name}{suggestion}")

    def misspelled(self, place: str, table: str, condition: Expression) -> Iterator[Problem]:
        """A problem for each text that an ENUM column never is."""

        def column(name: str) -> catalog.Column | None:
            other, _, own = name.rpartition(".")
            return self._columns_of(other or table).get(own)

        for complaint in condition.misspelled(column):
            yield Problem(place, f"{condition.source!r}: {complaint}")

    def nameless(self, place: str, table: str, primary_key: str) -> Iterator[Problem]:
        """A problem when no unique index says that a primary key names one row."""
        if self._tables.get(table, "VIEW") == "VIEW" or primary_key not in self._columns_of(table):
            return
        indexes = catalog.indexes(self.connection, table)
        if not any(each.proves_unique([primary_key]) for each in indexes):
            complaint = f"{primary_key} has no unique index: one value may name several rows"
            yield Problem(place, complaint)

    def _columns_of(self, table: str) -> dict[str, catalog.Column]:
        if table not in self._columns:
            self._columns[table] = catalog.columns(self.connection, table)
        return self._columns[table]
