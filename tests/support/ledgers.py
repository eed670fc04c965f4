"""A ledger on MariaDB, MySQL or SQLite: a way to write it, and the worker's way to read it."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pymysql
import pytest
from sqlalchemy import URL

from checks.contract import Check, Result, Scalar
from checks.registry import any_check
from tests.support.servers import Database
from worker.config import DatabaseSettings, load
from worker.sources import Sources

Backend = Literal["mariadb", "mysql", "sqlite"]

on_servers = pytest.mark.parametrize("backend", ["mariadb", "mysql"], indirect=True)
"""For what SQLite does not know: collations, prefix indexes, DECIMAL."""

on_mysql = pytest.mark.parametrize("backend", ["mysql"], indirect=True)
"""For what only Oracle's MySQL knows."""

on_any = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
"""For what a check works out in Python from what it has read: the quickest database will do."""

on_any_server = pytest.mark.parametrize("flavour", ["mariadb"], indirect=True)
"""For what the worker does whatever the server: that which is always there will do."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """One database of one test; what is written is committed at once."""

    backend: Backend
    connection: "pymysql.Connection[pymysql.cursors.Cursor] | sqlite3.Connection"
    sources: Sources
    """The worker's own, in which the database is called `ledger`."""

    @property
    def url(self) -> URL:
        """Of the database on its server, as root."""
        assert isinstance(self.connection, pymysql.Connection)
        host, port = self.connection.host, self.connection.port
        name = os.fsdecode(self.connection.db or "")
        return URL.create("mysql", username="root", host=host, port=port, database=name)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as they stand; return the rows of the last."""
        with closing(self.connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def insert(self, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, each with a value for every one of the comma-separated columns."""
        mark = "?" if self.backend == "sqlite" else "%s"
        marks = ", ".join([mark] * (columns.count(",") + 1))
        with closing(self.connection.cursor()) as cursor:
            statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"
            cursor.executemany(statement, [tuple(row) for row in rows])

    def clear(self) -> None:
        """Drop every table and view."""
        existing = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')"
        if self.backend != "sqlite":
            existing = (
                "SELECT table_name, IF(table_type = 'VIEW', 'VIEW', 'TABLE')"
                " FROM information_schema.tables WHERE table_schema = DATABASE()"
            )
        for name, kind in self.sql(existing):
            mark = '"' if self.backend == "sqlite" else "`"
            self.sql(f"DROP {kind} {mark}{name.replace(mark, mark * 2)}{mark}")

    def run(self, kind: str, table: str, **fields: object) -> Result:
        """Run a check as the configuration would declare it."""
        return check(kind, table, **fields).run(self.sources)


def check(kind: str, table: str, **fields: object) -> Check:
    """A check of one kind, made the way the configuration makes it."""
    return any_check.validate_python({"name": "t", "kind": kind, "table": table, **fields})


def keys(result: Result) -> list[dict[str, Scalar]]:
    """What each finding of a result is identified by."""
    return [dict(finding.key) for finding in result.findings]


def messages(result: Result) -> list[str]:
    """What each finding of a result says."""
    return [finding.message for finding in result.findings]


def sources_of(url: URL) -> Sources:
    """The worker's own way to read a database, which is called `ledger` in it."""
    text = url.render_as_string(hide_password=False)
    # Longer than may be configured: what takes seconds takes minutes on a busy machine.
    patient = {"time_limit": timedelta(minutes=10)}
    return Sources({"ledger": DatabaseSettings(url=text).model_copy(update=patient)})


def ledger_on(database: Database) -> Ledger:
    """A ledger in a database of one of the servers. The caller closes connection and sources."""
    return Ledger(
        backend=database.server.flavour,
        connection=database.connect(),
        sources=sources_of(database.url),
    )


def configured(document: str, folder: Path) -> dict[str, Check]:
    """The checks of a configuration, by name, as the worker makes them; one database, `ledger`."""
    path = folder / "config.toml"
    path.write_text(f'[databases.ledger]\nurl = "mysql://reader@127.0.0.1/ledger"\n{document}')
    return {each.name: each for each in load(path, {}).checks}
