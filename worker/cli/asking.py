"""What the commands share that ask the databases once."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from worker.cli.common import Exit, errors
from worker.config import Config
from worker.model.run import Outcome, Run, overall
from worker.sources import Sources


def exit_code(runs: list[Run]) -> Exit:
    """What runs come to, the worst of them."""
    match overall(runs):
        case Outcome.PASS:
            return Exit.OK
        case Outcome.FAIL:
            return Exit.VIOLATIONS
    return Exit.COULD_NOT_TELL


def progress_bar() -> Progress:
    """How many checks are done, on a terminal only."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


@contextmanager
def opened(current: Config) -> Iterator[Sources]:
    """What the configuration names to be read, and closed at the end."""
    sources = Sources.of(current.settings)
    try:
        yield sources
    finally:
        sources.close()
