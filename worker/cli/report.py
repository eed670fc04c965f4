"""`reconciler report`: the audit report, and the standard for idempotency keys."""

import os
from pathlib import Path
from typing import Annotated

import typer

from worker import report as audit_report
from worker.cli.asking import exit_code, opened, progress_bar
from worker.cli.common import ConfigPath, Exit, fail, load
from worker.config import Config
from worker.model.run import Outcome
from worker.report.keys import key_standard

app = typer.Typer(add_completion=False)


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
    with opened(current) as sources, progress_bar() as progress:
        task = progress.add_task("checks", total=len(current.checks))
        made = audit_report.collect(
            current, sources, lambda each: progress.update(task, description=each.name, advance=1)
        )
    _write(audit_report.render(made, output_format, language), output)
    told = exit_code(list(made.runs))
    # The connection or the schema may be unknown though every check passed.
    unknown = told is Exit.OK and made.conclusion.outcome is not Outcome.PASS
    raise typer.Exit(Exit.COULD_NOT_TELL if unknown else told)


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


def _write(text: str, path: Path | None) -> None:
    if path is None:
        typer.echo(text.encode(), nl=False)  # UTF-8, whatever the terminal's locale
        return
    try:
        # What it tells is not for everybody; a file that is there keeps its rights.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - no path any more
            file.write(text)
    except OSError as error:
        fail(Exit.USAGE, f"cannot write {path}: {error.strerror}")
