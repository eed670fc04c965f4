"""`reconciler check`: checks once, now."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from checks.contract import Check, Window
from worker.cli import printing
from worker.cli.asking import exit_code, opened, progress_bar
from worker.cli.common import ConfigPath, Exit, Format, chosen, errors, fail, load
from worker.config import Config
from worker.scheduling.execute import execute
from worker.state import NoStateError, StateError, runs, visit
from worker.state.read_scope import everything
from worker.status.as_json import runs_as_json
from worker.text.encode import dump

app = typer.Typer(add_completion=False)


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Checks to run, or patterns with '*'. Default: all.", metavar="NAME"),
    ] = None,
    config_path: ConfigPath = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Read everything, not only what is new.")
    ] = False,
    output: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    show_sql: Annotated[
        bool, typer.Option("--show-sql", help="Print the SQL of the checks, and run none.")
    ] = False,
) -> None:
    """Run checks once, now. Exit code: 0 all pass, 1 violations, 2 usage, 3 not evaluated."""
    current = load(config_path)
    asked = chosen(current, names or [])
    if show_sql:
        if output is Format.JSON:
            fail(Exit.USAGE, "--show-sql prints SQL, not json")
        typer.echo(printing.as_sql(asked, everything(current.settings).zone, datetime.now(UTC)))
        return
    windows = _windows(current, asked, complete=complete)
    with opened(current) as sources, progress_bar() as progress:
        task = progress.add_task("checks", total=len(asked))
        runs = []
        for each in asked:
            progress.update(task, description=each.name)
            runs.append(execute(each, sources, windows[each.name]))
            progress.advance(task)
    if output is Format.JSON:
        sys.stdout.write(dump(runs_as_json(runs)) + "\n")
    else:
        printing.print_table(runs)
    raise typer.Exit(exit_code(runs))


def _windows(current: Config, checks: Iterable[Check], *, complete: bool) -> Mapping[str, Window]:
    """What the worker's next run of each check would read; everything where nobody knows."""
    whole = everything(current.settings)
    windows = dict.fromkeys((each.name for each in checks), whole)
    try:
        with visit(current.settings.state) as state:
            windows = {each.name: runs.window(state, each, whole) for each in checks}
    except NoStateError:
        pass  # no worker has run yet
    except StateError as error:
        errors.print(f"reconciler: the state cannot be read ({error}): reads all", markup=False)
    if complete:
        for each in checks:
            if not each.follows:
                windows[each.name] = replace(windows[each.name], cursor=None)
    return windows
