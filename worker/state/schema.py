"""The tables of the state: how they are made, brought up to date, written and copied."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
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
    func,
    insert,
    inspect,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.mysql import LONGTEXT

from worker.model.finding import FindingState

SCHEMA_VERSION = 6
"""Counted up whenever a table changes. Earlier ones are brought up to date, later ones refused."""

BATCH = 500
"""Rows named in one statement."""

Row = dict[str, Any]
Rows = Mapping[Table, Mapping[Any, Row]]
"""Whole tables, or what is in them of one check, by primary key."""


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
cursors = Table(  # one row a check: how far it has read, and what outlives its runs
    "cursors",
    metadata,
    Column("check_name", String(200), primary_key=True),
    Column("fingerprint", String(64)),  # of the definition that the cursor belongs to
    Column("cursor", Text().with_variant(LONGTEXT(), "mysql", "mariadb")),
    Column("complete_at", Double),  # end of the latest completed run of each scope
    Column("incremental_at", Double),
    Column("unlisted", Text),  # JSON list: violations beyond the findings, of the latest runs
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
    # Since version 2. Magnitudes are text: they outgrow 64 bits.
    Column("magnitude", Text),
    Column("confirmed_at", Double),
    Column("resolved_at", Double),
    Column("ack_author", String(100)),
    Column("ack_reason", Text),
    Column("acked_at", Double),
    Column("ack_until", Double),
    Column("acked_magnitude", Text),
    Column("aspects", Text),
    Column("acked_aspects", Text),
    Column("decided_at", Double),  # of the latest acknowledging, its withdrawal or its end
    Column("untold", String(32)),  # a decision of another process that the log has not told yet
    Index("findings_of_check", "check_name", "state"),
)
events = Table(
    "finding_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_name", String(200), nullable=False),
    Column("finding_id", String(32), nullable=False),
    Column("at", Double, nullable=False),
    Column("change", String(32), nullable=False),
    Column("author", String(100)),
    Column("detail", Text),
    Index("events_of_finding", "finding_id", "id"),
    Index("events_of_check", "check_name", "id"),
)

alerts = Table(  # one row an alert and Alertmanager: what that one is to know
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("check_name", String(200), nullable=False),
    Column("alertmanager", String(200), nullable=False),
    Column("labels", Text, nullable=False),
    Column("annotations", Text, nullable=False),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double),  # NULL while it fires
    Column("changed_at", Double, nullable=False),
    Column("taken_at", Double),  # when the Alertmanager took this; NULL while it waits
    Column("waits_since", Double),  # since version 6; since when nobody took it, however it changed
    Index("alerts_of_check", "check_name"),
)
untold = Table(  # since version 6; see `worker.state.log_outbox`
    "untold_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", String(32), nullable=False),
    Column("event", Text().with_variant(LONGTEXT(), "mysql", "mariadb"), nullable=False),
    Index("untold_events_by_id", "event_id"),
)
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("value", String(200), nullable=False),
)
leases = Table(  # since version 5; which of several workers acts, see `worker.state.lease`
    "leases",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("token", BigInteger, nullable=False),  # grows with each change of holder
    Column("since", Double, nullable=False),  # all times by the database's clock
    Column("until", Double, nullable=False),
    Column("seconds", Double, nullable=False),  # for how long its holder takes it each time
    Column("place", String(200), nullable=False),  # boot and namespace of the holder's process
)

KEPT = (runs, cursors, findings, events, alerts)
"""Everything that is remembered; each of these tables has a `check_name`."""

unresolved = findings.c.state != FindingState.RESOLVED


class StateError(Exception):
    """The state cannot be used at all: another version, or not to be reached."""


class NoStateError(StateError):
    """There is no state yet."""


def prepare(connection: Connection) -> None:
    """Create the tables, or bring those of an earlier version up to date; every row stays.

    Raises StateError for a state of a later version, which is not touched.
    """
    version = _version(connection)
    if version is not None and version > SCHEMA_VERSION:
        raise StateError(_other_version(version))
    metadata.create_all(connection)
    if version == 1:
        _upgrade_from_1(connection)
    if version is not None and version < 6:  # noqa: PLR2004 - the version that has them
        _add_columns(connection, alerts)
    if version in (1, 2) and connection.dialect.name in ("mysql", "mariadb"):
        # A cursor that holds counts outgrows the 64 KB of a TEXT.
        connection.execute(text("ALTER TABLE cursors MODIFY COLUMN `cursor` LONGTEXT"))
    if version != SCHEMA_VERSION:
        connection.execute(delete(versions))
        connection.execute(insert(versions).values(version=SCHEMA_VERSION))


def require(connection: Connection) -> None:
    """Raise StateError unless there is a state of this version; for whoever only visits."""
    version = _version(connection)
    if version is None:
        raise NoStateError("there is no state yet; the worker makes it")
    if version < SCHEMA_VERSION:
        raise StateError(f"{_other_version(version)}; the worker brings it up to date as it starts")
    if version > SCHEMA_VERSION:
        raise StateError(_other_version(version))


def kept_secret(connection: Connection, name: str, fresh: str) -> str:
    """The secret that is kept under a name; a fresh one becomes it where there is none."""
    kept = connection.scalar(select(secrets.c.value).where(secrets.c.name == name))
    if kept is None:
        connection.execute(insert(secrets).values(name=name, value=fresh))
    return kept or fresh


def put(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write whole rows, in place of those with the same primary key."""
    written = list(rows)
    key = next(iter(table.primary_key.columns))
    remove(connection, table, [row[key.name] for row in written])
    if written:
        connection.execute(insert(table), written)


