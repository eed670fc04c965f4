"""The commands `reconciler config …`: check the configuration."""

import sys
from typing import Annotated

import typer

from checks.contract import CheckError
from worker.cli import schema_check
from worker.cli.asking import opened
from worker.cli.common import ConfigPath, Exit, errors, fail, load

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
        if problems:
            raise typer.Exit(Exit.USAGE)
    settings = current.settings
    what = f"{len(settings.tables)} tables"
    if settings.relations:
        what += f" and {len(settings.relations)} relations"
    sys.stdout.write(f"{len(current.checks)} checks on {what}: no mistake found\n")
