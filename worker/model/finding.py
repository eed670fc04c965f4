"""Findings as the state knows them, and what changes of them."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from checks.contract import Finding
from worker.model.run import Run
from worker.text.encode import dump, restore


class FindingState(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


Counts = Mapping[tuple[str, FindingState], int]
"""How many unresolved findings each check has, by state; what is unlisted is among them."""


class Change(StrEnum):
    """What a transition is; also the name of its log event."""

    FINDING_OPENED = "finding_opened"
    FINDING_CONFIRMED = "finding_confirmed"
    FINDING_ACKNOWLEDGED = "finding_acknowledged"
    FINDING_UNACKNOWLEDGED = "finding_unacknowledged"
    FINDING_REOPENED = "finding_reopened"
    FINDING_RESOLVED = "finding_resolved"
    CHECK_FAILED = "check_failed"
    CHECK_RECOVERED = "check_recovered"


@dataclass(frozen=True, slots=True)
class StoredAcknowledgement:
    """That somebody answers for a finding, as bad as it was then. Moments are Unix times."""

    author: str
    reason: str
    at: float
    until: float
    magnitude: int | None
    """None where it was acknowledged before magnitudes were kept."""
    aspects: str | None


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding as the state holds it. Moments are Unix times, in seconds.

    Key and evidence stay as they are stored until somebody reads them: most are only carried on.
    """

    id: str
    """See `finding_id`."""
    check: str
    """The check's name; it need not be configured any more."""
    state: FindingState
    encoded_key: str
    message: str
    encoded_evidence: str
    first_seen: float
    last_seen: float
    times_seen: int
    """In how many runs."""
    magnitude: int | None = None
    """How bad it is; None where it was last seen before magnitudes were kept."""
    aspects: str | None = None
    """The ways in which it is wrong: a JSON list of text."""
    confirmed_at: float | None = None
    resolved_at: float | None = None
    acknowledgement: StoredAcknowledgement | None = None
    decided_at: float | None = None
    """When it was last acknowledged, or that was withdrawn or ended."""
    untold: Change | None = None
    """A decision of another process that the log has not told yet."""

    @property
    def key(self) -> dict[str, Any]:
        """What it is about; decoded anew each time."""
        key: dict[str, Any] = restore(self.encoded_key)
        return key

    @property
    def evidence(self) -> dict[str, Any]:
        """What the latest run saw of it; decoded anew each time."""
        evidence: dict[str, Any] = restore(self.encoded_evidence)
        return evidence

    @property
    def standing(self) -> FindingState:
        """The state that it is to have while it is unresolved, from all else that is known."""
        if self.acknowledgement:
            return FindingState.ACKNOWLEDGED
        return FindingState.OPEN if self.confirmed_at is None else FindingState.CONFIRMED


@dataclass(frozen=True, slots=True)
class Event:
    """A line of a finding's history."""

    check: str
    finding_id: str
    at: float
    """Unix time."""
    change: Change
    author: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A finding or a check changed state."""

    change: Change
    run: Run
    """The run by which the worker learned of it."""
    finding_id: str | None = None
    message: str | None = None
    key: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    """What only this change has: who acknowledged and why, why it was reopened."""
    id: str = field(default_factory=lambda: secrets.token_hex(16), compare=False)
    """By which its line in the log is known."""


def finding_id(check: str, finding: Finding) -> str:
    """A finding's stable identity: 32 hex digits from its check's name and its key."""
    identity = dump([check, sorted(finding.key.items())])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
