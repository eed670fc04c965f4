"""What every command has: the configuration, exit codes, and how it fails."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from checks.contract import Check
from checks.sql.catalog import nearest
from worker import config
from worker.config import Config, ConfigError

errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    VIOLATIONS = 1
    USAGE = 2
    COULD_NOT_TELL = 3


class Format(StrEnum):
    """For people, or for programs."""

    TABLE = "table"
    JSON = "json"


ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The configuration file. Default: $RECONCILER_CONFIG, else ./config.toml.",
        show_default=False,
    ),
]


def load(path: Path | None) -> Config:
    """The configuration; ends the command when it has a mistake."""
    try:
        return config.load(path)
    except ConfigError as error:
        fail(Exit.USAGE, str(error))


def chosen(current: Config, patterns: Iterable[str]) -> list[Check]:
    """The checks of these names or patterns, all when there are none; ends at an unknown one."""
    patterns, known = list(patterns), [each.name for each in current.checks]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            fail(Exit.USAGE, f"no check is named {pattern}{nearest(pattern, known)}")
    return [
        each
        for each in current.checks
        if not patterns or any(fnmatchcase(each.name, pattern) for pattern in patterns)
    ]


def fail(code: Exit, message: str) -> NoReturn:
    """Say why, and end the command."""
    errors.print(f"reconciler: {message}", markup=False)
    raise typer.Exit(code)
