"""What is known of a check without asking any database."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from checks.contract import Check
from checks.ports import SourceType
from checks.types import duration_text
from worker.config import Config, DatabaseSettings, Schedule, Settings
from worker.scheduling.pacing import soonest
from worker.text.fields import fields


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a check runs, and how much a run reads."""

    every: str
    """An interval such as `30s`, or a cron line."""
    soonest: str | None
    """The interval while its runs are short; None where that is the same."""
    complete: str | None
    """When a run reads everything; None where each run goes on after the one before."""
    zone: str
    """In which cron lines are meant, and DATETIME columns are written."""
    incremental: Mapping[str, str]
    """The column along which new rows of each table are read; none where all runs read all."""
    overlap: str
    overlap_rows: int
    """How much before the end of a table an incremental run begins."""
    deferred: tuple[str, ...]
    """When a run that is due waits."""


@dataclass(frozen=True, slots=True)
class Server:
    """A database as the configuration names it, and how much of it the worker may take."""

    environment: str
    address: str
    """Host, port and schema, or the file."""
    account: str
    time_limit: str
    """The longest that a run may read."""
    connections: int
    """Of the worker at most, but for a moment in which one more stops a query."""


@dataclass(frozen=True, slots=True)
class Description:
    """A check, as somebody wants to know it who is to let it run on production."""

    name: str
    kind: str
    declared_in: str
    """The part of the configuration that it follows from: `checks[3]`."""
    source: str
    database: str
    table: str
    asks: str
    """One sentence that is true of every check of the kind."""
    rule: str | None
    """The same of this one, where the names do not say it all."""
    fields: Mapping[str, Any]
    """What the configuration says of it, beyond what is default."""
    leaves_out: tuple[str, ...]
    severity: str
    confirmations: int
    confirm_after: str
    """For how long runs have to see a finding to confirm it; `0s` where their number is enough."""
    alert: str
    pushed: bool
    """Whether the worker sends the alert itself; else Prometheus' rules do."""
    runbook: str
    """Its address; without `external_url` its path on the status page."""
    schedule: Timetable
    server: Server | None
    """None where it reads no database."""
    needs: Mapping[str, tuple[str, ...]]
    """Tables, each with the columns without which there is no answer."""
    definitions: Mapping[str, str]
    """What names among these stand for that are not those of whole tables, each as a SELECT."""
    rights: tuple[str, ...]
    inspection_query: str | None
    """For MySQL and MariaDB, as `statements`."""
    statements: tuple[str, ...]
    """What a complete run executes; none where that depends on the schema that it finds."""


def describe(config: Config, check: Check) -> Description:
    """Describe a check of a configuration."""
    settings, zone = config.settings, ZoneInfo(config.settings.timezone)
    planned = next(each for each in config.plan if each.check.name == check.name)
    return Description(
        name=check.name,
        kind=check.kind,
        declared_in=str(planned.origin),
        source=check.source_name,
        database=check.database,
        table=check.table,
        asks=_first_sentence(check),
        rule=check.rule,
        fields=dict(fields(check)),
        leaves_out=(*check.excluded, *check.leaves_out),
        severity=check.severity.value,
        confirmations=check.confirmations,
        confirm_after=duration_text(check.confirmation_time),
        alert=(alert := check.card.alert.name),
        pushed=check.severity in settings.alerts.push,
        runbook=f"{settings.http.external_url or ''}/runbooks/{alert}",
        schedule=_timetable(settings, check, planned.timetable.every),
        server=_server(settings, check),
        needs=check.needs,
        definitions=check.definitions,
        rights=tuple(f"SELECT on {each}" for each in _qualified(settings, check)),
        inspection_query=check.look(),
        statements=tuple(check.statements(datetime.now(UTC), zone)),
    )


def _first_sentence(check: Check) -> str:
    paragraph = (inspect.getdoc(type(check)) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def _timetable(settings: Settings, check: Check, every: Schedule) -> Timetable:
    schedule = settings.schedule
    return Timetable(
        every=_written(every),
        soonest=_soonest(check, every, schedule.critical),
        complete=None if check.follows else _written(schedule.complete),
        zone=settings.timezone,
        incremental=_cursors(check),
        overlap=duration_text(schedule.overlap),
        overlap_rows=schedule.overlap_rows,
        deferred=tuple(_deferred(settings, check)),
    )


def _soonest(check: Check, every: Schedule, critical: timedelta) -> str | None:
    if not isinstance(every, timedelta):
        return None
    least = soonest(check, every, critical)
    return duration_text(least) if least < every else None


def _written(every: Schedule) -> str:
    return duration_text(every) if isinstance(every, timedelta) else str(every)


def _cursors(check: Check) -> dict[str, str]:
    """The cursor of each table that the check follows; the other side's where it is asked."""
    is_two_sided = getattr(check, "reverse", True)
    sides = {"table": "", **(check.beside if is_two_sided else {})}
    found = {getattr(check, side): getattr(check, f"{p}cursor", None) for side, p in sides.items()}
    return {table: cursor for table, cursor in found.items() if cursor}


def _deferred(settings: Settings, check: Check) -> list[str]:
    found = [
        f"for {duration_text(each.lasts)} from {each.cron}: {each.reason}"
        for each in settings.maintenance
    ]
    if settings.schedule.pause_file:
        found.append(f"while {settings.schedule.pause_file} exists")
    if check.source_type is SourceType.DATABASE:
        found += filter(None, [_over(settings.databases[check.database])])
    return found


def _over(database: DatabaseSettings) -> str | None:
    """Beyond which load of the server runs wait; a file has none."""
    if database.parsed.get_backend_name() == "sqlite":
        return None
    limits = database.back_off.limits
    units = {"replication_lag": " s"}
    over = (f"{name} > {limit:,.0f}{units.get(name, '')}" for name, limit in limits.items())
    return f"while {' or '.join(over)}" if limits else None


def _server(settings: Settings, check: Check) -> Server | None:
    if check.source_type is not SourceType.DATABASE:
        return None
    database = settings.databases[check.database]
    return Server(
        environment=database.environment,
        address=database.address,
        account=database.parsed.username or "",
        time_limit=duration_text(database.time_limit),
        connections=database.connections,
    )


def _qualified(settings: Settings, check: Check) -> list[str]:
    """The tables with the schema that holds them, where there are accounts with rights."""
    if check.source_type is not SourceType.DATABASE:
        return []
    url = settings.databases[check.database].parsed
    if url.get_backend_name() == "sqlite":
        return []
    return [f"{url.database}.{table}" for table in check.tables]
