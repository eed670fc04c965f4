"""The card of a kind: what people and programs are shown of it, beside what it asks.

Alert rules, the dashboard, reports, metrics, pages and tables of the documentation are made of the
cards of all kinds, so that none of them has to know a kind.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal


def _refuse_empty(part: Any) -> None:
    for each in fields(part):
        if getattr(part, each.name) == "":
            raise ValueError(f"{type(part).__name__}: {each.name} is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A phrase in each language of a report. `{name}` stands for a value."""

    en: str
    zh: str

    def __post_init__(self) -> None:
        _refuse_empty(self)

    def said(self, language: str) -> str:
        """The phrase in a language, by its code."""
        phrase: str = getattr(self, language)
        return phrase


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words with the values that are put into them."""

    words: Words
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The alert that confirmed findings raise, the same by rules and by direct push.

    Each has a runbook of its name. In `summary` and `advice` stand `{count}`, the number of
    confirmed findings, `{check}`, `{kind}` and `{table}`; all else is a template of Prometheus.
    """

    name: str
    rank: int
    """Where it stands among all alerts on data, the gravest first."""
    meaning: str
    """What is wrong, in a few words: for lists of alerts."""
    summary: str
    """What is wrong with which table, in one sentence."""
    advice: str
    """What to think of first; lines of a template."""
    explanation: str
    """When it fires, exactly: for the documentation. `{kinds}` are the kinds that raise it."""

    def __post_init__(self) -> None:
        _refuse_empty(self)
        if not re.fullmatch(r"Reconciler[A-Z][A-Za-z]+", self.name):
            raise ValueError(f"alert {self.name}: the name of an alert begins with Reconciler")


VIOLATION = Alert(
    name="ReconcilerViolation",
    rank=1000,
    meaning="any other rule broken",
    summary="{count} violations of {check} ({kind}) in {table}.",
    advice="What the rule asks for stands on the check's page.",
    explanation="Every other kind, one of a later version included, so that no finding is silent:"
    " {kinds}.",
)
"""The alert of every kind without one of its own, so that no kind is silent."""

SCHEMA_DRIFT = Alert(
    name="ReconcilerSchemaDrift",
    rank=70,
    meaning="tables, columns or indexes not as declared",
    summary="The schema of {table} is not as declared in {count} places ({check}).",
    advice="Was there a migration or a restore? A unique index that is gone lets duplicates in from"
    " now on.",
    explanation="the schema is not as declared. A column that is missing may also make other checks"
    " blind.",
)
"""The alert of the kinds that ask about the schema."""

SUM_MISMATCH = Alert(
    name="ReconcilerSumMismatch",
    rank=35,
    meaning="rows that do not add up",
    summary="{count} sums of {table} are not what they must be ({check}).",
    advice="A row is missing, there twice, or of another amount. The finding says by how much.",
    explanation="rows do not add up to what they must: debits and credits, or details and the total"
    " that is kept of them. The number is that of sums.",
)
"""The alert of the kinds that add up groups of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric of a kind: its series come from the latest run of each check.

    A run that could not tell withdraws the gauges of its check; counters stay.
    """

    name: str
    """As it is exported: that of a counter ends with `_total`."""
    type: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...]
    meaning: str
    """What it tells, for the documentation."""

    def __post_init__(self) -> None:
        _refuse_empty(self)
        if not self.name.startswith("reconciler_"):
            raise ValueError(f"metric {self.name}: the name of a metric begins with reconciler_")
        if (self.type == "counter") != self.name.endswith("_total"):
            raise ValueError(f"metric {self.name}: a counter, and nothing else, ends with _total")


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a family, as a run saw it."""

    family: Family
    labels: tuple[str, ...]
    """Values of the family's labels, in their order; from the configuration, never from rows."""
    number: float


class Section(StrEnum):
    """Where a report shows a check."""

    TABLES = "tables"
    COLUMNS = "columns"
    INDEXES = "indexes"
    ROWS = "rows"
    """In the line of its table, which has the number of rows."""
    DUPLICATES = "duplicates"
    BLANKS = "blanks"
    BALANCES = "balances"
    STATES = "states"
    OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFacts:
    """What a check states of the schema of its table, for a report's sections on it."""

    retired: bool = False
    """Whether the table must not exist."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Declarations by column."""
    retired_columns: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    """Columns that no two rows share."""
    indexed: bool = False
    """Whether the check asks that an index says so."""
    index: str | None = None
    """The name that this index should have."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A column of a table on the page of a check."""

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A table on the page of a check, of what its latest run saw beside findings."""

    anchor: str
    title: str
    order: str
    """Which rows stand first."""
    nothing: str
    """What is said where there are no rows."""
    headings: tuple[Heading, ...]

    def __post_init__(self) -> None:
        _refuse_empty(self)


@dataclass(frozen=True, slots=True)
class Detail:
    """A row of that table."""

    fields: Mapping[str, Any]
    """As programs get it."""
    qualifier: str
    """What stands, fainter, before the first cell."""
    cells: tuple[str, ...]
    """One for each heading."""


Phrases = Callable[[Mapping[str, object]], Iterable[Phrase]]
"""What a report says of a finding with this evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a kind says of itself."""

    violation: str
    """What counts as one violation: for the table of kinds in the documentation."""
    title: Words
    """What a report calls the kind."""
    alert: Alert = VIOLATION
    families: tuple[Family, ...] = ()
    """The metrics of which its results hold samples."""
    section: Section = Section.OTHERS
    clean: Words | None = None
    """What a report says of a table in which it found nothing, if it says so."""
    phrases: Phrases | None = None
    """How a report tells of a finding, in its own words. Without it the evidence is shown, after
    the finding's message, which is English."""
    evidence_says_all: bool = False
    """Whether the evidence needs no message, in any language."""
    details: Details | None = None

    def __post_init__(self) -> None:
        _refuse_empty(self)
