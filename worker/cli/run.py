"""`reconciler run`: the worker in the foreground."""

from collections.abc import Callable
from pathlib import Path

import typer

from worker.app import Worker
from worker.cli.common import ConfigPath, Exit, fail, load
from worker.config import Config
from worker.process import serve
from worker.state import StateError

app = typer.Typer(add_completion=False)


@app.command()
def run(config_path: ConfigPath = None) -> None:
    """Run the worker: schedule the checks, serve metrics and health, log what is found."""
    foreground(config_path, load(config_path))


def foreground(
    path: Path | None,
    current: Config,
    how: Callable[[Path | None, Config, Callable[[Worker], None]], None] = serve,
) -> None:
    """Run the worker until a signal ends it; ends the command when it cannot begin."""
    try:
        how(path, current, _announce)
    except StateError as error:
        fail(Exit.COULD_NOT_TELL, str(error))
    except OSError as error:
        http = current.settings.http
        fail(Exit.USAGE, f"cannot listen on {http.host}:{http.port}: {error.strerror}")


def _announce(worker: Worker) -> None:
    for path, what in (
        ("/", "the status page"),
        ("/metrics", "for Prometheus"),
        ("/livez", "is the process alive"),
        ("/readyz", "has every check run"),
    ):
        typer.echo(f"  {worker.web.address}{path:<9} {what}")
