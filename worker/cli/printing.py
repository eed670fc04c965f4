"""How the command line shows runs and findings: tables for people, JSON for programs."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from checks.contract import Check
from worker.model.finding import FindingState
from worker.model.run import Outcome, Run, Scope, overall
from worker.state.schema import Row
from worker.telemetry import run_log
from worker.text.encode import dump, harmless

FINDINGS_PRINTED = 20
"""Findings of each check that the table of `check` lists; JSON has all that a run returned."""

LONGEST_KEY = 60
LONGEST_MESSAGE = 100
"""Characters of a message in the list of findings."""


def as_json(runs: list[Run]) -> dict[str, Any]:
    """What `check --format json` prints."""
    return {"outcome": overall(runs), "checks": [run_as_json(each) for each in runs]}


def as_sql(checks: Iterable[Check], zone: tzinfo, at: datetime) -> str:
    """What `check --show-sql` prints: a script for MySQL and MariaDB.

    Statements are those of runs that begin `at`.
    """
    return "\n\n".join(_as_sql(each, at, zone) for each in checks)


def _as_sql(check: Check, at: datetime, zone: tzinfo) -> str:
    runs, look = check.statements(at, zone), check.look()
    parts = [f"-- {check.name} ({check.kind})"]
    if runs:
        parts += ["-- A complete run executes:", *(f"{each};" for each in runs)]
    elif look:
        parts.append(
            "-- What a run executes depends on types and indexes: explain --connect shows it."
        )
    parts += ["-- Inspection query:", f"{look};"] if look else ["-- It asks no database."]
    return "\n".join(parts)


def run_as_json(each: Run) -> dict[str, Any]:
    """A run as programs read it; null where it could not tell."""
    result = each.result
    return {
        "name": each.check.name,
        "kind": each.check.kind,
        "source": each.check.source_name,
        "database": each.check.database,
        "table": each.check.table,
        "severity": each.check.severity,
        "outcome": each.outcome,
        "scope": each.scope,
        "examined": result and result.examined,
        "violations": result and result.violations,
        "seconds": round(each.seconds, 4),
        "error": each.error,
        "permanent": each.permanent,
        "measures": dict(result.measures) if result else {},
        "notes": list(result.notes) if result else [],
        "findings": [run_log.shown(finding) for finding in result.findings] if result else [],
    }


def finding_as_json(row: Row, check: Check | None) -> dict[str, Any]:
    """A finding as programs read it; null where its check is not configured."""
    return {
        "id": row["id"],
        "check": row["check_name"],
        "kind": check and check.kind,
        "table": check and check.table,
        "severity": check and check.severity,
        "state": row["state"],
        "key": json.loads(row["key"]),
        "message": row["message"],
        "evidence": json.loads(row["evidence"]),
        "magnitude": None if row["magnitude"] is None else int(row["magnitude"]),
        "first_seen": utc(row["first_seen"]),
        "last_seen": utc(row["last_seen"]),
        "resolved_at": utc(row["resolved_at"]),
        "times_seen": row["times_seen"],
        "acknowledged": _acknowledged(row),
    }


def event_as_json(row: Row) -> dict[str, Any]:
    """A line of a finding's history as programs read it."""
    return {
        "at": utc(row["at"]),
        "change": row["change"],
        "author": row["author"],
        "detail": row["detail"],
    }


def utc(moment: float | None) -> str | None:
    """A moment of the state as ISO text."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def print_table(runs: list[Run]) -> None:
    """Print a line a run, then what each run found, then the totals, to standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "outcome", "severity", "scope"):
        table.add_column(heading, no_wrap=heading != "check", overflow="fold")
    for heading in ("examined", "violations", "seconds"):
        table.add_column(heading, justify="right")
    colours = {Outcome.PASS: "green", Outcome.FAIL: "bold red"}
    for each in runs:
        result = each.result
        table.add_row(
            each.check.name,
            Text(each.outcome, style=colours.get(each.outcome, "bold yellow")),
            each.check.severity,
            each.scope,
            str(result.examined) if result else "-",
            str(result.violations) if result else "-",
            f"{each.seconds:.3f}",
        )
    console = _console(160)
    console.print(table, soft_wrap=False)
    for each in runs:
        _print_details(console, each)
    counts = Counter(each.outcome for each in runs)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    console.print(f"\n{len(runs)} checks: {summary}", markup=False)
    if partial := sum(each.scope is Scope.INCREMENTAL for each in runs):
        console.print(
            f"{partial} of them read only what is new since the worker's latest run, and what it"
            " knows to be wrong; --complete reads everything",
            markup=False,
        )


