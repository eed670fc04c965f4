"""`reconciler traffic`: the requests of log files, older and compressed ones too, on demand."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from checks.contract import CheckError
from checks.http_log.counts import KEY_MISSING, KEY_REUSED, Seen
from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.conflict_rate.codes import ordered
from checks.kinds.conflict_rate.tally import Tally
from checks.ports import SourceType
from worker.cli.common import ConfigPath, Exit, Format, fail, load
from worker.config import Config
from worker.sources.access_log import read_file
from worker.text.encode import dump

app = typer.Typer(add_completion=False)

WIDTH = 400
"""Columns of a table in a pipe: names are whole there."""


@app.command()
def traffic(
    files: Annotated[
        list[Path], typer.Argument(help="Log files, plain or compressed.", metavar="FILE")
    ],
    check: Annotated[
        str | None,
        typer.Option("--check", help="The conflict_rate check whose log and routes it is."),
    ] = None,
    config_path: ConfigPath = None,
    output_format: Annotated[Format, typer.Option("--format")] = Format.TABLE,
) -> None:
    """Count the requests and conflicts of whole log files. Keeps nothing."""
    current = load(config_path)
    counted = _counted(current, _chosen(current, check), files)
    if output_format is Format.JSON:
        sys.stdout.write(dump(as_json(counted)) + "\n")
    else:
        _print(counted)


def _chosen(current: Config, name: str | None) -> ConflictRate:
    """The check that is named, or the only one."""
    known = [
        each
        for each in current.checks
        if isinstance(each, ConflictRate)
        and each.source_type is SourceType.ACCESS_LOG
        and name in (None, each.name)
    ]
    if len(known) != 1:
        what = "no" if not known else "more than one"
        fail(Exit.USAGE, f"{what} conflict_rate check reads an access log; --check names one")
    return known[0]


def _counted(current: Config, check: ConflictRate, files: list[Path]) -> Tally:
    settings = current.settings.access_logs[check.source]
    read = settings.line_format.reader(ZoneInfo(current.settings.timezone))
    tally, routes = check.begin({})
    for path in files:
        try:
            for block in read_file(path, settings):
                tally.add(block, read(block.text), routes, int(time.time()))
                if block.note:
                    typer.echo(f"{path}: {block.note}", err=True)
        except CheckError as error:
            fail(Exit.COULD_NOT_TELL, str(error))
    return tally


def as_json(tally: Tally) -> dict[str, Any]:
    """What was counted, as JSON takes it."""
    return {
        "lines": dict(tally.lines),
        "notes": _notes(tally),
        "routes": [
            {"route": route, "method": method, **_numbers(seen, tally.codes.known)}
            for (route, method), seen in _ranked(tally)
        ],
    }


def _notes(tally: Tally) -> list[str]:
    """What the check would say of these lines."""
    return [*tally.read.of_all.notes(), *tally.codes.notes()]


def _numbers(seen: Seen, known: Iterable[str]) -> dict[str, Any]:
    return {
        "requests": int(seen.requests),
        "conflicts": int(seen.all_conflicts),
        "ratio": round(seen.ratio, 6),
        "codes": {c: int(seen.conflicts[c]) for c in ordered(seen.conflicts, known)},
        "refusals": {status: int(number) for status, number in seen.refusals.items()},
        "without_key": int(seen.without_key),
    }


def _ranked(tally: Tally) -> list[tuple[tuple[str, str], Seen]]:
    """Most conflicts first."""
    return sorted(
        tally.totals.items(), key=lambda each: (-each[1].all_conflicts, -each[1].requests, each[0])
    )


def _print(tally: Tally) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("route", "method"):
        table.add_column(title, no_wrap=True)
    for title in ("requests", "409", "ratio", "400", "422", "no key"):
        table.add_column(title, justify="right")
    table.add_column("codes", no_wrap=True)
    for (route, method), seen in _ranked(tally):
        named = ordered(seen.conflicts, tally.codes.known)
        codes = ", ".join(f"{code} {seen.conflicts[code]:.0f}" for code in named)
        table.add_row(
            *(route, method, f"{seen.requests:.0f}", f"{seen.all_conflicts:.0f}"),
            f"{100 * seen.ratio:.2f} %",
            *(f"{seen.refusals.get(status, 0):.0f}" for status in (KEY_MISSING, KEY_REUSED)),
            *(f"{seen.without_key:.0f}", codes),
        )
    # Names are whole in a pipe, whatever a terminal would be wide.
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(highlight=False, soft_wrap=True, width=width, markup=False)
    console.print(table)
    console.print(", ".join(f"{number} lines {state}" for state, number in tally.lines.items()))
    if tally.read.of_all.is_blind:
        console.print(*_notes(tally), sep="\n")
