"""The command line `reconciler`."""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from checks.base import Check, CheckError, Window
from worker import findings, log, schema, show
from worker import report as audit_report
from worker import traffic as traffic_command
from worker.config import DEFAULT_PATH, Config
from worker.demo import faults, injector, ledger, shipped, traffic
from worker.process import serve
from worker.report.keys import key_standard
from worker.run import Outcome, Run, execute
from worker.service import Worker
from worker.sources import Sources
from worker.state import NoStateError, StateError, record, visit
from worker.terminal import ConfigPath, Exit, Format, chosen, errors, fail, load
from worker.windows import everything

app = typer.Typer(
    name="reconciler",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(findings.app, name="findings")
app.command()(traffic_command.traffic)


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


@app.command()
def run(config_path: ConfigPath = None) -> None:
    """Run the worker: schedule the checks, serve metrics and health, log what is found."""
    _serve(config_path, load(config_path))


@app.command(name="demo")
def run_demo(
    config_path: ConfigPath = None,
    build_only: Annotated[bool, typer.Option("--build-only", help="Do not run.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Build it anew.")] = False,
    with_faults: Annotated[
        bool, typer.Option("--faults", help="Break and mend it, so that findings come and go.")
    ] = False,
) -> None:
    """Build the embedded demo ledger at the configured SQLite file, and run the worker on it.

    Without a configuration it writes the shipped one to ./config.toml.
    """
    _write_shipped(config_path)
    if with_faults:  # in the environment, because a reload reads the configuration again
        os.environ.setdefault("RECONCILER_SCHEDULE__EVERY", injector.EVERY)
    current = load(config_path)
    settings = current.settings.databases[current.settings.main_database]
    if settings.parsed.get_backend_name() != "sqlite":
        fail(Exit.USAGE, "the demo needs a SQLite URL; the configured database is no demo")
    path = Path(settings.parsed.database or "")
    if (with_faults or fresh) and path.exists() and not ledger.is_built_here(path):
        fail(Exit.USAGE, f"{path} was not built by this demo, and is left as it is")
    if fresh or not path.exists():
        ledger.build(path)
        errors.print(f"Built the demo ledger {path}", markup=False)
    elif with_faults or faults.is_left_in(path):
        try:
            faults.mend(path)
        except sqlite3.Error as error:
            fail(Exit.COULD_NOT_TELL, f"cannot write {path}: {error}")
        errors.print(f"Built the demo ledger {path} anew", markup=False)
    how: traffic.Serve = partial(injector.serve, path) if with_faults else serve
    for each in list(current.settings.access_logs.values())[:1]:
        if _has_traffic(each.path):
            how = traffic.beside(each.path, how)
    if not build_only:
        _serve(config_path, current, how)


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
        bool,
        typer.Option("--show-sql", help="Print the SQL of the checks, and run none."),
    ] = False,
) -> None:
    """Run checks once, now. Exit code: 0 all pass, 1 violations, 2 usage, 3 could not tell."""
    current = load(config_path)
    asked = chosen(current, names or [])
    if show_sql:
        if output is Format.JSON:
            fail(Exit.USAGE, "--show-sql prints SQL, not json")
        typer.echo(show.as_sql(asked, everything(current.settings).zone))
        return
    windows = _windows(current, asked, complete=complete)
    with _sources(current) as sources, _progress() as progress:
        task = progress.add_task("checks", total=len(asked))
        runs = []
        for each in asked:
            progress.update(task, description=each.name)
            runs.append(execute(each, sources, windows[each.name]))
            progress.advance(task)
    if output is Format.JSON:
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
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Write the standard for idempotency keys instead."),
    ] = False,
    config_path: ConfigPath = None,
) -> None:
    """Run every check once and write the audit report. Exit codes are those of `check`."""
    current = load(config_path)
    if keys:
        _write(_key_standard(current, output_format, language), output)
        return
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
    current = load(config_path)
    if connect:
        with _sources(current) as sources:
            try:
                problems = schema.compare(current, sources)
            except CheckError as error:
                fail(Exit.COULD_NOT_TELL, str(error))
        for problem in problems:
            errors.print(str(problem), markup=False)
        if problems:
            raise typer.Exit(Exit.USAGE)
    tables = len(current.settings.tables)
    sys.stdout.write(f"{len(current.checks)} checks on {tables} tables: no mistake found\n")


def _write_shipped(named: Path | None) -> None:
    try:
        written = named is None and shipped.write_if_missing()
    except OSError as error:
        fail(Exit.USAGE, f"cannot write {DEFAULT_PATH}: {error.strerror}")
    if written:
        errors.print(f"Wrote {DEFAULT_PATH}, the shipped configuration", markup=False)


def _has_traffic(log: Path) -> bool:
    """Write the demo's traffic of the last hour; whether the log is one that may be written."""
    try:
        traffic.prepare(log)
    except traffic.NoDemoLogError as error:
        errors.print(f"{error}, and is left as it is: no traffic", markup=False)
        return False
    except OSError as error:  # it may work later
        errors.print(f"cannot write {log}: {error.strerror}", markup=False)
    return True


def _windows(current: Config, checks: Iterable[Check], *, complete: bool) -> Mapping[str, Window]:
    """What the worker's next run of each check would read; everything where nobody knows."""
    whole = everything(current.settings)
    windows = dict.fromkeys((each.name for each in checks), whole)
    try:
        with visit(current.settings.state) as state:
            windows = {each.name: record.window(state, each, whole) for each in checks}
    except NoStateError:
        pass  # no worker has run yet
    except StateError as error:
        errors.print(f"reconciler: the state cannot be read ({error}): reads all", markup=False)
    if complete:
        for each in checks:
            if not each.follows:
                windows[each.name] = replace(windows[each.name], cursor=None)
    return windows


def _key_standard(
    current: Config, output: audit_report.Format, language: audit_report.Language
) -> str:
    if output is not audit_report.Format.MARKDOWN:
        fail(Exit.USAGE, f"--keys writes Markdown, not {output}")
    if language is not audit_report.Language.ENGLISH:
        fail(Exit.USAGE, "--keys writes English only")
    if not current.settings.interfaces:
        fail(Exit.USAGE, "--keys needs [[interfaces]], and the configuration declares none")
    return key_standard(current.settings.interfaces)


def _exit_code(runs: list[Run]) -> Exit:
    match show.overall(runs):
        case Outcome.PASS:
            return Exit.OK
        case Outcome.FAIL:
            return Exit.VIOLATIONS
    return Exit.COULD_NOT_TELL


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


@contextmanager
def _sources(current: Config) -> Iterator[Sources]:
    sources = Sources.of(current.settings)
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
        fail(Exit.USAGE, f"cannot write {path}: {error.strerror}")


def _serve(
    path: Path | None,
    current: Config,
    how: Callable[[Path | None, Config, Callable[[Worker], None]], None] = serve,
) -> None:
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