def print_findings(
    found: list[dict[str, Any]], zone: ZoneInfo, unlisted: Mapping[str, int]
) -> None:
    """Print a line a finding, and how many violations of its check have none."""
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "state", "severity"):
        table.add_column(heading, no_wrap=True)
    for heading in ("check", "key", "message", "first seen", "times", "until", "author"):
        table.add_column(
            heading, overflow="fold", justify="right" if heading == "times" else "left"
        )
    for each in found:
        table.add_row(*(Text(harmless(cell)) for cell in _cells(each, zone)))
    console = _console(250)
    if found:
        console.print(table, soft_wrap=False)
    for check, number in unlisted.items():
        if number:
            console.print(f"{check}: … and {number} more that are not listed", markup=False)
    states = Counter(each["state"] for each in found)
    summary = [f"{states[state]} {state}" for state in FindingState if states[state]]
    total = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    console.print(total + (f": {', '.join(summary)}" if summary else ""))


def print_finding(
    found: Mapping[str, Any], history: Iterable[Mapping[str, Any]], zone: ZoneInfo
) -> None:
    """Print everything that is known of a finding."""
    shown = {name: value for name, value in found.items() if value is not None}
    evidence, acknowledged = shown.pop("evidence"), shown.pop("acknowledged", None)
    for name in ("first_seen", "last_seen", "resolved_at"):
        if name in shown:
            shown[name] = time_in(shown[name], zone)
    lines = [*_fields(shown), "evidence", *_fields(evidence, "  ")]
    if acknowledged:
        times = {name: time_in(acknowledged[name], zone) for name in ("at", "until")}
        lines += ["acknowledged", *_fields(acknowledged | times, "  ")]
    lines.append("history")
    for each in history:
        said = (time_in(each["at"], zone), each["change"], each["author"], each["detail"])
        lines.append("  " + "  ".join(filter(None, said)))
    console = _console(160)
    for line in lines:
        console.print(harmless(line), markup=False)


def time_in(moment: str, zone: ZoneInfo) -> str:
    """A moment, given as ISO text, in a time zone and with its offset."""
    return datetime.fromisoformat(moment).astimezone(zone).isoformat(" ", "seconds")


def _acknowledged(row: Row) -> dict[str, Any] | None:
    if row["acked_at"] is None:
        return None
    return {
        "author": row["ack_author"],
        "reason": row["ack_reason"],
        "at": utc(row["acked_at"]),
        "until": utc(row["ack_until"]),
    }


def _cells(each: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    acknowledged = each["acknowledged"] or {}
    key = ", ".join(f"{name} {value}" for name, value in each["key"].items())
    yield from (each["id"][:12], each["state"], each["severity"] or "-", each["check"])
    yield from (_cut(key, LONGEST_KEY), _cut(each["message"], LONGEST_MESSAGE))
    yield time_in(each["first_seen"], zone)
    yield str(each["times_seen"])
    yield time_in(acknowledged["until"], zone) if acknowledged else ""
    yield acknowledged.get("author", "")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _fields(fields: Mapping[str, Any], indent: str = "") -> Iterable[str]:
    for name, value in fields.items():
        yield f"{indent}{name}: {value if isinstance(value, str) else dump(value)}"


def _console(width: int) -> Console:
    # Names are whole in a pipe, whatever a terminal would be wide.
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else width)


def _print_details(console: Console, each: Run) -> None:
    if each.error:
        console.print(f"\n{each.check.name}: could not tell: {each.error}", markup=False)
    if each.result is None:
        return
    for note in each.result.notes:
        console.print(f"\n{each.check.name}: note: {note}", markup=False)
    listed = each.result.findings[:FINDINGS_PRINTED]
    for finding in listed:
        shown = dump({"key": finding.key, **finding.evidence})
        message = harmless(finding.message)
        console.print(f"\n{each.check.name}: {message}\n  {shown}", markup=False)
    left_out = each.result.violations - len(listed)
    if left_out > 0:
        console.print(f"  … and {left_out} more", markup=False)
