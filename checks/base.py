"""The contract between a check and the worker that runs it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from checks.types import Identifier, Severity, Slug

Scalar = str | int | bool | None
Evidence = Scalar | tuple[Scalar, ...]

SAMPLE = 20
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


class Sources(Protocol):
    """Where checks read."""

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
    confirmations: ClassVar[int] = 1
    """How many completed runs must see a finding before it counts as confirmed."""

    @abstractmethod
    def run(self, sources: Sources) -> Result:
        """Answer the question.

        Raises CheckError when it cannot be answered.
        """

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The tables, each with its columns, without which this check has no answer."""
        return {self.table: ()}
