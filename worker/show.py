"""Runs as `reconciler check` shows them: a table for people, one JSON object for programs."""

import sys
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker import alerts, log
from worker.run import Outcome, Run


def as_json(runs: list[Run]) -> dict[str, Any]:
    """What `check --format json` prints."""
    return {"outcome": overall(runs), "checks": [run_as_json(each) for each in runs]}


def run_as_json(each: Run) -> dict[str, Any]:
    """A run as programs read it; null where it could not tell."""
    result = each.result
    return {
        "name": each.check.name,
        "kind": each.check.kind,
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
        "findings": [alerts.shown(finding) for finding in result.findings] if result else [],
    }


def overall(runs: list[Run]) -> Outcome:
    """The worst outcome; a violation that is known weighs more than an answer that is missing."""
    outcomes = {each.outcome for each in runs}
    order = (Outcome.FAIL, Outcome.ERROR, Outcome.SKIPPED)
    return next((each for each in order if each in outcomes), Outcome.PASS)


def print_table(runs: list[Run]) -> None:
    """Print a line a run, then what each run found, then the totals, to standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "outcome", "severity"):
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
            str(result.examined) if result else "-",
            str(result.violations) if result else "-",
            f"{each.seconds:.3f}",
        )
    # Names are whole in a pipe, whatever a terminal would be wide.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    console.print(table, soft_wrap=False)
    for each in runs:
        _print_details(console, each)
    counts = Counter(each.outcome for each in runs)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    console.print(f"\n{len(runs)} checks: {summary}", markup=False)


def _print_details(console: Console, each: Run) -> None:
    if each.error:
        console.print(f"\n{each.check.name}: could not tell: {each.error}", markup=False)
    if each.result is None:
        return
    for note in each.result.notes:
        console.print(f"\n{each.check.name}: note: {note}", markup=False)
    for finding in each.result.findings:
        shown = log.dump({"key": finding.key, **finding.evidence})
        console.print(f"\n{each.check.name}: {finding.message}\n  {shown}", markup=False)
    left_out = each.result.violations - len(each.result.findings)
    if left_out > 0:
        console.print(f"  … and {left_out} more", markup=False)
