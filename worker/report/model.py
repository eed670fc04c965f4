"""What a report says, as data. This model, written as JSON, is the JSON format.

Field names are stable: what is added later comes with a default, what is here is not renamed.
The sections hold numbers and verdicts; the rows that were found wrong are in `checks`, which the
sections name by `check`. An `outcome` is `pass`, `fail`, `error` or `skipped`; the last two say
that nobody could tell, and so does a number that is null.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr

from checks.contract import Scalar
from checks.types import Severity
from worker.model.run import Outcome, Run


class Part(BaseModel):
    """A piece of a report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Connection(Part):
    """Which server a database's connections speak to; what is null could not be asked."""

    database: str
    """The name that the configuration gives it."""
    environment: str
    host: str
    port: int
    """0 for a file."""
    schema_name: str
    account: str
    server: str | None = None
    """`MySQL`, `MariaDB` or `SQLite`."""
    version: str | None = None
    time_zone: str | None = None
    """The server's own."""
    privileges_beyond_reading: tuple[str, ...] | None = None
    """Empty when the account can only read, as it should."""
    error: str | None = None


class FoundIndex(Part):
    """An index as the database has it, read whole."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    partial: bool
    """Whether it covers only a prefix of a column, an expression or some of the rows."""
    nullable_columns: tuple[str, ...]
    """Its columns that take NULL: rows with NULL there may repeat in spite of it."""
    redundant_with: tuple[str, ...]
    """Other unique indexes over the same columns."""
    keys: tuple[tuple[str, ...], ...]
    """The declared keys that it protects."""


class Key(Part):
    """A declared key of a table and the unique indexes that protect it."""

    columns: tuple[str, ...]
    expected_index: str | None = None
    found_indexes: tuple[str, ...] | None = None
    """The unique indexes over exactly these columns."""
    outcome: Outcome | None = None
    """Of the check that such an index exists; null when nothing asks for one."""
    check: str | None = None


class TableRow(Part):
    """A table in scope."""

    database: str
    table: str
    exists: bool | None = None
    type: str | None = None
    """`BASE TABLE`, `VIEW` and so on, as the database calls it; null when it does not exist."""
    rows: int | None = None
    keys: tuple[Key, ...] = ()
    indexes: tuple[FoundIndex, ...] | None = None
    """The unique indexes of the table, and the others over columns of a declared key."""
    outcome: Outcome
    """The worst of the checks on this table."""
    violations: dict[str, int] = {}
    """By kind of check, where a check of that kind completed."""
    unknown: tuple[str, ...] = ()
    """The kinds of which a check could not tell."""


class RetiredTable(Part):
    """A table that must not exist."""

    database: str
    table: str
    type: str | None = None
    outcome: Outcome
    check: str


class ColumnRow(Part):
    """A column: declared, retired, or just part of a key."""

    database: str
    table: str
    column: str
    role: Literal["declared", "retired", "key"]
    declared: str | None = None
    """The declared type; ends in `not null` or `null` when that was declared, too."""
    found: str | None = None
    """The type that the database tells."""
    nullable: bool | None = None
    outcome: Outcome | None = None
    """Null where nothing was declared."""
    check: str | None = None


class CheckedRow(Part):
    """What one check told about a table; the base of the rows of several sections."""

    check: str
    database: str
    table: str
    severity: Severity
    outcome: Outcome
    examined: int | None = None
    """Rows that were judged."""
    estimated: bool | None = None
    """Whether that is the catalog's estimate."""
    violations: int | None = None


class DuplicatesRow(CheckedRow):
    """Rows that share a key; `violations` counts groups of them."""

    columns: tuple[str, ...]
    nulls: Literal["equal", "distinct"]
    surplus_rows: int | None = None
    groups_spelled_differently: int | None = None


class BlankRow(CheckedRow):
    """Values that are missing in a column."""

    column: str
    null: int | None = None
    empty: int | None = None
    white_space: int | None = None


class BalanceRow(CheckedRow):
    """Negative amounts; `violations` counts rows."""

    negative: dict[str, int | None]
    """By column."""


class State(Part):
    """One value of a state column."""

    value: str
    rows: int


class StatesRow(CheckedRow):
    """Rows by state, and those that break the condition on it."""

    column: str
    expression: str
    states: tuple[State, ...] | None = None
    """Most frequent first."""


class OtherRow(CheckedRow):
    """A check that has no section of its own."""

    kind: str
    question: str | None = None
    """The expression of a condition, the bounds of a row count."""


class FindingRow(Part):
    """One wrong thing, as its check described it; the message is in English."""

    key: dict[str, Scalar]
    message: str
    evidence: dict[str, Scalar | tuple[Scalar, ...]]


class CheckRow(Part):
    """One run, with the field names of `reconciler check --format json`."""

    name: str
    kind: str
    source: str
    database: str
    table: str
    severity: Severity
    outcome: Outcome
    scope: str
    examined: int | None
    estimated: bool | None
    excluded: dict[str, int | None]
    """Rows that were not judged, by the reason; null where they were not counted."""
    leaves_out: tuple[str, ...]
    """What no verdict covers, in words."""
    violations: int | None
    seconds: float
    error: str | None
    permanent: bool
    """Whether running it again cannot help until somebody changes something."""
    measures: dict[str, int]
    notes: tuple[str, ...]
    findings: tuple[FindingRow, ...]
    """A sample: `violations` says how many there are."""


class Unknown(Part):
    """One reason why something could not be told."""

    database: str
    error: str
    permanent: bool
    checks: tuple[str, ...]
    """Empty when it was the connection or the schema that could not be read."""


class Conclusion(Part):
    """The verdict on everything."""

    outcome: Outcome
    """`pass` only when at least one check ran, all passed and nothing is unknown."""
    checks: int
    passed: int
    failed: int
    unknown: int
    failed_by_severity: dict[Severity, int]
    violations_by_severity: dict[Severity, int]
    may_write: tuple[str, ...]
    """The databases whose account may do more than read."""


class Report(Part):
    """The audit of everything that the configuration declares, at one time."""

    version: Literal[1] = 1
    """Of this format."""
    started_at: datetime
    """UTC."""
    finished_at: datetime
    """UTC."""
    timezone: str
    """The zone in which the audited databases write their times, as configured."""
    connections: tuple[Connection, ...]
    tables: tuple[TableRow, ...]
    retired_tables: tuple[RetiredTable, ...]
    columns: tuple[ColumnRow, ...]
    duplicates: tuple[DuplicatesRow, ...]
    blanks: tuple[BlankRow, ...]
    balances: tuple[BalanceRow, ...]
    states: tuple[StatesRow, ...]
    others: tuple[OtherRow, ...]
    checks: tuple[CheckRow, ...]
    unknown: tuple[Unknown, ...]
    conclusion: Conclusion
    _runs: tuple[Run, ...] = PrivateAttr(default=())

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that it was made of; none when it was read back from JSON."""
        return self._runs
