"""The contract between a check and the worker that runs it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from checks.card import Card, Detail, Sample, SchemaFacts, Section
from checks.types import Identifier, Severity, Slug

Scalar = str | int | bool | None
Evidence = Scalar | tuple[Scalar, ...]

Cursor = Mapping[str, Any]
"""How far a check has read: a JSON object that only the check itself understands."""

SAMPLE = 1000
"""The most findings one run returns. Violations are counted exactly; only the sample is bounded."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One wrong thing: a row, a group of rows, a column, an index or a table."""

    key: Mapping[str, Scalar]
    """What identifies it within its check, the same at every run: primary key or group key."""
    message: str
    """One sentence for a person; holds no value that `key` and `evidence` do not hold."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """What was seen: counts, amounts, row ids."""
    magnitude: int = 1
    """How wrong it is: rows too many, or the amount by which something is off. An acknowledged
    finding whose magnitude grows is worse than what was acknowledged."""
    aspects: tuple[str, ...] = ()
    """The ways in which it is wrong. One that is wrong in a new way is worse, too."""


@dataclass(frozen=True, slots=True)
class Window:
    """How much a run is to read, and what the runs before it left."""

    cursor: Cursor | None = None
    """What the latest completed run left; None asks to read everything."""
    known: tuple[Mapping[str, Scalar], ...] = ()
    """The keys of this check's findings that are not resolved."""
    zone: tzinfo = UTC
    """In which DATETIME columns are written."""
    overlap: timedelta = timedelta(minutes=10)
    """The longest that a transaction lasts: so long may a row still appear before the cursor."""
    overlap_rows: int = 2_000
    """The last rows of a table that are read again in any case."""


EVERYTHING = Window()
"""Read everything, knowing nothing."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a completed run saw."""

    examined: int
    """Rows (or, for the schema kinds, tables, columns or indexes) that the verdict covers."""
    violations: int
    """Exact count: groups for `duplicates`, rows or schema objects elsewhere."""
    findings: tuple[Finding, ...] = ()
    """A sample of the violations: all of them when there are at most `SAMPLE`."""
    measures: Mapping[str, int] = field(default_factory=dict)
    """Further exact counts, by a name that the kind documents."""
    notes: tuple[str, ...] = ()
    """Remarks that are no violations."""
    complete: bool = True
    """Whether everything was read, and not only what is new and what was known to be wrong."""
    cursor: Cursor | None = None
    """From where the next run can go on; None when it has to read everything."""
    samples: tuple[Sample, ...] = ()
    """Values of the metrics that the card of the kind declares."""
    details: tuple[Detail, ...] = ()
    """Rows of the table that the card of the kind declares for the check's page."""

    @property
    def sample_is_whole(self) -> bool:
        """Whether `findings` holds every violation, so that what is absent from it is mended."""
        return len(self.findings) == self.violations


class CheckError(Exception):
    """The check could not answer. Says nothing about the data.

    `permanent` tells that asking again will not help until somebody changes the database, the
    account or the configuration; `retry` that asking once more, at once, may well help.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry = retry


class RunStopped(CheckError):  # noqa: N818 - a decision, not a fault
    """The run was cut short on purpose, because the worker is stopping."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a log."""

    text: bytes
    """Whole lines, each with its line feed; undecoded, and whatever bytes somebody wrote."""
    place: Cursor
    """From where to go on after these lines."""
    behind: int
    """Bytes that are written and come after these lines."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Lines left out before the end of this block, by reason: `too_long`."""
    note: str | None = None
    """What a person should know: that some part of the log could not be had any more."""


class Lines(Protocol):
    """How the lines of a log tell of what it is about."""

    def reader(self, zone: tzinfo) -> Callable[[bytes], Any]:
        """What reads whole lines; times without an offset are in this zone."""


class AccessLog(Protocol):
    """A log that grows."""

    @property
    def format(self) -> Lines:
        """How its lines are read."""

    def blocks(self, place: Cursor | None) -> Iterator[Block]:
        """What was written after a place, in order, to the end or until a run's time is up.

        None is the beginning, or the end where the settings say so. Raises CheckError.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Prometheus server answered to an instant query."""

    series: tuple[tuple[Mapping[str, str], float], ...]
    """Each series by its labels. None of them is NaN or infinite."""
    notes: tuple[str, ...] = ()
    """The server's warnings, and what was left out."""


class Prometheus(Protocol):
    """A Prometheus server, or what speaks its HTTP API."""

    def query(self, promql: str, at: datetime | None = None) -> Answer:
        """The value of an expression, at present or at another time.

        Raises CheckError; an answer without series says that there are none.
        """