def remove(connection: Connection, table: Table, keys: Iterable[object]) -> None:
    """Delete the rows with these primary keys."""
    key = next(iter(table.primary_key.columns))
    waiting = iter(keys)
    while batch := list(islice(waiting, BATCH)):
        connection.execute(delete(table).where(key.in_(batch)))


def rows(connection: Connection, check: str | None = None) -> Rows:
    """All that is remembered, or all that is of one check."""
    return {table: by_key(connection, table, check) for table in KEPT}


def adopt(connection: Connection, theirs: Rows, check: str | None = None) -> None:
    """Remember exactly these rows, of all checks or of one, which they must be of."""
    for table, wanted in theirs.items():
        ours = by_key(connection, table, check)
        remove(connection, table, ours.keys() - wanted.keys())
        put(connection, table, (row for key, row in wanted.items() if ours.get(key) != row))


def by_key(connection: Connection, table: Table, check: str | None = None) -> dict[Any, Row]:
    """The rows of a table, or those of one check, in the order of their keys."""
    key = next(iter(table.primary_key.columns)).name
    of_check = table.c.check_name == check if check is not None else true()
    found = connection.execute(select(table).where(of_check).order_by(table.c[key])).mappings()
    return {row[key]: dict(row) for row in found}


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(versions.name):
        return None
    return connection.scalar(select(versions.c.version))


def _other_version(version: int) -> str:
    return f"the state has schema version {version}, this worker knows {SCHEMA_VERSION}"


def _add_columns(connection: Connection, table: Table) -> None:
    """Add what an earlier version of a table lacks; MySQL commits each of them by itself."""
    present = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in present:
            type_name = column.type.compile(connection.dialect)
            statement = f"ALTER TABLE {table.name} ADD COLUMN {column.name} {type_name}"
            connection.execute(text(statement))


def _upgrade_from_1(connection: Connection) -> None:
    """Any step may have been done before: MySQL commits each ALTER TABLE by itself."""
    _add_columns(connection, findings)
    for state, moment, when in (
        (FindingState.CONFIRMED, findings.c.confirmed_at, findings.c.first_seen),
        (FindingState.RESOLVED, findings.c.resolved_at, findings.c.last_seen),
    ):
        connection.execute(update(findings).where(findings.c.state == state).values({moment: when}))
    # In version 1 every run read everything.
    completed = (
        select(runs.c.check_name, func.max(runs.c.started_at + runs.c.seconds))
        .where(runs.c.outcome.in_(["pass", "fail"]))
        .group_by(runs.c.check_name)
    )
    connection.execute(delete(cursors))
    columns = [cursors.c.check_name, cursors.c.complete_at]
    connection.execute(insert(cursors).from_select(columns, completed))
