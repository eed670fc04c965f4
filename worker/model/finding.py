"""Findings as the state knows them, and what changes of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from checks.contract import Finding
from worker.model.run import Run
from worker.text.encode import dump


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


def finding_id(check: str, finding: Finding) -> str:
    """A finding's stable identity: 32 hex digits from its check's name and its key."""
    identity = dump([check, sorted(finding.key.items())])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
