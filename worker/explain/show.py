"""A description and what was recorded, as text for people and as JSON for programs."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from checks.types import key_columns
from worker.explain.description import Description, Timetable
from worker.explain.query_plan import rows_joined
from worker.explain.recording import Recording, Scan, Statement
from worker.model.run import Scope
from worker.scheduling.pacing import REST
from worker.text.encode import dump, harmless

Explained = tuple[Description, Sequence[Recording] | None]
"""A check, and its runs where it was run."""

WIDTH = 100
"""Characters of a line, SQL aside."""

LONGEST = 4000
"""Characters of a statement that a person is shown; programs have it whole."""

_LABEL = 13
_COLUMNS = ("id", "select_type", "table", "type", "key", "key_len", "ref", "rows", "extra")
"""What is shown of an EXPLAIN of MySQL and MariaDB; programs have all of it."""


def as_json(description: Description, recordings: Sequence[Recording] | None) -> dict[str, Any]:
    """One check as programs read it; `runs` is null where no database was asked."""
    runs = None if recordings is None else [_run_as_json(each) for each in recordings]
    return {**asdict(description), "runs": runs}


def _run_as_json(each: Recording) -> dict[str, Any]:
    result = each.run.result
    return {
        "follows_cursor": each.follows_cursor,
        "scope": each.run.scope,
        "outcome": each.run.outcome,
        "violations": result and result.violations,
        "seconds": round(each.run.seconds, 4),
        "error": each.run.error,
        "notes": list(result.notes) if result else [],
        "taken": {name: key_columns(value) for name, value in each.taken.items()},
        "rows": each.rows,
        "full_scans": [asdict(scan) for scan in each.full_scans],
        "statements": [_statement_as_json(one) for one in each.statements],
    }


def _statement_as_json(each: Statement) -> dict[str, Any]:
    return {
        "sql": each.sql,
        "reads_rows": each.reads_rows,
        "seconds": None if each.seconds is None else round(each.seconds, 4),
        "plan": [step.words for step in each.plan],
        "rows_joined": rows_joined(each.explained),
        "explain": [{name: _plain(v) for name, v in row.items()} for row in each.explained],
        "refusal": each.refusal,
    }


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | float) else str(value)


def as_text(explained: Sequence[Explained]) -> str:
    """Checks as a person reads them; where several were run, with a table of their runs."""
    parts = ["\n".join(_check(*each)) for each in explained]
    if len(explained) > 1 and any(recordings for _, recordings in explained):
        parts.append("\n".join(_overview(explained)))
    return "\n".join(harmless(line) for line in "\n\n\n".join(parts).split("\n"))


def _check(of: Description, recordings: Sequence[Recording] | None) -> Iterator[str]:
    yield f"{of.name} ({of.kind})"
    yield from _card(of, recordings or ())
    yield from _queries(of, with_statements=not recordings)
    for each in recordings or ():
        if each.statements:
            yield f"\n  {_title(each)} executes:"
            yield from _statements(each)


def _card(of: Description, recordings: Sequence[Recording]) -> Iterator[str]:
    yield from _labelled("asks", of.asks)
    yield from _labelled("rule", of.rule)
    declared = (f"{name} = {dump(value)}" for name, value in of.fields.items())
    yield from _labelled("declared", f"in {of.declared_in}", *declared)
    yield from _labelled("leaves out", *of.leaves_out)
    yield from _labelled("severity", _severity(of))
    yield from _labelled("alert", f"{of.alert}, {_sender(of)}")
    place = " on the status page" if of.runbook.startswith("/") else ""
    yield from _labelled("runbook", of.runbook + place)
    yield from _labelled("runs", *_when(of.schedule))
    yield from _labelled("reads", *_source(of))
    rows = recordings[0].rows if recordings else {}
    yield from _labelled("needs", *(_need(table, rows, c) for table, c in of.needs.items()))
    yield from _labelled(
        "where", *(f"{name} is {' '.join(text.split())}" for name, text in of.definitions.items())
    )
    yield from _labelled("rights", ", ".join(of.rights))
    for each in recordings:
        label = "incremental" if each.follows_cursor else "complete"
        yield from _labelled(label, *_summary(each))


def _labelled(label: str, *values: str | None) -> Iterator[str]:
    """A label and its values, a line each or several; nothing where there are none."""
    for number, value in enumerate(filter(None, values)):
        yield from textwrap.wrap(
            value,
            WIDTH,
            initial_indent=f"  {label if number == 0 else '':<{_LABEL}}",
            subsequent_indent=" " * (_LABEL + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )


def _severity(of: Description) -> str:
    if of.confirmations == 1 and of.confirm_after == "0s":
        return f"{of.severity}; the first run that sees a finding confirms it"
    span = "" if of.confirm_after == "0s" else f" over at least {of.confirm_after}"
    return f"{of.severity}; {of.confirmations} runs{span} have to see a finding to confirm it"


def _sender(of: Description) -> str:
    return "sent by the worker" if of.pushed else "raised by Prometheus' rules"


def _when(of: Timetable) -> Iterator[str]:
    yield f"at {of.every} ({of.zone})" if " " in of.every else f"every {of.every}"
    if of.soonest:
        rest = f"it rests {REST} times as long as a run took, {of.soonest} at least"
        yield f"sooner while its runs are short: {rest}"
    if of.complete is None:
        yield "each run goes on where the one before stopped"
    elif of.incremental:
        along = ", ".join(f"{table} along {column}" for table, column in of.incremental.items())
        again = f"the last {of.overlap_rows:,} rows, those of the last {of.overlap}, known findings"
        yield f"a run reads new rows ({along}) and again {again}"
        yield f"everything at {of.complete} ({of.zone})"
    else:
        yield f"each run reads everything; there is one more at {of.complete} ({of.zone})"
    yield from (f"deferred {each}" for each in of.deferred)


def _source(of: Description) -> Iterator[str]:
    if of.server is None:
        yield f"{of.source}, and no database"
        return
    account = f", as {of.server.account}" if of.server.account else ""
    yield f"database {of.database} ({of.server.environment}): {of.server.address}{account}"
    connections = _plural(of.server.connections, "connection")
    yield f"in read-only snapshots of {of.server.time_limit} at most, by {connections} at most"
    yield f"DATETIME columns are in {of.schedule.zone}"


def _need(table: str, rows: Mapping[str, int], columns: Sequence[str]) -> str:
    size = f" (about {rows[table]:,} rows)" if table in rows else ""
    return f"{table}{size}: {', '.join(columns)}" if columns else f"{table}{size}"


def _summary(recording: Recording) -> Iterator[str]:
    run, number = recording.run, len(recording.about_rows)
    others = len(recording.statements) - number
    yield (
        f"{run.outcome} in {run.seconds:.3f} s: {_plural(number, 'statement')} on rows,"
        f" {others} on the catalog and the clock"
    )
    if run.error:
        yield f"could not be evaluated: {run.error}"
    if recording.follows_cursor and run.scope is Scope.COMPLETE:
        yield "it read everything, too: nothing lies before what it reads again"
    if recording.taken:
        said = (f"{name} = {', '.join(key_columns(v))}" for name, v in recording.taken.items())
        yield f"taken from the catalog: {', '.join(said)}"
    yield from (f"note: {note}" for note in (run.result.notes if run.result else ()))
    yield from _slowest(recording)
    yield from map(_scan, recording.full_scans)
    if recording.about_rows and run.completed and not recording.full_scans:
        yield "reads no table in full"


def _slowest(recording: Recording) -> Iterator[str]:
    """Which statement did not end, else which took longest."""
    taken = [each.seconds for each in recording.about_rows]
    if None in taken:
        yield f"statement {taken.index(None) + 1} was stopped or failed"
    elif len(taken) > 1:
        most = max(each for each in taken if each is not None)
        yield f"the slowest is statement {taken.index(most) + 1} with {most:.3f} s"


def _scan(scan: Scan) -> str:
    size = f" (about {scan.rows:,} rows)" if scan.rows else ""
    return f"reads {scan.table} IN FULL{size} in {_plural(scan.statements, 'statement')}"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _queries(of: Description, *, with_statements: bool) -> Iterator[str]:
    if of.inspection_query is None:
        return
    yield "\n  Inspection query, for MySQL and MariaDB:\n"
    yield _indented(f"{of.inspection_query};")
    if with_statements and of.statements:
        yield "\n  A complete run executes, on MySQL and MariaDB:\n"
        yield "\n\n".join(_indented(f"{each};") for each in of.statements)
    elif with_statements:
        yield "\n  What a run executes depends on types and indexes: --connect shows it."


def _title(recording: Recording) -> str:
    return "The incremental run after it" if recording.follows_cursor else "A complete run"


def _statements(recording: Recording) -> Iterator[str]:
    """Those on rows; where there are none, those on the catalog."""
    for number, each in enumerate(recording.about_rows or recording.statements, 1):
        took = "stopped or failed" if each.seconds is None else f"{each.seconds:.3f} s"
        yield f"\n  {number}. {took}"
        yield _indented(_cut(f"{each.sql};"))
        yield from (f"    -- {line}" for line in (*_plan(each), *_table(each.explained)))


def _cut(sql: str) -> str:
    if len(sql) <= LONGEST:
        return sql
    return f"{sql[:LONGEST]}… ({len(sql):,} characters; --format json has all)"


def _plan(each: Statement) -> Iterator[str]:
    if each.refusal:
        yield f"the server did not explain it ({each.refusal})"
    yield from (step.words for step in each.plan)
    if (rows := rows_joined(each.explained)) is not None:
        yield f"joined: about {rows:,} rows in all"


def _table(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The columns of an EXPLAIN that matter."""
    plain = [{str(name).lower(): value for name, value in row.items()} for row in rows]
    if plain and "extra" in plain[0]:  # of SQLite the words are all there is
        yield from _aligned([_COLUMNS, *([str(r[c] or "") for c in _COLUMNS] for r in plain)])


def _overview(explained: Iterable[Explained]) -> Iterator[str]:
    lines: list[Sequence[str]] = [("check", "every", "run", "seconds", "reads in full")]
    for of, recordings in explained:
        for each in recordings or ():
            run = "incremental" if each.follows_cursor else "complete"
            outcome = run if each.run.completed else f"{run}: {each.run.outcome}"
            scans = (f"{s.table} ({s.rows:,})" if s.rows else s.table for s in each.full_scans)
            soonest = of.schedule.soonest
            every = f"{soonest} to {of.schedule.every}" if soonest else of.schedule.every
            row = (of.name, every, outcome, f"{each.run.seconds:.3f}", ", ".join(scans))
            lines.append(row)
    yield from _aligned(lines)
    yield ""
    runs = [each for _, recordings in explained for each in recordings or ()]
    for name, follows in (("complete", False), ("incremental", True)):
        taken = [each.run.seconds for each in runs if each.follows_cursor is follows]
        if taken:
            yield f"{_plural(len(taken), f'{name} run')}: {sum(taken):.3f} s in all"


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of cells, each column as wide as it has to be."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip()


def _indented(sql: str) -> str:
    return textwrap.indent(sql, "    ")
