"""`config check --connect`: what the configuration names, held against the real schema."""

from collections.abc import Iterable, Iterator

from checks import catalog
from worker.config import Config, Problem
from worker.sources import Database, Databases


def compare(config: Config, sources: Databases) -> list[Problem]:
    """Every table and column that the configuration names and the database lacks.

    Raises CheckError when a database cannot be read.
    """
    return [problem for database in sources for problem in _compare(config, database)]


def _compare(config: Config, database: Database) -> Iterator[Problem]:
    with database.snapshot() as connection:
        existing = catalog.objects(connection)
        for place, table, names in _named(config, database.name):
            if table not in existing:
                suggestion = catalog.nearest(table, existing)
                yield Problem(place, f"the database has no table {table}{suggestion}")
                continue
            columns = catalog.columns(connection, table)
            for name in names:
                if name in columns:
                    continue
                suggestion = catalog.nearest(name, columns)
                yield Problem(place, f"table {table} has no column {name}{suggestion}")


def _named(config: Config, database: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    settings = config.settings
    for name, facts in settings.tables.items():
        if (facts.database or settings.main_database) == database and not facts.retired:
            yield f"tables.{name}", name, sorted(facts.names)
    derived = len(config.plan) - len(settings.checks)
    for number, planned in enumerate(config.plan[derived:]):
        if planned.check.database == database:
            for table, names in planned.check.needs.items():
                yield f"checks[{number}]", table, names
