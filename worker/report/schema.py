"""The sections about the schema: tables, keys with their indexes, columns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from checks.card import SchemaFacts
from checks.sql.catalog import Column, Index
from checks.sql.names import folded
from worker.model.run import Outcome, Run
from worker.report.model import ColumnRow, FoundIndex, Key, RetiredTable, TableRow


@dataclass(frozen=True, slots=True)
class Schema:
    """A table as the database has it."""

    type: str | None
    """Null when it does not exist."""
    columns: Mapping[str, Column]
    indexes: tuple[Index, ...]


Schemas = Mapping[str, Schema]
"""The tables of one database by name."""

Place = tuple[str, str]
"""A database and a table of it."""


def tables(runs: Iterable[Run], schemas: Mapping[str, Schemas]) -> Iterator[TableRow]:
    """A row for each table that a check asks about and that is not retired."""
    for (database, table), its_runs in _by_table(runs).items():
        if _retiring(its_runs):
            continue
        found = schemas.get(database, {}).get(table)
        keys = list(_keys(its_runs, found))
        yield TableRow(
            database=database,
            table=table,
            exists=None if found is None else found.type is not None,
            type=found.type if found else None,
            rows=_rows(its_runs),
            keys=tuple(keys),
            indexes=tuple(_indexes(found, keys)) if found else None,
            outcome=worst(its_runs),
            violations=_violations(its_runs),
            unknown=tuple(dict.fromkeys(r.check.kind for r in its_runs if not r.completed)),
        )


def retired_tables(runs: Iterable[Run], schemas: Mapping[str, Schemas]) -> Iterator[RetiredTable]:
    """A row for each table that must not exist."""
    for (database, table), its_runs in _by_table(runs).items():
        if run := _retiring(its_runs):
            found = schemas.get(database, {}).get(table)
            yield RetiredTable(
                database=database,
                table=table,
                type=found.type if found else None,
                outcome=run.outcome,
                check=run.check.name,
            )


def columns(runs: Iterable[Run], schemas: Mapping[str, Schemas]) -> Iterator[ColumnRow]:
    """A row for each declared column, each column of a key and each retired name."""
    for (database, table), its_runs in _by_table(runs).items():
        found = schemas.get(database, {}).get(table)
        told = [row for run in its_runs for row in _declared(run, found)]
        yield from (row for row in told if row.role == "declared")
        known = {row.column for row in told}
        keys = (name for key in _keys(its_runs, found) for name in key.columns)
        for name in dict.fromkeys(keys):
            if name not in known:
                yield _column(database, table, name, found, role="key")
        yield from (row for row in told if row.role == "retired")


def worst(runs: Iterable[Run]) -> Outcome:
    """What weighs most: a known violation, then an answer that is missing."""
    outcomes = {run.outcome for run in runs}
    order = (Outcome.FAIL, Outcome.ERROR, Outcome.SKIPPED)
    return next((each for each in order if each in outcomes), Outcome.PASS)


def _by_table(runs: Iterable[Run]) -> dict[Place, list[Run]]:
    found: dict[Place, list[Run]] = {}
    for run in runs:
        if run.check.table:
            found.setdefault((run.check.database, run.check.table), []).append(run)
    return found


def _retiring(runs: Iterable[Run]) -> Run | None:
    return next((run for run in runs if run.check.schema_facts().retired), None)


def _rows(runs: Iterable[Run]) -> int | None:
    counts = (r.result.examined for r in runs if r.result and r.check.counts_rows)
    return next(counts, None)


def _violations(runs: Iterable[Run]) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        if run.result:
            found[run.check.kind] = found.get(run.check.kind, 0) + run.result.violations
    return found


def _keys(runs: Iterable[Run], found: Schema | None) -> Iterator[Key]:
    """Each declared key once, whether an index, no duplicates or both are asked for."""
    asked: dict[frozenset[str], tuple[SchemaFacts, Run | None]] = {}
    for run in runs:
        facts = run.check.schema_facts()
        if facts.indexed:
            asked[frozenset(facts.key)] = (facts, run)
        elif facts.key:
            asked.setdefault(frozenset(facts.key), (facts, None))
    for facts, asking in asked.values():
        yield Key(
            columns=facts.key,
            expected_index=facts.index,
            found_indexes=tuple(i.name for i in found.indexes if i.proves_unique(facts.key))
            if found
            else None,
            outcome=asking.outcome if asking else None,
            check=asking.check.name if asking else None,
        )


def _indexes(found: Schema, keys: Iterable[Key]) -> Iterator[FoundIndex]:
    declared = [key.columns for key in keys]
    of_keys = folded(name for names in declared for name in names)
    for index in found.indexes:
        if not index.unique and not of_keys & folded(index.columns):
            continue
        twins = (i.name for i in found.indexes if i is not index and i.proves_unique(index.columns))
        yield FoundIndex(
            name=index.name,
            columns=index.columns,
            unique=index.unique,
            partial=index.partial,
            nullable_columns=tuple(
                name for name in index.columns if _nullable(found, name) and index.unique
            ),
            redundant_with=tuple(twins) if index.unique and not index.partial else (),
            keys=tuple(names for names in declared if index.proves_unique(names)),
        )


def _nullable(found: Schema, name: str) -> bool:
    return name in found.columns and found.columns[name].nullable


def _declared(run: Run, found: Schema | None) -> Iterator[ColumnRow]:
    check, facts = run.check, run.check.schema_facts()
    wrong = [each.key.get("column") for each in (run.result.findings if run.result else ())]

    def outcome(name: str) -> Outcome:
        if run.result is None:
            return run.outcome
        return Outcome.FAIL if name in wrong else Outcome.PASS

    for name, declared in facts.columns.items():
        row = _column(check.database, check.table, name, found, role="declared")
        told = {"declared": declared, "outcome": outcome(name), "check": check.name}
        yield row.model_copy(update=told)
    for name in facts.retired_columns:
        row = _column(check.database, check.table, name, found, role="retired")
        yield row.model_copy(update={"outcome": outcome(name), "check": check.name})


def _column(database: str, table: str, name: str, found: Schema | None, *, role: str) -> ColumnRow:
    column = found.columns.get(name) if found else None
    return ColumnRow.model_validate(
        {
            "database": database,
            "table": table,
            "column": name,
            "role": role,
            "found": column.type if column else None,
            "nullable": column.nullable if column else None,
        }
    )
