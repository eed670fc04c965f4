"""Expected texts in files of their own, beside the tests: `__snapshots__/<file>/<test>.<ending>`.

A test fails where such a file is missing or differs; CONTRIBUTING.md has the one line that writes
them. In CI they are never written.
"""

import os

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode


class Text(SingleFileSnapshotExtension):
    """What a command prints."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


class Sql(Text):
    """Statements."""

    file_extension = "sql"


class MarkdownFile(Text):
    """A report."""

    file_extension = "md"


def refuse_in_ci(config: pytest.Config) -> None:
    """End a run that would write expected texts where nobody looks at them."""
    writes = ("update_snapshots", "update_new_snapshots_only")
    if os.environ.get("CI") and any(config.getoption(each, default=False) for each in writes):
        raise pytest.UsageError("--snapshot-update in CI: expected texts are written by people")
