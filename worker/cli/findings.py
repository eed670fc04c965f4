"""The commands `reconciler findings …`: list, show and acknowledge findings."""

import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from checks.sql.catalog import nearest
from checks.types import Severity, parse_duration
from worker.cli import printing
from worker.cli.common import ConfigPath, Exit, Format, chosen, errors, fail, load
from worker.config import Config
from worker.model.finding import FindingState, StoredFinding
from worker.state import (
    Acknowledgement,
    StateError,
    UnknownFindingError,
    acknowledgements,
    runs,
    visit,
)
from worker.status import ShownFinding
from worker.status.as_json import event_as_json, finding_as_json
from worker.text.encode import dump

app = typer.Typer(
    name="findings",
    help="List, show and acknowledge findings.",
    no_args_is_help=True,
    add_completion=False,
)

UNRESOLVED = tuple(each for each in FindingState if each is not FindingState.RESOLVED)
LONGEST_AUTHOR = 100
LONGEST_REASON = 2000

OutputFormat = Annotated[Format, typer.Option("--format")]
Ids = Annotated[
    list[str] | None, typer.Argument(help="Ids, or at least 4 digits of each.", metavar="ID")
]
Author = Annotated[
    str | None, typer.Option("--author", help="Who decides. Default: $USER.", show_default=False)
]


@app.command(name="list")
def show_list(
    *,
    checks: Annotated[
        list[str] | None, typer.Option("--check", help="Of this check, or pattern with '*'.")
    ] = None,
    states: Annotated[
        list[FindingState] | None,
        typer.Option("--state", help="In this state. Default: all but resolved.", metavar="STATE"),
    ] = None,
    severities: Annotated[list[Severity] | None, typer.Option("--severity")] = None,
    table: Annotated[str | None, typer.Option(help="On this table.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of checks of this kind.")] = None,
    output: OutputFormat = Format.TABLE,
    config_path: ConfigPath = None,
) -> None:
    """List findings. Further options narrow the list; repeating an option widens it."""
    current = load(config_path)
    _refuse_unknown("table", table, (each.table for each in current.checks))
    _refuse_unknown("kind", kind, (each.kind for each in current.checks))
    names = {each.name for each in chosen(current, checks)} if checks else None
    with _state(current) as state:
        stored = acknowledgements.in_states(state, states or UNRESOLVED)
        unlisted = runs.unlisted(state)
    found = [
        each
        for each in _worst_first(current, stored)
        if (names is None or each.stored.check in names)
        and (not severities or (each.check and each.check.severity in severities))
        and table in (None, each.check and each.check.table)
        and kind in (None, each.check and each.check.kind)
    ]
    shown = sorted({each.stored.check for each in found})
    more = {name: unlisted[name] for name in shown if unlisted.get(name)}
    if output is Format.JSON:
        as_json = {"findings": [finding_as_json(each) for each in found], "not_listed": more}
        sys.stdout.write(dump(as_json) + "\n")
    else:
        printing.print_findings(found, _zone(current), more)


@app.command(name="show")
def show_one(
    identity: Annotated[str, typer.Argument(metavar="ID", help="At least 4 digits of the id.")],
    output: OutputFormat = Format.TABLE,
    config_path: ConfigPath = None,
) -> None:
    """Print everything known about one finding, with its history."""
    current = load(config_path)
    with _state(current) as state:
        stored = acknowledgements.find(state, identity)
        history = acknowledgements.history(state, stored.id)
    (found,) = _worst_first(current, [stored])
    if output is Format.JSON:
        lines = [event_as_json(each) for each in history]
        sys.stdout.write(dump({**finding_as_json(found), "history": lines}) + "\n")
    else:
        printing.print_finding(found, history, _zone(current))


