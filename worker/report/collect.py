"""Run every check once, ask each database who it is, read its schema: a `Report`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from checks.contract import Check, CheckError
from checks.sql import catalog
from checks.types import Severity
from worker.config import Config
from worker.model.run import Outcome, Run
from worker.report import schema, sections
from worker.report.model import CheckRow, Conclusion, Connection, Report, Unknown
from worker.scheduling.execute import execute
from worker.sources import Database, Sources
from worker.state.read_scope import everything
from worker.status.as_json import run_as_json


def collect(
    config: Config, sources: Sources, before: Callable[[Check], object] = lambda _: None
) -> Report:
    """Make a report from live data; `before` is called before each check.

    Never raises CheckError: what could not be told is in the report.
    """
    started_at = datetime.now(UTC)
    runs, window = [], everything(config.settings)
    for check in config.checks:
        before(check)
        runs.append(execute(check, sources, window))
    read = [_read(config, database, runs) for database in sources.databases]
    unknown = tuple(_unknown(runs, read))
    connections = tuple(each.connection for each in read)
    schemas = {each.connection.database: each.schemas for each in read if each.schemas is not None}
    report = Report(
        started_at=started_at,
        finished_at=datetime.now(UTC),
        timezone=config.settings.timezone,
        connections=connections,
        tables=tuple(schema.tables(runs, schemas)),
        retired_tables=tuple(schema.retired_tables(runs, schemas)),
        columns=tuple(schema.columns(runs, schemas)),
        duplicates=tuple(sections.duplicates(runs)),
        blanks=tuple(sections.blanks(runs)),
        balances=tuple(sections.balances(runs)),
        states=tuple(sections.states(runs)),
        others=tuple(sections.others(runs)),
        checks=tuple(CheckRow.model_validate(run_as_json(run)) for run in runs),
        unknown=unknown,
        conclusion=_conclusion(runs, unknown, connections),
    )
    report._runs = tuple(runs)  # noqa: SLF001 - pydantic takes private attributes no other way
    return report


@dataclass(frozen=True, slots=True)
class _Read:
    """What a database told of itself."""

    connection: Connection
    schemas: schema.Schemas | None = None
    errors: list[CheckError] = field(default_factory=list)


def _read(config: Config, database: Database, runs: Iterable[Run]) -> _Read:
    errors: list[CheckError] = []
    connection = _connection(config, database, errors)
    names = dict.fromkeys(run.check.table for run in runs if run.check.database == database.name)
    try:
        with database.snapshot() as opened:
            objects = catalog.objects(opened)
            schemas = {
                name: schema.Schema(
                    objects.get(name),
                    catalog.columns(opened, name),
                    tuple(catalog.indexes(opened, name)),
                )
                for name in names
            }
    except CheckError as error:
        return _Read(connection, None, [*errors, error])
    return _Read(connection, schemas, errors)


def _connection(config: Config, database: Database, errors: list[CheckError]) -> Connection:
    try:
        found = database.identify()
    except CheckError as error:
        errors.append(error)
        settings = config.settings.databases[database.name]
        url = settings.parsed  # its password stays in it
        return Connection(
            database=database.name,
            environment=settings.environment,
            host=url.host or "",
            port=url.port or 0,
            schema_name=url.database or "",
            account=url.username or "",
            error=str(error),
        )
    return Connection(
        database=found.database,
        environment=found.environment,
        host=found.host,
        port=found.port,
        schema_name=found.schema,
        account=found.user,
        server=found.server,
        version=found.version,
        time_zone=found.time_zone,
        privileges_beyond_reading=found.writable,
    )


def _unknown(runs: Iterable[Run], read: Iterable[_Read]) -> Iterable[Unknown]:
    """Each reason once, with the checks that it kept from telling: a lost server loses them all."""
    reasons: dict[tuple[str, str], tuple[bool, list[str]]] = {}
    for run in runs:
        if not run.completed:
            reason = (run.check.source_name, run.error or run.outcome)
            reasons.setdefault(reason, (run.permanent, []))[1].append(run.check.name)
    for each in read:
        for error in each.errors:
            reasons.setdefault((each.connection.database, str(error)), (error.permanent, []))
    for (database, message), (permanent, checks) in reasons.items():
        yield Unknown(database=database, error=message, permanent=permanent, checks=tuple(checks))


def _conclusion(
    runs: list[Run], unknown: tuple[Unknown, ...], connections: tuple[Connection, ...]
) -> Conclusion:
    failed = [run for run in runs if run.outcome is Outcome.FAIL]
    passed = [run for run in runs if run.outcome is Outcome.PASS]
    # Where nothing was asked, nothing is known.
    could_not_tell = bool(unknown) or not runs
    return Conclusion(
        outcome=Outcome.FAIL if failed else Outcome.ERROR if could_not_tell else Outcome.PASS,
        checks=len(runs),
        passed=len(passed),
        failed=len(failed),
        unknown=len(runs) - len(failed) - len(passed),
        failed_by_severity={
            each: sum(run.check.severity is each for run in failed) for each in Severity
        },
        violations_by_severity={
            each: sum(
                run.result.violations for run in failed if run.result and run.check.severity is each
            )
            for each in Severity
        },
        may_write=tuple(each.database for each in connections if each.privileges_beyond_reading),
    )
