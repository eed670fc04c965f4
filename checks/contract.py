"""The contract between a check and the worker that runs it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from checks.card import Card, Detail, Sample, SchemaFacts, Section
from checks.ports import Cursor, Sources, SourceType
from checks.types import CheckName, Severity, Slug, TableName, Tolerance

Scalar = str | int | bool | None
Evidence = Scalar | tuple[Scalar, ...]

SAMPLE = 1000
"""The most findings one run returns. Violations are counted exactly; only the sample is bounded."""


TWO_TRANSACTIONS = timedelta(seconds=10)
"""How far apart two transactions may be that write what belongs together, unless stated."""


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
    """Rows (or, for the schema kinds, tables, columns or indexes) that were judged."""
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
    excluded: Mapping[str, int | None] = field(default_factory=dict)
    """Rows that were not judged, by the reason; None where they were not counted."""
    estimated: bool = False
    """Whether at most about so many were examined: the catalog's estimate, excluded rows and all,
    or rows some of which wait for others of their group."""

    @property
    def sample_is_whole(self) -> bool:
        """Whether `findings` holds every violation, so that what is absent from it is mended."""
        return len(self.findings) == self.violations


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a run that could not tell."""

    cursor: Cursor | None = None
    """From where the next run goes on; None leaves it where this one began."""
    samples: tuple[Sample, ...] = ()
    """Values of the metrics that the card of the kind declares."""


class CheckError(Exception):
    """The check could not answer. Says nothing about the data.

    `permanent` tells that asking again will not help until somebody changes the database, the
    account or the configuration; `retry` that asking once more, at once, may well help; `overrun`
    that the time limit ended it. `kept` holds what outlives the run all the same: a cursor, where
    the next one goes on, and samples of metrics.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry: bool = False,
        overrun: bool = False,
        kept: Kept | None = None,
    ) -> None:
        super().__init__(message)
        self.kept = kept
        self.permanent = permanent
        self.retry = retry
        self.overrun = overrun


class RunStopped(CheckError):  # noqa: N818 - a decision, not a fault
    """The run was cut short on purpose, because the worker is stopping."""


class Check(BaseModel, ABC):
    """One declared question about the data. Its TOML table is the check, field by field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: CheckName
    kind: str
    database: Slug = "ledger"
    table: TableName
    """The table on which a violation is blamed."""
    severity: Severity = Severity.WARNING
    confirmations: int = Field(default=1, ge=1, le=100)
    """How many completed runs must see a finding before it counts as confirmed."""
    confirm_after: Tolerance | None = Field(default=None, repr=False)
    """And for how long, from the end of the first to the beginning of the latest."""
    card: ClassVar[Card]
    """What people and programs are shown of the kind."""
    reads: ClassVar[str] = "database"
    """The field that names the source."""
    reads_rows: ClassVar[bool] = True
    """Whether it reads rows, and so takes a relation in place of a table; else the catalog."""
    follows: ClassVar[bool] = False
    """Whether each run goes on where the one before ended, so that none reads everything."""
    beside: ClassVar[Mapping[str, str]] = {}
    """Fields that name a further table, each with the prefix of the fields that the facts of that
    table fill in: `primary_key`, `cursor`, `written_at`."""
    along_keys: ClassVar[frozenset[str]] = frozenset()
    """Prefixes among these of tables that are read along their primary key, in its own order: a
    cursor of the facts beside a key of several columns is none for such a check."""

    @abstractmethod
    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Answer the question, of everything or of what is new since `window.cursor`.

        A run along a cursor also looks at every known finding again, so that `findings` is the
        whole truth as far as the check knows it. Raises CheckError when it cannot be answered.
        """

    def evaluate(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Run, with what the configuration leaves to the database taken from there."""
        return self.run(sources, window)

    def taken(self, connection: Connection) -> Mapping[str, Any]:
        """The fields that are taken from the catalog because nobody states them.

        Raises a permanent CheckError where the catalog does not say what is needed.
        """
        _ = connection
        return {}

    def completed(self, connection: Connection) -> Self:
        """The same check with these fields."""
        _ = connection
        return self

    def complaints(self, connection: Connection) -> Iterator[str]:
        """What in the real schema does not fit this check's fields, beyond missing names."""
        _ = connection
        yield from ()

    def suspicions(self, connection: Connection) -> Iterator[str]:
        """What in the data lets doubt that the rule, as it is written, is the one that is meant.

        A cheap look at a bounded number of rows.
        """
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

    @property
    def added_sources(self) -> Mapping[SourceType, str]:
        """Further sources that are read, by their sort."""
        return {}

    @property
    def waits_for_source(self) -> bool:
        """Whether it is left out while no source has that name; elsewhere that is a mistake."""
        return False

    def unfit_source(self, found: SourceType) -> str | None:
        """Why a source of this name and sort is not the one; None where it is not to be known."""
        _ = found
        return None

    @property
    def confirmation_time(self) -> timedelta:
        """For how long completed runs must see a finding before it counts as confirmed.

        Runs may follow one another so fast that what takes a moment is seen by several.
        """
        if self.confirm_after is not None:
            return self.confirm_after
        return self.takes_a_moment if self.confirmations > 1 else timedelta()

    @property
    def takes_a_moment(self) -> timedelta:
        """For how long what is under way may look wrong, as far as the kind knows."""
        return timedelta()

    @property
    def cursor_owner(self) -> str:
        """What a cursor belongs to: one that a check with another owner left is of no use.

        A field that was added later is declared with `repr=False`: it counts only where it is
        stated, so that cursors of configurations without it stay valid.
        """
        later = {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if not field.repr
        }
        stated = [f"{n}={v!r}" for n, v in later.items() if v != self.field_default(n)]
        return " ".join((repr(self), *stated))

    @classmethod
    def field_default(cls, name: str) -> Any:
        """What a field is unless it is stated."""
        return cls.model_fields[name].get_default(call_default_factory=True)

    def reading(self, relations: Mapping[str, Any]) -> Self:
        """The same check, of what these names stand for; itself where it reads no such rows."""
        _ = relations
        return self

    def hiding(self, personal: Iterable[str]) -> Self:
        """The same check, where columns of these patterns hold personal values.

        Itself, unless its messages are written in the configuration.
        """
        _ = personal
        return self

    @property
    def excluded(self) -> tuple[str, ...]:
        """Which rows do not count, by what is said of tables: no verdict covers them either."""
        return ()

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

    @property
    def definitions(self) -> Mapping[str, str]:
        """The names it reads that stand for other rows than a table's, each with its SELECT."""
        return {}

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the database that are read, which the account must be allowed to."""
        return tuple(self.needs)