@app.command()
def ack(
    ids: Ids = None,
    *,
    checks: Annotated[
        list[str] | None,
        typer.Option("--check", help="All unresolved findings of this check, or pattern."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it can wait, such as a ticket.")] = "",
    author: Author = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="For how long. Default: 7d.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Until when; without an offset, in the configured zone.")
    ] = None,
    config_path: ConfigPath = None,
) -> None:
    """Acknowledge findings: they stop paging until the time is up or they get worse."""
    current, now = load(config_path), datetime.now(UTC)
    made = Acknowledgement(
        author=_author(author),
        reason=_said("reason", reason, LONGEST_REASON),
        until=_until(duration, until, now, _zone(current)),
    )
    if bool(ids) == bool(checks):
        fail(Exit.USAGE, "which? give ids of findings, or --check, not both")
    names = [each.name for each in chosen(current, checks)] if checks else []
    with _state(current) as state:
        found = acknowledgements.decidable(state, ids or ())
        found += acknowledgements.unresolved_of(state, names)
        by_id = {each.id: each for each in found}
        acknowledgements.acknowledge(state, by_id.values(), made, now)
    until_when = printing.time_in(made.until, _zone(current))
    _say(f"acknowledged {_findings(len(by_id))} until {until_when}")


@app.command()
def unack(ids: Ids = None, author: Author = None, config_path: ConfigPath = None) -> None:
    """Withdraw acknowledgements."""
    current = load(config_path)
    if not ids:
        fail(Exit.USAGE, "which? give ids of findings")
    said = _author(author)
    with _state(current) as state:
        found = acknowledgements.decidable(state, ids, acked=True)
        acknowledgements.withdraw(state, found, said, datetime.now(UTC))
    _say(f"took back the acknowledgement of {_findings(len(found))}")


def _refuse_unknown(what: str, given: str | None, known: Iterable[str]) -> None:
    names = sorted(set(known))
    if given is not None and given not in names:
        fail(Exit.USAGE, f"--{what} {given}: no check is of this {what}{nearest(given, names)}")


@contextmanager
def _state(current: Config) -> Iterator[Connection]:
    """The worker's state; an error ends the command, and nothing of it is kept."""
    try:
        with visit(current.settings.state) as connection:
            yield connection
    except UnknownFindingError as error:
        fail(Exit.USAGE, str(error))
    except StateError as error:
        fail(Exit.COULD_NOT_TELL, f"the state cannot be used: {error}")


def _worst_first(current: Config, findings: Iterable[StoredFinding]) -> list[ShownFinding]:
    """Findings as they are, with their checks; those that are not configured any more last."""
    checks = {each.name: each for each in current.checks}
    order = {name: rank for rank, name in enumerate(Severity)}

    def rank(each: ShownFinding) -> tuple[int, str]:
        return order[each.check.severity] if each.check else len(order), each.stored.check

    return sorted((ShownFinding.of(each, checks.get(each.check)) for each in findings), key=rank)


def _author(given: str | None) -> str:
    try:
        name = os.environ.get("USER") or getpass.getuser() if given is None else given
    except (OSError, KeyError):  # an account without a name
        name = ""
    return _said("author", name, LONGEST_AUTHOR)


def _said(what: str, text: str, longest: int) -> str:
    text = text.strip()
    if not text:
        fail(Exit.USAGE, f"--{what} is empty")
    if len(text) > longest:
        fail(Exit.USAGE, f"--{what} is longer than {longest} characters")
    return text


def _until(duration: str | None, until: str | None, now: datetime, zone: ZoneInfo) -> datetime:
    if duration is not None and until is not None:
        fail(Exit.USAGE, "--for or --until, not both")
    try:
        if until is None:
            return now + parse_duration("7d" if duration is None else duration)
        moment = datetime.fromisoformat(until)
    except OverflowError:
        fail(Exit.USAGE, f"--for {duration}: this duration is too long")
    except ValueError as error:
        what = f"--for {duration}: {error}" if until is None else f"--until {until}: no date-time"
        fail(Exit.USAGE, what)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    if moment <= now:
        fail(Exit.USAGE, f"--until {until}: that is over")
    return moment.astimezone(UTC)


def _zone(current: Config) -> ZoneInfo:
    return ZoneInfo(current.settings.timezone)


def _findings(number: int) -> str:
    return "1 finding" if number == 1 else f"{number} findings"


def _say(sentence: str) -> None:
    errors.print(sentence, markup=False)
