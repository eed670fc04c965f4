"""`reconciler demo`: the worker on a ledger that comes with it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.common import ConfigPath, Exit, errors, fail, load
from worker.cli.run import foreground
from worker.config import DEFAULT_PATH, Config, Settings
from worker.demo import faults, injector, ledger, shipped, traffic
from worker.process import serve

app = typer.Typer(add_completion=False)

ENVIRONMENT = "demo"
"""What the place is called, unless the configuration names it."""


@app.command(name="demo")
def run_demo(
    config_path: ConfigPath = None,
    build_only: Annotated[bool, typer.Option("--build-only", help="Do not run.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Rebuild it.")] = False,
    with_faults: Annotated[
        bool, typer.Option("--faults", help="Break and repair it, so that findings come and go.")
    ] = False,
) -> None:
    """Build the embedded demo ledger at the configured SQLite file, and run the worker on it.

    Without a configuration it writes the shipped one to ./config.toml. Where the configuration
    names no access log, the demo has one of its own, ./demo-access.log.
    """
    _write_shipped(config_path)
    if with_faults:  # in the environment, because a reload reads the configuration again
        os.environ.setdefault("RECONCILER_SCHEDULE__EVERY", injector.EVERY)
    with _with_what_is_the_demos(config_path) as current:
        path = _ledger_of(current.settings)
        _prepare(path, fresh=fresh, sound=with_faults)
        how: traffic.Serve = partial(injector.serve, path) if with_faults else serve
        for each in list(current.settings.access_logs.values())[:1]:
            if _has_traffic(each.path):
                how = traffic.beside(each.path, how)
        if not build_only:
            foreground(config_path, current, how)


def _ledger_of(settings: Settings) -> Path:
    database = settings.databases[settings.main_database].parsed
    if database.get_backend_name() != "sqlite":
        fail(Exit.USAGE, "the demo needs a SQLite URL; the configured database is no demo")
    return Path(database.database or "")


def _prepare(path: Path, *, fresh: bool, sound: bool) -> None:
    """Build the ledger where there is none, or anew; mend it where a fault was left, or may be."""
    if (sound or fresh) and path.exists() and not ledger.is_built_here(path):
        fail(Exit.USAGE, f"{path} was not built by this demo, and is left as it is")
    if fresh or not path.exists():
        ledger.build(path)
        errors.print(f"Built the demo ledger {path}", markup=False)
    elif sound or faults.is_left_in(path):
        try:
            faults.mend(path)
        except sqlite3.Error as error:
            fail(Exit.COULD_NOT_TELL, f"cannot write {path}: {error}")
        errors.print(f"Built the demo ledger {path} anew", markup=False)


@contextmanager
def _with_what_is_the_demos(config_path: Path | None) -> Iterator[Config]:
    """The configuration, and in the environment, for reloads too, what it lacks of the demo."""
    before, current = dict(os.environ), load(config_path)
    lacking = dict(_lacking(current.settings))
    os.environ.update(lacking)
    try:
        yield load(config_path) if lacking else current
    finally:
        for variable in lacking.keys() - before.keys():
            del os.environ[variable]


def _lacking(settings: Settings) -> Iterator[tuple[str, str]]:
    """A name for the place, and the access log of its application, as variables."""
    name = settings.main_database
    named = "environment" in settings.databases[name].model_fields_set
    if not named and name == name.lower():  # a variable names no other
        yield f"RECONCILER_DATABASES__{name.upper()}__ENVIRONMENT", ENVIRONMENT
    if not settings.access_logs and traffic.SOURCE not in settings.sources:
        yield f"RECONCILER_ACCESS_LOGS__{traffic.SOURCE.upper()}__PATH", str(traffic.LOG)


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
