"""The command line `reconciler`: which commands there are."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from worker.importing import imported

COMMANDS = ("traffic", "run", "demo", "check", "explain", "report", "config", "findings")
"""Each is the module of its name in `worker/cli/`."""


class _Commands(Mapping[str, Any]):
    """The commands by name. A module is imported when its command is looked up.

    Most of the time of a short command would go into importing what only others need.
    """

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return get_command(imported(f"worker.cli.{name}").app)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Reconciler(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands()})


app = typer.Typer(
    name="reconciler",
    cls=_Reconciler,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it so
    if wanted:
        typer.echo(f"reconciler {version('reconciler')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Continuous integrity audit of a ledger database."""