class SourceType(StrEnum):
    """The sorts of sources, each by the section of the configuration that declares them."""

    DATABASE = "databases"
    ACCESS_LOG = "access_logs"
    PROMETHEUS = "prometheus"


class Sources(Protocol):
    """Where checks read."""

    def access_log(self, name: str) -> AccessLog:
        """A log of `[access_logs]`."""

    def prometheus(self, name: str) -> Prometheus:
        """A server of `[prometheus]`."""

    def snapshot(self, database: str) -> AbstractContextManager[Connection]:
        """Open one consistent, read-only view of a database, bounded in time.

        Raises CheckError when the database cannot be read, also for errors inside the block.
        """


class Check(BaseModel, ABC):
    """One declared question about the data. Its TOML table is the check, field by field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Slug
    kind: str
    database: Slug = "ledger"
    table: Identifier
    """The table on which a violation is blamed."""
    severity: Severity = Severity.WARNING
    confirmations: int = Field(default=1, ge=1, le=100)
    """How many completed runs must see a finding before it counts as confirmed."""
    card: ClassVar[Card]
    """What people and programs are shown of the kind."""
    reads: ClassVar[str] = "database"
    """The field that names the source."""
    follows: ClassVar[bool] = False
    """Whether each run goes on where the one before ended, so that none reads everything."""
    beside: ClassVar[Mapping[str, str]] = {}
    """Fields that name a further table, each with the prefix of the fields that the facts of that
    table fill in: `primary_key`, `cursor`, `written_at`."""

    @abstractmethod
    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Answer the question, of everything or of what is new since `window.cursor`.

        A run along a cursor also looks at every known finding again, so that `findings` is the
        whole truth as far as the check knows it. Raises CheckError when it cannot be answered.
        """

    def complaints(self, connection: Connection) -> Iterator[str]:
        """What in the real schema does not fit this check's fields, beyond missing names."""
        _ = connection
        yield from ()

    def look(self, keys: Sequence[Mapping[str, Scalar]] = ()) -> str | None:
        """One SELECT for MySQL and MariaDB with which a person looks at findings, or at what to.

        With keys of findings it shows these; keys of another sort than the first are left out.
        Without any it shows the first of all violations, `settle` aside and `since` as the
        configuration writes it; of `stuck` all rows in the state. None where no SQL can show them.
        """
        _ = keys
        return None

    def row_keys(self, evidence: Mapping[str, Any]) -> Sequence[Mapping[str, Scalar]]:
        """Keys for `look` of single rows of a finding, where it is one of several; else none."""
        _ = evidence
        return ()

    def statements(self, at: datetime, zone: tzinfo) -> Sequence[str]:
        """What a complete run that begins `at` executes, as SQL for MySQL and MariaDB.

        Without a database, so of columns that are short texts in UTF-8 or, where they hold a time,
        DATETIME in this zone. Empty where what a run executes depends on more than that.
        """
        _ = at, zone
        return ()

    @property
    def section(self) -> Section:
        """Where a report shows this check."""
        return self.card.section

    @property
    def counts_rows(self) -> bool:
        """Whether a run's `examined` is the exact number of rows of the table, and its answer."""
        return self.card.section is Section.ROWS

    def report_fields(self, result: Result | None) -> Mapping[str, Any]:
        """The fields of its row in that section, beside those that every row has.

        Of a run that could not tell `result` is None; what only a run can tell is None then, too.
        """
        _ = result
        return {}

    def schema_facts(self) -> SchemaFacts:
        """What it states of the schema of its table."""
        return SchemaFacts()

    @property
    def source_name(self) -> str:
        """The source that is read: a database, an access log or a Prometheus server."""
        return str(getattr(self, self.reads))

    @property
    def source_type(self) -> SourceType:
        """The sort of the source that is read."""
        return SourceType.DATABASE

    def unfit_source(self, found: SourceType) -> str | None:
        """Why a source of this name and sort is not the one; None where it is not to be known."""
        _ = found
        return None

    @property
    def cursor_owner(self) -> str:
        """What a cursor belongs to: one that a check with another owner left is of no use."""
        return repr(self)

    @property
    def rule(self) -> str | None:
        """What must be true, in one line, where name, kind and table do not say it all."""
        return None

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """What no verdict of this check covers, as people read it: which rows, and why."""
        return ()

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The tables, each with its columns, without which this check has no answer."""
        return {self.table: ()}
