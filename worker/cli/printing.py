"""How the command line shows runs and findings: tables for people, JSON for programs."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from checks.contract import Check
from worker.model.finding import Event, FindingState
from worker.model.run import Outcome, Run, Scope, excluded_rows
from worker.status import ShownFinding
from worker.status.as_json import finding_as_json
from worker.text.encode import dump, harmless

FINDINGS_PRINTED = 20
"""Findings of each check that the table of `check` lists; JSON has all that a run returned."""

LONGEST_KEY = 60
LONGEST_MESSAGE = 100
"""Characters of a message in the list of findings."""


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


def print_table(runs: list[Run]) -> None:
    """Print a line a run, then what each run found, then the totals, to standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "outcome", "severity", "scope"):
        table.add_column(heading, no_wrap=heading != "check", overflow="fold")
    for heading in ("examined", "excluded", "violations", "seconds"):
        table.add_column(heading, justify="right")
    colours = {Outcome.PASS: "green", Outcome.FAIL: "bold red"}
    for each in runs:
        result = each.result
        table.add_row(
            each.check.name,
            Text(each.outcome, style=colours.get(each.outcome, "bold yellow")),
            each.check.severity,
            each.scope,
            f"{'≈ ' if result.estimated else ''}{result.examined}" if result else "-",
            excluded_rows(result) or "0" if result else "-",
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
    found: Sequence[ShownFinding], zone: ZoneInfo, unlisted: Mapping[str, int]
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
    states = Counter(each.stored.state for each in found)
    summary = [f"{states[state]} {state}" for state in FindingState if states[state]]
    total = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    console.print(total + (f": {', '.join(summary)}" if summary else ""))


def print_finding(found: ShownFinding, history: Iterable[Event], zone: ZoneInfo) -> None:
    """Print everything that is known of a finding."""
    stored = found.stored
    shown = {name: value for name, value in finding_as_json(found).items() if value is not None}
    evidence, acknowledged = shown.pop("evidence"), shown.pop("acknowledged", None)
    for name in ("first_seen", "last_seen", "resolved_at"):
        if name in shown:
            shown[name] = _moment_in(getattr(stored, name), zone)
    lines = [*_fields(shown), "evidence", *_fields(evidence, "  ")]
    if stored.acknowledgement:
        known = stored.acknowledgement
        times = {"at": _moment_in(known.at, zone), "until": _moment_in(known.until, zone)}
        lines += ["acknowledged", *_fields(acknowledged | times, "  ")]
    lines.append("history")
    for each in history:
        said = (_moment_in(each.at, zone), each.change, each.author, each.detail)
        lines.append("  " + "  ".join(filter(None, said)))
    console = _console(160)
    for line in lines:
        console.print(harmless(line), markup=False)


def time_in(moment: datetime, zone: ZoneInfo) -> str:
    """A moment in a time zone and with its offset."""
    return moment.astimezone(zone).isoformat(" ", "seconds")


def _moment_in(moment: float, zone: ZoneInfo) -> str:
    return time_in(datetime.fromtimestamp(moment, UTC), zone)


def _cells(each: ShownFinding, zone: ZoneInfo) -> Iterable[str]:
    stored, known = each.stored, each.stored.acknowledgement
    key = ", ".join(f"{name} {value}" for name, value in each.key.items())
    yield from (stored.id[:12], stored.state, each.check.severity if each.check else "-")
    yield from (stored.check, _cut(key, LONGEST_KEY), _cut(each.message, LONGEST_MESSAGE))
    yield _moment_in(stored.first_seen, zone)
    yield str(stored.times_seen)
    yield _moment_in(known.until, zone) if known else ""
    yield known.author if known else ""


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
