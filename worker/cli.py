"""The command line `reconciler`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from checks.base import Check, CheckError
from checks.catalog import nearest
from worker import config, demo, log, schema, show
from worker import report as audit_report
from worker.config import Config, ConfigError
from worker.run import Outcome, Run, execute
from worker.service import Worker, serve
from worker.sources import Databases
from worker.state import StateError

app = typer.Typer(
    name="reconciler",
    help="Continuous integrity audit of a ledger database.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")

_errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    VIOLATIONS = 1
    USAGE = 2
    COULD_NOT_TELL = 3


class CheckFormat(StrEnum):
    """How `check` prints."""

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


@app.command()
def run(config_path: ConfigPath = None) -> None:
    """Run the worker: schedule the checks, serve metrics and health, log what is found."""
    _serve(config_path, _load(config_path))


@app.command(name="demo")
def run_demo(
    config_path: ConfigPath = None,
    build_only: Annotated[bool, typer.Option("--build-only", help="Do not run.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Build it anew.")] = False,
) -> None:
    """Build the embedded demo ledger at the configured SQLite file, and run the worker on it."""
    current = _load(config_path)
    settings = current.settings.databases[current.settings.main_database]
    if settings.parsed.get_backend_name() != "sqlite":
        _fail(Exit.USAGE, "the demo needs a SQLite URL; the configured database is no demo")
    path = Path(settings.parsed.database or "")
    if fresh or not path.exists():
        demo.build(path)
        _errors.print(f"Built the demo ledger {path}", markup=False)
    if not build_only:
        _serve(config_path, current)


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
    output: Annotated[CheckFormat, typer.Option("--format")] = CheckFormat.TABLE,
) -> None:
    """Run checks once, now. Exit code: 0 all pass, 1 violations, 2 usage, 3 could not tell."""
    _ = complete  # no kind reads less than everything so far
    current = _load(config_path)
    chosen = _chosen(current, names or [])
    with _sources(current) as sources, _progress() as progress:
        task = progress.add_task("checks", total=len(chosen))
        runs = []
        for each in chosen:
            progress.update(task, description=each.name)
            runs.append(execute(each, sources))
            progress.advance(task)
    if output is CheckFormat.JSON:
        sys.stdout.write(log.dump(show.as_json(runs)) + "\n")
    else:
        show.print_table(runs)
    raise typer.Exit(_exit_code(runs))


@app.command()
def report(
    output_format: Annotated[
        audit_report.Format, typer.Option("--format")
    ] = audit_report.Format.MARKDOWN,
    language: Annotated[
        audit_report.Language, typer.Option("--language")
    ] = audit_report.Language.ENGLISH,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The file to write. Default: standard output."),
    ] = None,
    config_path: ConfigPath = None,
) -> None:
    """Run every check once and write the audit report. Exit codes are those of `check`."""
    current = _load(config_path)
    with _sources(current) as sources, _progress() as progress:
        task = progress.add_task("checks", total=len(current.checks))
        made = audit_report.collect(
            current, sources, lambda each: progress.update(task, description=each.name, advance=1)
        )
    _write(audit_report.render(made, output_format, language), output)
    told = _exit_code(list(made.runs))
    # The connection or the schema may be unknown though every check passed.
    unknown = told is Exit.OK and made.conclusion.outcome is not Outcome.PASS
    raise typer.Exit(Exit.COULD_NOT_TELL if unknown else told)


@config_app.command(name="check")
def config_check(
    config_path: ConfigPath = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Compare it with the real schema, too.")
    ] = False,
) -> None:
    """Read the configuration and report every mistake. Exit code 2 when there is one."""
    current = _load(config_path)
    if connect:
        with _sources(current) as sources:
            try:
                problems = schema.compare(current, sources)
            except CheckError as error:
                _fail(Exit.COULD_NOT_TELL, str(error))
        for problem in problems:
            _errors.print(str(problem), markup=False)
        if problems:
            raise typer.Exit(Exit.USAGE)
    tables = len(current.settings.tables)
    sys.stdout.write(f"{len(current.checks)} checks on {tables} tables: no mistake found\n")


def main() -> None:
    """The entry point of the command `reconciler`."""
    app()


def _exit_code(runs: list[Run]) -> Exit:
    match show.overall(runs):
        case Outcome.PASS:
            return Exit.OK
        case Outcome.FAIL:
            return Exit.VIOLATIONS
    return Exit.COULD_NOT_TELL


def _chosen(current: Config, patterns: list[str]) -> list[Check]:
    known = [each.name for each in current.checks]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            _fail(Exit.USAGE, f"no check is named {pattern}{nearest(pattern, known)}")
    return [
        each
        for each in current.checks
        if not patterns or any(fnmatchcase(each.name, pattern) for pattern in patterns)
    ]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=_errors,
        transient=True,
        disable=not _errors.is_terminal,
    )


@contextmanager
def _sources(current: Config) -> Iterator[Databases]:
    sources = Databases(current.settings.databases)
    try:
        yield sources
    finally:
        sources.close()


def _write(text: str, path: Path | None) -> None:
    if path is None:
        typer.echo(text.encode(), nl=False)  # UTF-8, whatever the terminal's locale
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _fail(Exit.USAGE, f"cannot write {path}: {error.strerror}")


def _load(path: Path | None) -> Config:
    try:
        return config.load(path)
    except ConfigError as error:
        _fail(Exit.USAGE, str(error))


def _serve(path: Path | None, current: Config) -> None:
    try:
        serve(path, current, _announce)
    except StateError as error:
        _fail(Exit.COULD_NOT_TELL, str(error))
    except OSError as error:
        http = current.settings.http
        _fail(Exit.USAGE, f"cannot listen on {http.host}:{http.port}: {error.strerror}")


def _announce(worker: Worker) -> None:
    for path, what in (
        ("/metrics", "for Prometheus"),
        ("/livez", "is the process alive"),
        ("/readyz", "has every check run"),
    ):
        typer.echo(f"  {worker.web.address}{path:<9} {what}")


def _fail(code: Exit, message: str) -> NoReturn:
    _errors.print(f"reconciler: {message}", markup=False)
    raise typer.Exit(code)
