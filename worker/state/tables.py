"""The tables of the state, and how they are made and copied."""

from enum import StrEnum

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

SCHEMA_VERSION = 1
"""Counted up whenever a table changes; a state of another version is left alone."""


class FindingState(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    RESOLVED = "resolved"


metadata = MetaData()
versions = Table("schema_version", metadata, Column("version", Integer, primary_key=True))
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_name", String(200), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("scope", String(12), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("examined", Integer),
    Column("violations", Integer),
    Column("error", Text),
    Index("runs_of_check", "check_name", "id"),
)
findings = Table(
    "findings",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("check_name", String(200), nullable=False),
    Column("state", String(12), nullable=False),
    Column("key", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("times_seen", Integer, nullable=False),
    Index("findings_of_check", "check_name", "state"),
)

unresolved = findings.c.state != FindingState.RESOLVED


class StateError(Exception):
    """The state cannot be used at all: another version, or not to be reached."""


def prepare(connection: Connection) -> None:
    """Create the tables in an empty database. Raises StateError for a state of another version."""
    metadata.create_all(connection)
    version = connection.scalar(select(versions.c.version))
    if version is None:
        connection.execute(insert(versions).values(version=SCHEMA_VERSION))
    elif version != SCHEMA_VERSION:
        raise StateError(
            f"the state has schema version {version}, this worker knows {SCHEMA_VERSION}"
        )


def copy(source: Connection, target: Connection) -> None:
    """Make the target's runs and findings those of the source."""
    for table in (runs, findings):
        target.execute(delete(table))
        if rows := [dict(row) for row in source.execute(select(table)).mappings()]:
            target.execute(insert(table), rows)
