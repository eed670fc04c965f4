"""The commands `reconciler config …`: check the configuration."""

import sys
from typing import Annotated

import typer

from checks.contract import CheckError
from worker.alerts import answers
from worker.cli import schema_check
from worker.cli.asking import opened
from worker.cli.common import ConfigPath, Exit, errors, fail, load
from worker.config import Config

app = typer.Typer(name="config", no_args_is_help=True, add_completion=False)


@app.callback()
def options() -> None:
    """Check the configuration."""


@app.command(name="check")
def config_check(
    config_path: ConfigPath = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Compare it with the real schema as well.")
    ] = False,
) -> None:
    """Validate the configuration and report every error. Exit code 2 if there is one."""
    current = load(config_path)
    for warning in current.warnings:
        errors.print(f"warning: {warning}", markup=False)
    for note in current.notes:
        errors.print(f"note: {note.told}", markup=False)
    if connect:
        with opened(current) as sources:
            try:
                problems = schema_check.compare(current, sources)
                remarks = schema_check.remarks(current, sources)
            except CheckError as error:
                fail(Exit.COULD_NOT_TELL, str(error))
        for problem in problems:
            errors.print(str(problem), markup=False)
        for remark in remarks:
            errors.print(f"note: {remark}", markup=False)
        if _complain_of_alertmanagers(current) or problems:
            raise typer.Exit(Exit.USAGE)
    settings = current.settings
    what = _counted(len(settings.tables), "table")
    if settings.relations:
        what += f" and {_counted(len(settings.relations), 'relation')}"
    sys.stdout.write(f"{_counted(len(current.checks), 'check')} on {what}: no mistake found\n")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _complain_of_alertmanagers(current: Config) -> bool:
    """Ask each of them who it is, and report what else answers. One that is away ends the check."""
    complained = False
    for name, settings in current.settings.alertmanagers.items():
        try:
            problem = answers.problem(settings)
        except CheckError as error:
            fail(Exit.COULD_NOT_TELL, f"alertmanagers.{name}: {error}")
        if problem:
            errors.print(f"alertmanagers.{name}.url: {problem}", markup=False)
            complained = True
    return complained
