"""`reconciler explain`: what checks ask, when and of what, and how the server goes about it."""

import sys
from typing import Annotated

import typer

from checks.contract import Check
from checks.ports import SourceType
from worker import explain as explaining
from worker.cli.asking import opened, progress_bar
from worker.cli.common import ConfigPath, Exit, Format, chosen, load
from worker.config import Config
from worker.explain import Recording
from worker.state.read_scope import everything
from worker.text.encode import dump

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    names: Annotated[
        list[str], typer.Argument(help="Checks, or patterns with '*'.", metavar="NAME")
    ],
    config_path: ConfigPath = None,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Run them once, and show each statement with its plan."),
    ] = False,
    output: Annotated[Format, typer.Option("--format")] = Format.TABLE,
) -> None:
    """Explain checks before they run on production. Exit code 3: a run could not be evaluated."""
    current = load(config_path)
    asked = chosen(current, names)
    recordings = _recorded(current, asked) if connect else {}
    described = [(explaining.describe(current, each), recordings.get(each.name)) for each in asked]
    if output is Format.JSON:
        checks = [explaining.as_json(*each) for each in described]
        sys.stdout.write(dump({"checks": checks}) + "\n")
    else:
        typer.echo(explaining.as_text(described))
    done = all(one.run.completed for each in recordings.values() for one in each)
    raise typer.Exit(Exit.OK if done else Exit.COULD_NOT_TELL)


def _recorded(current: Config, asked: list[Check]) -> dict[str, list[Recording]]:
    """What each check that asks a database executes."""
    window, found = everything(current.settings), {}
    with opened(current) as sources, progress_bar() as progress:
        task = progress.add_task("checks", total=len(asked))
        for each in asked:
            progress.update(task, description=each.name)
            if each.source_type is SourceType.DATABASE:
                found[each.name] = explaining.record(each, sources, window)
            progress.advance(task)
    return found
